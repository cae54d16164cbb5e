"""A table as blocks that a dense engine reads, none of them a copy of the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from skbn.engines.base import AnyArray, output_dtype

FLOAT = np.dtype(np.float64)
# Values of short columns that are laid side by side in one float64 block: one call
# for all of them, where a call a column takes 100 µs each.
PACKED = 2**16


@dataclass(slots=True, eq=False)
class Stored:
    """A column that NumPy cannot view, read when its turn comes and not kept.

    It lies in parts, in bits, under a mask, or is of a type unknown to NumPy.

    Attributes
    ----------
    series : series
        That a slice cuts.
    kind : dtype
        What the table says the column holds.
    missing : bool
        Whether some values are.
    convert : callable
        ``convert(series, dtype)`` returns the values, NaN where one is missing.
    """

    series: Any
    kind: np.dtype[Any]
    missing: bool
    convert: Callable[[Any, np.dtype[Any]], AnyArray]

    @property
    def dtype(self) -> np.dtype[Any]:
        """What is read: float64 or float32 where values are missing."""
        return self.kind if not self.missing or self.kind == np.float32 else FLOAT

    def __getitem__(self, rows: slice) -> Stored:
        return Stored(self.series[rows], self.kind, self.missing, self.convert)


# A column whose memory NumPy can view is that array.
Column: TypeAlias = AnyArray | Stored


def values_of(column: Column) -> AnyArray:
    """Values of a column, of shape (n_samples,)."""
    if isinstance(column, Stored):
        return column.convert(column.series, column.dtype)
    return column


class Frame:
    """The columns of a table, a slice of which is a table of some rows.

    ``whole`` is one array over all of them, given so or found, or None.
    ``dtype`` is that of the transformed data: what NumPy would give to all columns
    together if it is one of floats up to float64, else float64.
    """

    def __init__(
        self,
        columns: list[Column] | AnyArray,
        n_samples: int,
        dtype: np.dtype[Any] | None = None,
    ) -> None:
        whole = columns if isinstance(columns, np.ndarray) else None
        columns = list(columns if whole is None else whole.T)
        if dtype is None:
            kinds = {c.kind if isinstance(c, Stored) else c.dtype for c in columns}
            dtype = output_dtype(np.result_type(*kinds))
        self.columns, self.dtype = columns, dtype
        self.shape = n_samples, len(columns)
        self.whole = _as_one_block(columns) if whole is None else whole
        packed = max(1, PACKED // n_samples)
        self._width = packed if self.whole is None else len(columns)

    def __getitem__(self, rows: slice) -> Frame:
        if self.whole is not None:
            return Frame(self.whole[rows], rows.stop - rows.start, self.dtype)
        columns = [column[rows] for column in self.columns]
        return Frame(columns, rows.stop - rows.start, self.dtype)

    @property
    def size(self) -> int:
        """Number of values."""
        return self.shape[0] * self.shape[1]

    def empty_output(self) -> AnyArray:
        """Return an array for the transformed data, laid out as a block of columns."""
        if self.whole is not None:
            return np.empty_like(self.whole, self.dtype)
        return np.empty(self.shape, self.dtype, order="F")

    def parts(self) -> list[slice]:
        """Columns that are read together; by the shape and the memory alone."""
        n, width = self.shape[1], self._width
        return [slice(left, min(left + width, n)) for left in range(0, n, width)]

    def dtypes(self) -> set[np.dtype[Any]]:
        """Dtypes of the blocks that ``read`` gives."""
        if self.whole is not None:
            return {self.whole.dtype}
        if self._width > 1:
            return {FLOAT}
        return {column.dtype for column in self.columns}

    def read(self, part: slice) -> AnyArray:
        """Return some columns as a block of shape (n_samples, n_columns)."""
        if self.whole is not None:
            return self.whole
        if self._width == 1:
            return values_of(self.columns[part.start])[:, None]
        block = np.empty((self.shape[0], part.stop - part.start))
        for j, column in enumerate(self.columns[part]):
            block[:, j] = values_of(column)
        return block


def _as_one_block(columns: list[Column]) -> AnyArray | None:
    """One array over columns of one array; not over neighbours by chance."""
    views = [column for column in columns if isinstance(column, np.ndarray)]
    if len(views) < len(columns):
        return None
    first = views[0]
    starts = [view.ctypes.data for view in views]
    step = starts[1] - starts[0] if len(starts) > 1 else first.nbytes
    if any(
        (view.base is not first.base or (view.base is None and j))
        or (view.dtype, view.strides) != (first.dtype, first.strides)
        or start != starts[0] + j * step
        for j, (view, start) in enumerate(zip(views, starts, strict=True))
    ):
        return None
    shape, strides = (len(first), len(views)), (first.strides[0], step)
    return np.lib.stride_tricks.as_strided(first, shape, strides, writeable=False)
