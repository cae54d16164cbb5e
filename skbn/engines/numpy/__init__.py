"""The NumPy engine: the readable oracle that other engines are tested against.

Works on blocks that stay in cache, so no array grows with the number of rows.
The grid of blocks depends on the shape alone and blocks are merged in order:
the bits of a result do not depend on the number of threads.
"""

from __future__ import annotations

from functools import partial, reduce
from typing import Any

import numpy as np

from skbn import pairs, threads
from skbn.engines.base import AnyArray, find_infinity, moments_of_any_size
from skbn.engines.numpy.blocks import (
    BLOCK_ROWS,
    BLOCKS_IN_A_TASK,
    CHUNK,
    FEW_TASKS,
    TASKS,
    WIDTH,
    Array,
    Sums,
    block_rows,
    block_sums,
    moments_of,
    moments_of_stack,
    quick_loops,
    scratch,
)
from skbn.engines.numpy.maps import normalize, write
from skbn.moments import MEAN, Moments, pool, side_by_side

CONTAINER = False

__all__ = ["CONTAINER", "accepts", "find_infinity", "moments", "normalize", "write"]


def accepts(X: object) -> bool:
    """Whether this engine reads X: a NumPy array."""
    return isinstance(X, np.ndarray)


def moments(
    X: AnyArray, weights: Array | None = None, *, n_threads: int | None = None
) -> Moments:
    """Moments of the rows of X, NaN left out.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features), real, any dtype and strides
    weights : ndarray of shape (n_samples,), float64, finite and >= 0, or None
    n_threads : int or None
        None for all cores; see ``threads.effective_n_threads``.

    Raises
    ------
    InfinityInBlockError
    """
    return moments_of_any_size(partial(_moments, n_threads), X, weights)


def _moments(n_threads: int | None, X: AnyArray, weights: Array | None) -> Moments:
    n_samples, n_features = X.shape
    if n_samples == 1 and weights is None and np.isfinite(X).all():
        return _row_moments(X)
    if weights is not None:
        weights = weights[:, None]
    if n_samples * n_features <= BLOCK_ROWS * WIDTH and n_features <= WIDTH:
        with quick_loops():
            return moments_of(_Blocks(X, weights, n_samples).sums(0, n_samples))
    panels = [
        _panel_moments(X[:, start : start + WIDTH], weights, n_threads)
        for start in range(0, n_features, WIDTH)
    ]
    return side_by_side(panels)


def _row_moments(X: AnyArray) -> Moments:
    """Moments of one row without missing values: itself."""
    values = np.zeros((2, X.shape[1]))
    values[MEAN] = X[0]
    return Moments(pairs.ONE, (values, np.zeros_like(values)))


class _Blocks:
    """Reads blocks of X as C-contiguous float64, copying only where they are not."""

    def __init__(self, X: AnyArray, weights: Array | None, rows: int) -> None:
        self.X, self.weights = X, weights
        self.scratch = scratch((rows, X.shape[1]))
        direct = X.dtype == np.float64 and X.flags.c_contiguous and X.flags.aligned
        self.copy = None if direct else np.empty((rows, X.shape[1]))

    def sums(self, start: int, stop: int) -> Sums:
        block: Any = self.X[start:stop]
        if self.copy is not None:
            copy = self.copy[: len(block)]
            copy[...] = block
            block = copy
        weights = None if self.weights is None else self.weights[start:stop]
        return block_sums(block, weights, self.scratch[: len(block)])


def _panel_moments(
    X: AnyArray, weights: Array | None, n_threads: int | None
) -> Moments:
    """Moments of a panel of at most WIDTH columns."""
    rows = block_rows(X.shape[1])
    n_blocks = -(-len(X) // rows)
    blocks = min(max(-(-n_blocks // FEW_TASKS), BLOCKS_IN_A_TASK), CHUNK)
    per_task = -(-n_blocks // (blocks * TASKS)) * blocks * rows

    def task(start: int) -> Moments:
        part = slice(start, start + per_task)
        its = None if weights is None else weights[part]
        return _rows_moments(X[part], its, rows)

    parts = threads.run(task, range(0, len(X), per_task), n_threads)
    return reduce(pool, parts, Moments.empty(X.shape[1]))


def _rows_moments(X: AnyArray, weights: Array | None, rows: int) -> Moments:
    """Moments of some rows, a chunk of blocks at a time."""
    reader = _Blocks(X, weights, rows)
    total = Moments.empty(X.shape[1])
    with quick_loops():
        for first in range(0, len(X), rows * CHUNK):
            last = min(first + rows * CHUNK, len(X))
            whole = last - (last - first) % rows
            stack = [reader.sums(i, i + rows) for i in range(first, whole, rows)]
            if stack:
                total = pool(total, moments_of_stack(stack))
            if whole < last:
                total = pool(total, moments_of(reader.sums(whole, last)))
    return total
