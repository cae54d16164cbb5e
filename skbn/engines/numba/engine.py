"""The Numba engine: one read of memory for the statistics of an array.

The grid of tasks depends on the shape alone, and tasks are pooled in order: the bits
of a result do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skbn import threads
from skbn.affine import Affine
from skbn.engines import numpy as numpy_engine
from skbn.engines.base import find_infinity as find_infinity
from skbn.engines.base import output
from skbn.engines.numba.kernels import (
    add_columns,
    array_moments,
    pool_into,
    row_moments,
)
from skbn.engines.numba.kernels import (
    combine as combine_compiled,
)
from skbn.engines.numba.lanes import LANES, MARKERS
from skbn.engines.numba.sums import DONE, OUT_OF_RANGE
from skbn.engines.numba.transform import write as write
from skbn.moments import Moments
from skbn.moments import combine as combine_by_numpy

Array = NDArray[np.float64]
AnyArray = NDArray[Any]

# Values in a wide row: their sums stay in a first-level cache.
WIDTH = 256
# Values between checks of the centre, which are read again where it was poor: they
# are still in a second-level cache.
CHUNK = 2**17
# Values in a task for the threads.
TASK = 2**21
# Columns that are read together, so that their sums stay in a first-level cache.
PANEL = 512
# Features, of 48 bytes each, whose moments wait to be pooled.
WAITING = 2**15
# Rows below which a block of contiguous columns is turned, in cache, rather than read
# column by column: at 400 rows a column took 2.7 us, and 0.2 by rows.
FEW_ROWS = 2048
# Columns from which on a weight is spread over its row, not written out for it.
SPLAT = 16


def accepts(X: object) -> bool:
    """Whether this engine reads X: a NumPy array."""
    return isinstance(X, np.ndarray)


def normalize(
    X: AnyArray, affine: Affine, *, copy: bool = True, n_threads: int | None = None
) -> AnyArray:
    """Return the image of X; see ``numpy_engine.normalize``."""
    out = output(X, copy)
    write(X, affine, out, n_threads=n_threads)
    return out


def moments(
    X: AnyArray, weights: Array | None = None, *, n_threads: int | None = None
) -> Moments:
    """Moments of the rows of X, NaN left out; see ``numpy_engine.moments``."""
    if X.dtype not in MARKERS and X.dtype.newbyteorder("=") not in MARKERS:
        return numpy_engine.moments(X, weights, n_threads=n_threads)
    n_samples, n_features = X.shape
    if weights is not None:
        weights = np.ascontiguousarray(weights)
    if X.size > _task(X) or n_features > PANEL:
        out, status = _all_parts(X, weights, n_threads)
    elif weights is None and X.dtype in _FLOATS and X.flags.carray:
        fold = _fold(n_samples, n_features)
        chunk = _chunk(fold * n_features)
        out = np.empty((2, 3, n_features))
        status = array_moments(X, fold, chunk, MARKERS[X.dtype], None, out)
    else:
        out, status = _part_moments(X, weights)
    if status == OUT_OF_RANGE:  # infinities, and values too large to square
        return numpy_engine.moments(X, weights, n_threads=n_threads)
    high, low = out
    if status == DONE:
        return Moments((float(high[0, 0]), float(low[0, 0])), (high[1:], low[1:]))
    return Moments((high[0], low[0]), (high[1:], low[1:]))


CONTAINER = False
# Columns of these are read one by one, of others turned in cache: one kernel less.
_FLOATS = frozenset({np.dtype(np.float64), np.dtype(np.float32)})


def combine(left: Moments, right: Moments, *, between: bool) -> Moments:
    """``skbn.moments.combine``, to the same bits."""
    weights = *left.weight, *right.weight
    if all(type(w) is float and w for w in weights[::2]):
        high, low = np.empty((2, *left.values[0].shape))
        total, total_low, finite = combine_compiled(
            *left.values, *right.values, weights, between, high, low
        )
        if finite:
            return Moments((total, total_low), (high, low))
    return combine_by_numpy(left, right, between=between)


class Task(NamedTuple):
    """A rectangle of rows and columns."""

    rows: slice
    columns: slice


def _by_rows(X: AnyArray) -> bool:
    return X.strides[1] == X.itemsize or X.shape[1] == 1


def _by_columns(X: AnyArray) -> bool:
    return X.strides[0] == X.itemsize or X.shape[0] == 1


def _readable(X: AnyArray) -> bool:
    """Whether the kernels read X where it is."""
    lies_well = _by_rows(X) or _by_columns(X)
    return X.dtype in MARKERS and X.flags.aligned and lies_well


def _task(X: AnyArray) -> int:
    """Values in a task: few where each is copied into the cache first."""
    turned = len(X) < FEW_ROWS or X.dtype not in _FLOATS
    as_it_lies = _by_rows(X) or not turned
    return TASK if _readable(X) and as_it_lies else CHUNK


def _grid(n_samples: int, n_features: int, by_rows: bool, values: int) -> list[Task]:
    """Tasks of about so many values, those of the same columns one after another."""
    columns = PANEL if by_rows else max(1, values // n_samples)
    columns = min(columns, n_features)
    rows = max(-(-values // columns), -(-n_samples // 2**12))
    return [
        Task(
            slice(top, min(top + rows, n_samples)),
            slice(left, min(left + columns, n_features)),
        )
        for left in range(0, n_features, columns)
        for top in range(0, n_samples, rows)
    ]


def _all_parts(
    X: AnyArray, weights: Array | None, n_threads: int | None
) -> tuple[Array, int]:
    """Moments of X by tasks, pooled in order."""
    tasks = _grid(len(X), X.shape[1], _by_rows(X) or not _by_columns(X), _task(X))

    def run(task: Task) -> tuple[Array, int]:
        part = None if weights is None else weights[task.rows]
        return _part_moments(X[task], part)

    whole, worst = np.zeros((2, 3, X.shape[1])), DONE
    # Some at a time, so that what waits to be pooled stays small.
    several = max(16, WAITING // min(X.shape[1], PANEL))
    for first in range(0, len(tasks), several):
        some = tasks[first : first + several]
        parts = threads.run(run, some, n_threads)
        for task, (part, status) in zip(some, parts, strict=True):
            pool_into(whole[:, :, task.columns], part)
            worst = max(worst, status)
    return whole, worst


def _part_moments(X: AnyArray, weights: Array | None) -> tuple[Array, int]:
    """Moments of X, as ``fold_moments`` leaves them, and how that went."""
    n_samples, n_features = X.shape
    few = n_samples < FEW_ROWS and n_features >= LANES and not _by_rows(X)
    if few or not _readable(X) or not (_by_rows(X) or X.dtype in _FLOATS):
        X = np.ascontiguousarray(X, dtype=X.dtype.newbyteorder("="))
    out, marker = np.empty((2, 3, n_features)), MARKERS[X.dtype]
    if not _by_rows(X):
        fold = _fold(n_samples, 1)
        status = add_columns(
            X.ctypes.data, X.strides[1], X.itemsize, n_samples, n_features, fold,
            _chunk(fold), marker, weights, out,
        )  # fmt: skip
        return out, status
    pitch = X.strides[0] if n_samples > 1 else n_features * X.itemsize
    whole = pitch == n_features * X.itemsize
    fold = _fold(n_samples, n_features) if whole else 1
    if weights is not None and n_features >= SPLAT:
        fold, weights = 1, weights[None, :]
    status = row_moments(
        X.ctypes.data, pitch, X.itemsize, n_samples, n_features, fold,
        _chunk(fold * n_features), marker, weights, out,
    )  # fmt: skip
    return out, status


def _chunk(width: int) -> int:
    return max(CHUNK // width, 64)


def _fold(n_samples: int, n_features: int) -> int:
    """Rows to lay side by side: vectors filled, some rows left below each other."""
    fold = 1
    width = WIDTH if n_samples * n_features > CHUNK else WIDTH // 2
    while 2 * fold * n_features <= width and 16 * fold <= n_samples:
        fold *= 2
    return fold
