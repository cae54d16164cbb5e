"""What a stream is read from: anything but files, and which of them it is."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from io import BufferedIOBase, RawIOBase
from time import monotonic
from typing import Any

import numpy as np
from scipy import sparse

from skbn.streams import columns as _columns
from skbn.streams.base import FromTheStart, Source
from skbn.streams.columns import Column, Selection, as_rows, as_table, pyarrow
from skbn.streams.files import Files
from skbn.streams.pieces import Piece, Place, n_rows, skip
from skbn.streams.pipes import Pipe


def open_source(source: Any) -> Source:
    """Return what reads a source.

    Raises
    ------
    TypeError
        It is nothing that can be read.
    ValueError, OSError
        A file is missing or cannot be read.
    ImportError
        What reads it is not installed.
    """
    if isinstance(source, (str, os.PathLike)) or _is_list_of_paths(source):
        return Files(source)
    for accepts, kind in () if isinstance(source, (bytes, dict, set)) else KINDS:
        if accepts(source):
            return kind(source)
    raise TypeError(
        f"A {type(source).__name__} is no source: give a path, a glob, a folder, a "
        "table, or an iterable of batches."
    )


def _is_list_of_paths(source: Any) -> bool:
    return (
        isinstance(source, (list, tuple))
        and len(source) > 0
        and all(isinstance(path, (str, os.PathLike)) for path in source)
    )


class Arrays(FromTheStart):
    """An array or sparse matrix, as a whole."""

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.data = source.tocsr() if sparse.issparse(source) else as_rows(source)
        if self.data.ndim != 2:
            raise ValueError(
                f"An array must have two dimensions, one row an example; this one has "
                f"{self.data.ndim}."
            )
        self.n_rows = n_rows(self.data)
        self.names = tuple(range(self.data.shape[1]))

    def parts(self, columns: Sequence[Column], size: int) -> Iterator[Any]:
        """Yield some columns of all rows."""
        everything = list(columns) == list(self.names or ())
        for start in range(0, n_rows(self.data), size):
            rows = self.data[start : start + size]
            yield rows if everything else rows[:, list(columns)]


class Stream(FromTheStart):
    """Whatever Arrow's PyCapsule protocol streams, of which a part is held at a time.

    A table or frame may be read again, a reader once.
    """

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        if not hasattr(source, "__arrow_c_stream__"):
            self.source = as_table(source)
        self._opened = _reader(self.source)
        self.schema = self._opened.schema
        self.names = tuple(self.schema.names)
        rows = getattr(source, "num_rows", getattr(source, "height", None))
        self.n_rows = rows if isinstance(rows, int) else None

    def parts(self, columns: Sequence[Column], size: int) -> Iterator[Any]:
        """Yield some columns of all rows."""
        names = list(columns)
        if type(self.source).__module__.startswith(("duckdb", "_duckdb")):
            self._opened = None  # a connection has one result at a time
            quoted = (str(name).replace('"', '""') for name in names)
            self._opened = _reader(
                self.source.select(*(f'"{name}"' for name in quoted))
            )
        pa = pyarrow()
        try:
            for batch in self._opened:
                yield pa.Table.from_batches([batch]).select(names)
        except pa.ArrowException as error:
            # It may have all of a traceback in it.
            message = str(error).partition(" Detail: ")[0].splitlines()[0]
            raise ValueError(f"{self.name}: {message}") from error


def _reader(source: Any) -> Any:
    try:
        return pyarrow().RecordBatchReader.from_stream(source)
    except (TypeError, ValueError) as error:  # a column, not a table
        raise TypeError(f"A {type(source).__name__} is no table: {error}") from error


class Pandas(FromTheStart):
    """A DataFrame of pandas: rows become Arrow's as their turn comes, without index."""

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.schema = as_table(source.iloc[:0]).schema
        self.names, self.n_rows = tuple(map(str, source.columns)), len(source)

    def check(self, selection: Selection) -> Selection:
        """Return the columns to learn; each part has its own types."""
        return selection.among(self.names or (), self.name)

    def parts(self, columns: Sequence[Column], size: int) -> Iterator[Any]:
        """Yield some columns of all rows."""
        chosen = [(self.names or ()).index(name) for name in columns]
        for start in range(0, len(self.source), size):
            yield as_table(self.source.iloc[start : start + size, chosen])


class Lazy(FromTheStart):
    """A LazyFrame of polars, collected by its streaming engine, in batches if it can.

    Polars before 1.34 collects the columns asked for as a whole.
    """

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.schema = source.limit(0).collect().to_arrow().schema
        self.names = tuple(self.schema.names)

    def parts(self, columns: Sequence[Column], size: int) -> Iterator[Any]:
        """Yield some columns of all rows."""
        frame = self.source.select(list(columns))
        if hasattr(frame, "collect_batches"):
            batches = frame.collect_batches(
                chunk_size=size, maintain_order=True, engine="streaming"
            )
            for batch in batches:
                yield batch.to_arrow()
            return
        try:
            whole = frame.collect(engine="streaming")
        except TypeError:
            whole = frame.collect(streaming=True)
        yield whole.to_arrow()


