"""Normalise a stream into a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skbn.engines.auto import expecting
from skbn.streams.base import Source, located
from skbn.streams.columns import (
    Column,
    Selection,
    check_numbers,
    is_number,
    pyarrow,
    readable,
)
from skbn.streams.files import Files
from skbn.streams.pieces import START, Batch, batches, default_rows, read_ahead
from skbn.streams.progress import Progress, progress_of
from skbn.streams.sources import open_source
from skbn.streams.writers import (
    Destination,
    name_of,
    open_destination,
    writer_for,
)
from skbn.transformer import BatchNormTransformer


def transform_stream(
    transformer: Any,
    source: Any,
    destination: Destination,
    *,
    columns: Iterable[Column] | None = None,
    progress: Progress = False,
    inverse: bool = False,
) -> None:
    """Normalise all rows of a source and write them to a file.

    Parameters
    ----------
    transformer : BatchNormTransformer, or any fitted transformer
    source : path, glob, folder, table or iterable of batches
        As for :func:`skbn.fit_stream`.
    destination : path-like, or binary file that is open (gets CSV)
        Parquet (``.parquet``, ``.pq``), Arrow IPC (``.arrow``, ``.feather``, ``.ipc``),
        CSV (``.csv``) or ``.npy``. What is there is replaced once all is written. A
        folder that exists, or a name that ends in a slash, gets a file for each one of
        the source, of the same name.
    columns : list of str or int, default=None
        Columns to be normalised, in the order of the features. With None, those of the
        names that the transformer was fitted on, or all where it knows no names. Other
        columns pass through as they are.
    progress : bool or "auto", default=False
        As for :func:`skbn.fit_stream`.
    inverse : bool, default=False
        Whether to map normalised columns back, by ``inverse_transform``.

    Raises
    ------
    ValueError
        A column is missing or does not hold numbers, the source has no rows or its
        columns change, or a value cannot be normalised.
    OSError
        A file cannot be read, or the destination cannot be written.
    TypeError
        The source is nothing that can be read.
    ImportError
        The extra ``skbn[files]`` is not installed and what was given needs it.
    sklearn.exceptions.NotFittedError
        The transformer is not fitted.

    See Also
    --------
    skbn.fit_stream : Learn from a stream.

    Notes
    -----
    Normalised columns are float32 where they were, else float64; what was null stays
    so, and is NaN in ``.npy``. Rows and columns keep their order. Row groups of
    Parquet and record batches of Arrow IPC stay as they are from one of the two to the
    other, and one of them at a time is held, normalised; what has none is written in
    groups of 131,072 rows, or fewer that hold 2**22 values. Columns of CSV that pass
    through to CSV are texts, so that they stay as they were written.

    After an error or Ctrl-C the destination is what it was before.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import skbn
    >>> X = np.arange(6.0).reshape(3, 2)
    >>> scaler = skbn.BatchNormTransformer().fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     skbn.transform_stream(scaler, X, Path(folder, "Z.npy"))
    ...     bool(np.array_equal(np.load(Path(folder, "Z.npy")), scaler.transform(X)))
    True
    """
    check_is_fitted(transformer)
    opened = open_source(source)
    mapping = Mapping(transformer, opened, columns, inverse=inverse)
    if _is_folder(destination):
        _each_file(mapping, source, Path(name_of(destination)), progress)
        return
    kind = writer_for(destination)
    opened.read_as_text(kind, mapping.features)
    _write(mapping, kind, destination, progress)


def _is_folder(destination: Destination) -> bool:
    if not isinstance(destination, (str, os.PathLike)):
        return False
    return os.fspath(destination).endswith(os.sep) or Path(destination).is_dir()


def _each_file(mapping: Mapping, source: Any, folder: Path, progress: Progress) -> None:
    """Write a file for each file of the source."""
    if not isinstance(mapping.source, Files):
        raise ValueError(f"{folder}: a folder can be written from files alone.")
    paths = mapping.source.paths
    is_folder = isinstance(source, (str, os.PathLike)) and Path(source).is_dir()
    names = [
        path.relative_to(source) if is_folder else Path(path.name) for path in paths
    ]
    if len(set(names)) < len(names):
        raise ValueError(f"{folder}: several files of the source have one name.")
    for path, name in zip(paths, names, strict=True):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        transform_stream(
            mapping.transformer,
            path,
            target,
            columns=mapping.features,
            progress=progress,
            inverse=mapping.inverse,
        )


def _write(
    mapping: Mapping,
    kind: type[Any],
    destination: Destination,
    progress: Progress,
) -> None:
    source, rows = mapping.source, 0
    try:
        with (
            progress_of(progress, source.name, source.n_rows) as advance,
            closing(_batches(source, kind)) as stream,  # type: ignore[type-var]
            expecting((source.n_rows or 0) * len(mapping.features or ())),
            open_destination(destination) as file,
        ):
            writer = kind(file, keeps_dictionaries=source.one_dictionary)
            try:
                for batch in stream:
                    mapping.write(batch, writer)
                    rows += batch.n_rows
                    advance(batch.n_rows)
            except BaseException:
                # pyarrow's writers close themselves otherwise, when the file is closed.
                with suppress(Exception):
                    writer.close()
                raise
            if not rows:
                raise ValueError(f"{source.name} has no rows.")
            writer.close()
    except BaseException as error:
        error.add_note(
            f"Stopped after {rows:,} rows of {source.name}; {name_of(destination)} "
            "was not written."
        )
        raise


def _batches(source: Source, kind: type[Any]) -> Iterator[Batch]:
    """The rows, not those of two groups together where groups are kept."""
    names = source.names or ()
    size = default_rows(len(names))
    groups = source.groups(names, size) if kind.keeps_groups else None
    pieces = source.pieces(names, size, START) if groups is None else groups
    if source.reads_ahead:
        pieces = read_ahead(pieces)
    with closing(pieces):  # type: ignore[type-var]
        yield from batches(pieces, size if groups is None else None)


class Mapping:
    """What happens to each group of rows.

    Parameters
    ----------
    transformer : fitted transformer
    source : Source
    columns : iterable of str or int, or None
    inverse : bool
    """

    def __init__(
        self,
        transformer: Any,
        source: Source,
        columns: Iterable[Column] | None,
        *,
        inverse: bool,
    ) -> None:
        self.transformer, self.source, self.inverse = transformer, source, inverse
        names = getattr(transformer, "feature_names_in_", None)
        if columns is None and names is not None and _has_names(source):
            columns = map(str, names)
        chosen = source.check(Selection.of(columns, None))
        self.features = chosen.columns
        if isinstance(source, Files):
            source.check_alike()

    def write(self, batch: Batch, writer: Any) -> None:
        """Write a batch, normalised.

        Raises
        ------
        ValueError, TypeError
            It cannot be normalised, or not be written beside what came before.
        """
        where = self.source.where(batch.place(0))
        ends = self.source.ends_group(batch.stop)
        try:
            if hasattr(batch.data, "num_rows"):
                rows = self._table(batch.data, where)
                writer.write(rows if writer.takes_tables else as_array(rows), ends)
            else:
                rows = self._array(batch.data, where)
                writer.write(self._named(rows) if writer.takes_tables else rows, ends)
        except (ValueError, TypeError) as error:
            raise located(error, batch, self.source) from error

    def _table(self, table: Any, where: str) -> Any:
        """The table with its features normalised."""
        pa = pyarrow()
        features = list(self._among(table.column_names, where))
        check_numbers(table.schema, features, where)
        Z = self._map(_of_one_kind(readable(table.select(features))))
        columns, fields = table.columns, list(table.schema)
        for z, name in zip(Z.T, features, strict=True):
            at = table.schema.get_field_index(name)
            narrow = fields[at].type in (pa.float32(), pa.float16())
            values = np.ascontiguousarray(z, np.float32 if narrow else np.float64)
            columns[at] = pa.array(values, mask=_missing(columns[at]))
            fields[at] = fields[at].with_type(columns[at].type)
        schema = pa.schema(fields, table.schema.metadata)
        return pa.Table.from_arrays(columns, schema=schema)

    def _array(self, data: Any, where: str) -> Any:
        """The array with its features normalised."""
        features = list(self._among(range(data.shape[1]), where))
        if features == list(range(data.shape[1])):
            return self._map(data)
        Z = self._map(data[:, features])
        data = data.toarray() if sparse.issparse(data) else data
        out = data.astype(np.float32 if data.dtype == np.float32 else np.float64)
        out[:, features] = Z
        return out

    def _among(self, names: Any, where: str) -> tuple[Column, ...]:
        """The features, where they may have to be looked for in each batch."""
        if self.features is not None:
            return Selection(self.features).among(names, where).columns or ()
        fitted = getattr(self.transformer, "feature_names_in_", None)
        if fitted is not None and not isinstance(names, range):
            return Selection(tuple(map(str, fitted))).among(names, where).columns or ()
        return tuple(names)

    def _map(self, X: Any) -> Any:
        its = self.transformer
        map_ = its.inverse_transform if self.inverse else its.transform
        # What is read belongs to others, whatever the parameter ``copy`` is.
        options = {"copy": True} if isinstance(its, BatchNormTransformer) else {}
        Z = map_(X, **options)
        Z = Z.toarray() if sparse.issparse(Z) else np.asarray(Z)
        if Z.ndim != 2:
            raise TypeError("what the transformer returns is not written to files")
        return Z

    def _named(self, data: Any) -> Any:
        """An array as a table, with the names that the transformer gives."""
        names = [f"x{j}" for j in range(data.shape[1])]
        known = getattr(self.transformer, "feature_names_in_", ())
        if len(known) == len(names):
            names = list(map(str, known))
        return pyarrow().table([np.ascontiguousarray(z) for z in data.T], names=names)


def _missing(column: Any) -> Any:
    """Which values are null, or None where none is."""
    if not column.null_count:
        return None
    return column.is_null().to_numpy(zero_copy_only=False)


def _has_names(source: Source) -> bool:
    return source.names is not None and isinstance(source.names[0], str)


def _of_one_kind(X: Any) -> Any:
    """The table, as float64 where some columns are float32 and others are not.

    Or whole numbers would be normalised as float32.
    """
    pa = pyarrow()
    kinds = set(X.schema.types)
    if pa.float32() not in kinds or len(kinds) == 1:
        return X
    return X.cast(pa.schema([(name, pa.float64()) for name in X.column_names]))


def as_array(table: Any) -> Any:
    """Return a table of numbers as an array.

    Raises
    ------
    ValueError
        A column does not hold numbers.
    """
    pa = pyarrow()
    for field in table.schema:
        if not is_number(field.type):
            raise ValueError(f"column {field.name!r} holds {field.type}: no .npy can")
    narrow = all(kind == pa.float32() for kind in table.schema.types)
    out = np.empty(table.shape, np.float32 if narrow else np.float64)
    for j, column in enumerate(table.columns):
        out[:, j] = column.cast(pa.from_numpy_dtype(out.dtype)).to_numpy()
    return out
