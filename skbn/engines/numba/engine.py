"""Moments of an array by the Numba engine: what is read where, and by whom.

The grid of tasks depends on the shape alone, and tasks are pooled in order: the bits
of a result do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skbn import threads
from skbn.engines.base import AnyArray, OutOfRangeError, moments_of_any_size
from skbn.engines.numba import kernels
from skbn.engines.numba.pooling import DONE, MISSING, OUT_OF_RANGE, pool_into
from skbn.moments import Moments

Array = NDArray[np.float64]

# What the kernels read as it is; all else is copied, a task at a time.
DTYPES = frozenset(np.dtype(kind) for kind in "?bhilqBHILQfd")
# Values in a task for the threads, and in one that is copied into the cache first.
TASK, COPIED_TASK = 2**21, 2**16
# Tasks whose moments wait to be pooled.
WAITING = 64
# Rows below which contiguous columns are copied to rows: at 400 rows a column took
# 2.7 us, and 0.2 by rows.
FEW_ROWS = 2048


class Task(NamedTuple):
    """A rectangle of rows and columns."""

    rows: slice
    columns: slice


def accepts(X: object) -> bool:
    """Whether this engine reads X: a NumPy array."""
    return isinstance(X, np.ndarray)


def moments(
    X: AnyArray, weights: Array | None = None, *, n_threads: int | None = None
) -> Moments:
    """Moments of the rows of X, NaN left out; see ``skbn.engines.numpy``."""
    return moments_of_any_size(partial(_moments, n_threads), X, weights)


def pooled(earlier: Moments, X: AnyArray) -> Moments | None:
    """Moments of earlier rows and then X, by one call; None where that is not enough.

    Not for large arrays, nor for values out of range.
    """
    if X.size > COPIED_TASK or X.shape[1] > kernels.WIDTH:
        return None
    out = np.empty((2, 3, X.shape[1]))
    out[0, 0], out[1, 0] = earlier.weight
    out[0, 1:], out[1, 1:] = earlier.values
    status = _pool_task(X, None, out)
    return None if status == OUT_OF_RANGE else _as_moments(out, status)


def _moments(n_threads: int | None, X: AnyArray, weights: Array | None) -> Moments:
    # Products with weights of 1 and less do not overflow where the values do not.
    power = 0 if weights is None else int(np.frexp(weights.max())[1])

    def run(task: Task) -> tuple[Array, int]:
        part = None if weights is None else np.ldexp(weights[task.rows], -power)
        out = np.zeros((2, 3, len(range(*task.columns.indices(X.shape[1])))))
        return out, _pool_task(X[task], part, out)

    if X.size <= COPIED_TASK and X.shape[1] <= kernels.WIDTH:
        part = None if weights is None else np.ldexp(weights, -power)
        out = np.zeros((2, 3, X.shape[1]))
        status = _pool_task(X, part, out)
    else:
        out, status = _pooled(X.shape[1], run, _grid(X), n_threads)
    if status == OUT_OF_RANGE:
        raise OutOfRangeError
    high, low = out
    if power:
        high[0], low[0] = np.ldexp(high[0], power), np.ldexp(low[0], power)
    return _as_moments(out, status)


def _as_moments(out: Array, status: int) -> Moments:
    high, low = out
    if status == DONE:
        return Moments((high.item(0), low.item(0)), (high[1:], low[1:]))
    return Moments((high[0], low[0]), (high[1:], low[1:]))


def _pooled(
    n_features: int,
    run: Callable[[Task], tuple[Array, int]],
    tasks: list[Task],
    n_threads: int | None,
) -> tuple[Array, int]:
    """Moments of all tasks, pooled in their order, and their status."""
    whole, status = np.zeros((2, 3, n_features)), DONE
    for first in range(0, len(tasks), WAITING):
        some = tasks[first : first + WAITING]
        parts = threads.run(run, some, n_threads)
        for task, (part, found) in zip(some, parts, strict=True):
            pooled = pool_into(whole[:, :, task.columns], part)
            status = max(status, found, pooled)
    if status == DONE and (whole[:, 0] != whole[:, 0, :1]).any():
        status = MISSING
    return whole, status


def _grid(X: AnyArray) -> list[Task]:
    """Tasks of about as many values, those of the same columns one after another."""
    n_samples, n_features = X.shape
    along = not by_rows(X) and by_columns(X) and n_samples >= FEW_ROWS
    as_it_is = is_readable(X) and (along or by_rows(X))
    values = TASK if as_it_is else COPIED_TASK
    columns = max(1, values // n_samples) if along else kernels.WIDTH
    columns = min(columns, n_features)
    rows = max(-(-values // columns), -(-n_samples // 2**12))
    return [
        Task(slice(top, top + rows), slice(left, left + columns))
        for left in range(0, n_features, columns)
        for top in range(0, n_samples, rows)
    ]


def by_rows(X: AnyArray) -> bool:
    """Whether the values of a row are contiguous."""
    return X.strides[1] == X.itemsize or X.shape[1] == 1


def by_columns(X: AnyArray) -> bool:
    """Whether the values of a column are contiguous."""
    return X.strides[0] == X.itemsize or X.shape[0] == 1


def is_readable(X: AnyArray) -> bool:
    """Whether the kernels read such values where they are."""
    whole = all(s > 0 and s % X.itemsize == 0 for s in X.strides)
    return X.dtype in DTYPES and X.flags.aligned and whole


def _pool_task(X: AnyArray, weights: Array | None, out: Array) -> int:
    """Pool X into moments, as the kernels leave them, and return their status."""
    n_samples, n_features = X.shape
    if X.flags.c_contiguous and X.flags.aligned and X.dtype in DTYPES:
        together, stride, apart = n_features, n_features, n_features
    else:
        along = not by_rows(X) and by_columns(X) and n_samples >= FEW_ROWS
        if not is_readable(X) or not (along or by_rows(X)):
            with np.errstate(all="ignore"):
                X = np.ascontiguousarray(X, dtype=native(X.dtype))
            along = False
        if along:
            together, stride, apart = 1, 1, X.strides[1] // X.itemsize
        else:
            stride = X.strides[0] // X.itemsize if n_samples > 1 else n_features
            together, apart = n_features, n_features
    return kernels.moments(flat(X), stride, n_samples, together, apart, weights, out)


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What an array is copied to: its own dtype, native, if the kernels read it."""
    own = dtype.newbyteorder("=")
    if own in DTYPES:
        return own
    return np.dtype(np.float32 if own == np.float16 else np.float64)


def flat(X: AnyArray) -> AnyArray:
    """The memory of X from its first value to its last, as an array to read.

    It counts as writable, which no kernel makes use of: for read-only arrays Numba
    would compile everything once more.
    """
    if X.dtype == np.bool_:
        X = X.view(np.uint8)
    if X.flags.c_contiguous and X.flags.writeable:
        return X.reshape(-1)
    steps = ((n - 1) * s for n, s in zip(X.shape, X.strides, strict=True))
    n_values = 1 + sum(steps) // X.itemsize
    return np.asarray(_Memory(X, n_values))


class _Memory:
    """Memory of another array, for NumPy to read."""

    def __init__(self, X: AnyArray, n_values: int) -> None:
        self.owner = X
        self.__array_interface__ = {
            "version": 3,
            "shape": (n_values,),
            "typestr": X.dtype.str,
            "data": (X.ctypes.data, False),
        }
