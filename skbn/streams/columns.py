"""Which columns are features and which are weights, and rows as the transformer reads.

Tables call their columns by name, arrays by number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from skbn._sklearn import is_array_of_other_library

Column: TypeAlias = str | int


def pyarrow() -> Any:
    """Return the module.

    Raises
    ------
    ImportError
        It is not installed.
    """
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise ImportError(
            "Files and tables are read by pyarrow, which is not installed: "
            "pip install 'skbn[files]'."
        ) from error
    return pa


class Selection(NamedTuple):
    """Columns of the features, all but that of the weights with None."""

    columns: tuple[Column, ...] | None = None
    weight: Column | None = None

    @classmethod
    def of(cls, columns: Any, weight: Column | None) -> Selection:
        """Return what the arguments ``columns`` and ``weight_column`` ask for."""
        if isinstance(columns, (str, int)):
            columns = (columns,)
        if columns is not None:
            columns = tuple(c if isinstance(c, str) else int(c) for c in columns)
            twice = [c for i, c in enumerate(columns) if c in columns[:i]]
            if twice or not columns:
                what = f"{twice[0]!r} twice" if twice else "no column"
                raise ValueError(f"columns={list(columns)!r} names {what}.")
            if weight in columns:
                raise ValueError(
                    f"Column {weight!r} is in columns and is weight_column, too."
                )
        return cls(columns, weight)

    def among(self, names: Sequence[Column], where: str) -> Selection:
        """Return the selection from columns of these names, all of them named.

        Raises
        ------
        ValueError
            One is missing or there twice, or there is no feature.
        """
        features = self.columns
        if features is None:
            features = tuple(name for name in names if name != self.weight)
        known = set(names)
        for name in (*features, *(() if self.weight is None else (self.weight,))):
            if name not in known:
                raise ValueError(
                    f"{where}: there is no column {name!r}; {_listed(names)}"
                )
            if isinstance(name, str) and names.count(name) > 1:
                raise ValueError(f"{where}: several columns are called {name!r}.")
        if not features:
            raise ValueError(f"{where}: there is no column to learn.")
        return Selection(features, self.weight)

    def once_read(self) -> Selection:
        """The same in what was read of arrays: features first, and then the weights."""
        if self.columns is None or any(isinstance(name, str) for name in self.names):
            return self
        n = len(self.columns)
        return Selection(tuple(range(n)), None if self.weight is None else n)

    @property
    def names(self) -> list[Column]:
        """All columns to be read, once they are known."""
        weight = () if self.weight is None else (self.weight,)
        return [*(self.columns or ()), *weight]


def _listed(names: Sequence[Column]) -> str:
    if names and not isinstance(names[0], str):
        return f"there are {len(names)}, called by number from 0."
    shown = ", ".join(map(repr, names[:20]))
    return f"its columns are {shown}{', ...' if len(names) > 20 else ''}."


# Types of Arrow


def check_numbers(schema: Any, names: Iterable[Column], where: str) -> None:
    """Raise a ValueError that names the first column that does not hold numbers."""
    for name in names:
        kind = schema.field(name).type
        if not is_number(kind):
            raise ValueError(
                f"{where}: column {name!r} holds {kind}, not numbers; say with columns "
                "which ones to take."
            )


def is_number(kind: Any) -> bool:
    """Whether a type of Arrow is one of numbers, or of nothing but nulls."""
    types = pyarrow().types
    return (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    )


def readable(table: Any) -> Any:
    """The table with types that the engine for tables reads."""
    pa = pyarrow()
    for i, field in enumerate(table.schema):
        if pa.types.is_null(field.type):
            wide = pa.nulls(table.num_rows, pa.float64())
        elif pa.types.is_float16(field.type):  # Arrow casts them from version 16 on
            values = np.asarray(table.column(i).to_numpy())
            wide = pa.array(values.astype(np.float32))
        else:
            continue
        table = table.set_column(i, field.name, wide)
    return table


# What users hand over as batches


def as_rows(batch: Any) -> Any:
    """Return a batch of an iterable as a table, an array or a sparse matrix.

    Of a tuple or list ``(X, y)``, as a DataLoader yields, it is ``X``. A dict has the
    columns of a table.

    Raises
    ------
    TypeError
        It is nothing that has rows.
    """
    if isinstance(batch, (tuple, list)) and len(batch) and _is_2d(batch[0]):
        batch = batch[0]
    if isinstance(batch, dict):
        columns = {name: np.asarray(values) for name, values in batch.items()}
        return pyarrow().table(columns)
    if is_table(batch):
        return as_table(batch)
    if sparse.issparse(batch) or is_array_of_other_library(batch):
        return batch
    if hasattr(batch, "detach"):  # a tensor of torch
        return batch.detach().cpu().numpy()
    rows = np.asarray(batch)
    if rows.ndim == 0:
        raise TypeError(f"A batch is rows of features; this one is {batch!r:.60}.")
    return rows


def _is_2d(X: Any) -> bool:
    return is_table(X) or getattr(X, "ndim", 0) == 2


def is_table(X: Any) -> bool:
    """Whether X is a data frame or table, as a whole or in a stream of Arrow."""
    doors = ("__arrow_c_stream__", "num_rows", "to_arrow")
    return is_pandas(X) or any(hasattr(X, door) for door in doors)


def is_pandas(X: Any) -> bool:
    """Whether X is a DataFrame of pandas."""
    return type(X).__name__ == "DataFrame" and hasattr(X, "iloc")


def as_table(X: Any) -> Any:
    """Return a frame as a pyarrow Table, that of pandas without its index."""
    pa = pyarrow()
    if is_pandas(X):
        return pa.Table.from_pandas(X, preserve_index=False)
    if isinstance(X, pa.RecordBatch):
        return pa.Table.from_batches([X])
    if not hasattr(X, "__arrow_c_stream__"):  # polars before 1.3
        return X.to_arrow()
    return X if isinstance(X, pa.Table) else pa.table(X)


def split(data: Any, selection: Selection, where: str) -> tuple[Any, Any]:
    """Return the features and the weights, or None, of some rows."""
    if hasattr(data, "num_rows"):
        chosen = selection.among(data.column_names, where)
        check_numbers(data.schema, chosen.names, where)
        X = readable(data.select(list(chosen.columns or ())))
        return X, None if chosen.weight is None else as_floats(data, chosen.weight)
    if selection == Selection():
        return data, None
    if data.ndim != 2:
        raise ValueError(f"{where}: arrays must have two dimensions, not {data.ndim}.")
    chosen = selection.among(range(data.shape[1]), where)
    columns = list(chosen.columns or ())
    X = data if columns == list(range(data.shape[1])) else data[:, columns]
    return X, None if chosen.weight is None else _dense(data[:, [chosen.weight]])[:, 0]


def _dense(data: Any) -> Any:
    return data.toarray() if sparse.issparse(data) else np.asarray(data)


def as_floats(table: Any, name: Column) -> NDArray[np.float64]:
    """Return a column, NaN where it is null."""
    pa = pyarrow()
    return np.asarray(table.column(name).cast(pa.float64()).to_numpy())