class Dataset(FromTheStart):
    """A Dataset of pyarrow, with one batch and one file read ahead.

    By default it reads gigabytes ahead.
    """

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.schema = source.schema
        self.names = tuple(self.schema.names)

    def parts(self, columns: Sequence[Column], size: int) -> Iterator[Any]:
        """Yield some columns of all rows."""
        batches = self.source.to_batches(
            columns=list(columns),
            batch_size=size,
            batch_readahead=1,
            fragment_readahead=1,
        )
        for batch in batches:
            yield pyarrow().Table.from_batches([batch])


class HuggingFace(FromTheStart):
    """A Dataset of Hugging Face, read as the Arrow tables that it keeps."""

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.schema = source.features.arrow_schema
        self.names, self.n_rows = tuple(source.column_names), source.num_rows

    def parts(self, columns: Sequence[Column], size: int) -> Iterator[Any]:
        """Yield some columns of all rows."""
        chosen = self.source.select_columns(list(columns))
        yield from chosen.with_format("arrow").iter(batch_size=size)


class Batches(Source):
    """An iterable of batches, each of which is a piece.

    It is iterated by the thread of the caller. A source with ``state_dict`` says by
    that how far it came; of others rows are counted.
    """

    reads_ahead = False

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.has_state = all(
            callable(getattr(source, method, None))
            for method in ("state_dict", "load_state_dict")
        )
        # Seconds after which the state is asked for anew.
        self.state_interval = math.inf

    def pieces(
        self, columns: Sequence[Column], size: int, start: Place
    ) -> Iterator[Piece]:
        """Yield the batches from a place on."""
        if start.state is not None:
            self.source.load_state_dict(start.state)
        rows = (project(as_rows(batch), columns) for batch in self._iterator(size))
        if not self.has_state:
            return skip(self.placed(rows), start.row)
        return skip(self._with_states(rows, start.state), start.row)

    def _with_states(self, rows: Iterator[Any], state: Any) -> Iterator[Piece]:
        row, asked = 0, monotonic()
        for data in rows:
            yield Piece(data, Place(0, row, state))
            row += n_rows(data)
            if monotonic() - asked >= self.state_interval:
                state, row, asked = self.source.state_dict(), 0, monotonic()

    def identity(self) -> list[str] | None:
        """Return what kind of thing it is, if that has a state, or its first rows."""
        return [self.name] if self.has_state else super().identity()

    def _iterator(self, size: int) -> Iterator[Any]:
        return iter(self.source)


def project(data: Any, columns: Sequence[Column]) -> Any:
    """Leave out columns of a table that nobody asked for, if it has the others."""
    if hasattr(data, "num_rows") and columns and set(columns) <= set(data.column_names):
        return data.select(list(columns))
    return data


class HuggingFaceStream(Batches):
    """An IterableDataset of Hugging Face, which may know no columns beforehand."""

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.source = source.with_format("arrow")
        # Its state has not what is in the buffer: those rows would be lost.
        self.has_state &= not _has_buffer(getattr(source, "_ex_iterable", None))

    def _iterator(self, size: int) -> Iterator[Any]:
        return iter(self.source.iter(batch_size=size))


def _has_buffer(examples: Any) -> bool:
    """Whether rows wait in a buffer to be shuffled, somewhere on their way."""
    if examples is None:
        return False
    before = getattr(examples, "ex_iterables", [getattr(examples, "ex_iterable", None)])
    name = type(examples).__name__
    return name.startswith("BufferShuffled") or any(map(_has_buffer, before))


def _is_dataset_of_arrow(source: Any) -> bool:
    return hasattr(source, "to_batches") and hasattr(source, "get_fragments")


def _is_hugging_face(source: Any, name: str) -> bool:
    return any(
        base.__name__ == name and base.__module__.partition(".")[0] == "datasets"
        for base in type(source).__mro__
    )


def _is_array(source: Any) -> bool:
    return (
        isinstance(source, np.ndarray)
        or sparse.issparse(source)
        or (hasattr(source, "detach") and hasattr(source, "ndim"))
    )


KINDS: list[tuple[Callable[[Any], bool], Callable[[Any], Source]]] = [
    (_is_dataset_of_arrow, Dataset),
    (lambda source: type(source).__name__ == "LazyFrame", Lazy),
    (lambda source: _is_hugging_face(source, "Dataset"), HuggingFace),
    (lambda source: _is_hugging_face(source, "IterableDataset"), HuggingFaceStream),
    (_columns.is_pandas, Pandas),
    (_columns.is_table, Stream),
    (_is_array, Arrays),
    (lambda source: isinstance(source, (RawIOBase, BufferedIOBase)), Pipe),
    (lambda source: hasattr(source, "__iter__"), Batches),
]
