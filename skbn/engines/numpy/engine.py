"""The NumPy engine: the readable oracle that other engines are tested against.

Works on blocks that stay in cache, so no array grows with the number of rows.
The grid of blocks depends on the shape alone and blocks are merged in order:
the bits of a result do not depend on the number of threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import pairs, threads
from skbn.affine import Affine
from skbn.engines.base import InfinityInBlockError
from skbn.engines.numpy.blocks import (
    LANES,
    Array,
    Sums,
    block_sums,
    finish,
    finish_stack,
)
from skbn.moments import MEAN, Moments, as_array, pool
from skbn.validation import find_infinity, output

AnyArray = NDArray[np.generic]

# Rows of LANES values in a block: 1 MiB, which with its scratch stays in a
# second-level cache. With 32 rows two threads wait for the interpreter lock most of
# the time and are slower than one.
DEPTH = 128
# Values above which it pays to lay rows side by side to normalise them.
FOLDED = 4096
# Blocks that are finished and merged together, since a merge costs some sixty
# small NumPy calls however many it merges.
CHUNK = 64
# Tasks for the threads: enough to share out evenly, few enough to keep all their
# results.
TASKS = 64


CONTAINER = False

__all__ = ["accepts", "find_infinity", "moments", "normalize", "rows", "write"]


def accepts(X: object) -> bool:
    """Whether this engine reads X: a NumPy array."""
    return isinstance(X, np.ndarray)


def rows(X: AnyArray, start: int, stop: int) -> AnyArray:
    """Return the rows from start to stop."""
    return X[start:stop]


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
    n_samples, n_features = X.shape
    if n_samples == 1 and weights is None and np.isfinite(X).all():
        return _row_moments(X)
    if weights is not None:
        weights = weights[:, None]
    if n_samples * n_features <= DEPTH * LANES and n_features <= LANES:
        with np.errstate(all="ignore"):
            return finish(_Reader(X, weights, n_samples).sums(0, n_samples))
    panels = [
        _panel_moments(X[:, start : start + LANES], weights, n_threads)
        for start in range(0, n_features, LANES)
    ]
    return _side_by_side(panels)


def normalize(
    X: AnyArray, affine: Affine, *, copy: bool = True, n_threads: int | None = None
) -> AnyArray:
    """Return the image of X under ``affine``, of dtype ``output_dtype(X)``.

    With ``copy=False`` it is X itself, where X has that dtype and may be written.

    Raises
    ------
    InfinityInBlockError
        X holds an infinity, and has not been changed.
    """
    out = output(X, copy)
    write(X, affine, out, n_threads=n_threads)
    return out


def write(
    X: AnyArray, affine: Affine, out: AnyArray, *, n_threads: int | None = None
) -> None:
    """Write the image of X under ``affine`` to ``out``, which may be X itself.

    Computed in float64 whatever the dtypes of X and ``out``.

    Raises
    ------
    InfinityInBlockError
        X holds an infinity. Where ``out`` is X, nothing has been written.
    """
    in_place = np.may_share_memory(X, out)
    if in_place:
        _each_block(partial(_refuse_infinity, X), X.shape, n_threads)
    fold = min(LANES // X.shape[1], len(X)) if X.size > FOLDED else 1
    if fold > 1 and X.flags.c_contiguous and out.flags.c_contiguous:
        main = len(X) - len(X) % fold
        folded = -1, fold * X.shape[1]
        wide_X, wide_out = X[:main].reshape(folded), out[:main].reshape(folded)
        _normalize(wide_X, affine.tiled(fold), wide_out, not in_place, n_threads)
        X, out = X[main:], out[main:]
    if len(X):
        _normalize(X, affine, out, not in_place, n_threads)


def _normalize(
    X: AnyArray, affine: Affine, out: AnyArray, check: bool, n_threads: int | None
) -> None:
    function = partial(_normalize_block, X, affine, out, check)
    if X.size <= DEPTH * LANES:
        with np.errstate(all="ignore"):
            function(slice(None), slice(None))
    else:
        _each_block(function, X.shape, n_threads)


def _row_moments(X: AnyArray) -> Moments:
    """Moments of one row without missing values: itself."""
    values = np.zeros((2, X.shape[1]))
    values[MEAN] = X[0]
    return Moments(pairs.ONE, (values, np.zeros_like(values)))


class _Reader:
    """Reads blocks of X as C-contiguous float64, copying only where they are not."""

    def __init__(self, X: AnyArray, weights: Array | None, rows: int) -> None:
        self.X, self.weights = X, weights
        self.scratch = _memory.scratch(rows, X.shape[1])
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


class _Memory(threading.local):
    """Scratch that each thread keeps: fresh pages cost a minibatch a third more.

    It starts on a cache line, which takes a quarter off every pass.
    """

    def __init__(self) -> None:
        memory = np.empty(DEPTH * LANES + 8)
        self._line = memory[-memory.ctypes.data // 8 % 8 :]

    def scratch(self, rows: int, columns: int) -> Array:
        return self._line[: rows * columns].reshape(rows, columns)


_memory = _Memory()


def _block_rows(n_features: int) -> int:
    fold = 1 << (max(LANES // n_features, 1).bit_length() - 1)
    return DEPTH * fold


def _panel_moments(
    X: AnyArray, weights: Array | None, n_threads: int | None
) -> Moments:
    """Moments of a panel of at most LANES columns."""
    rows = _block_rows(X.shape[1])
    n_chunks = -(-len(X) // (rows * CHUNK))
    per_task = -(-n_chunks // TASKS) * CHUNK * rows
    starts = range(0, len(X), per_task)

    def task(start: int) -> Moments:
        return _rows_moments(X[start : start + per_task], weights_of(start), rows)

    def weights_of(start: int) -> Array | None:
        return None if weights is None else weights[start : start + per_task]

    total = Moments.empty(X.shape[1])
    for part in threads.run(task, starts, n_threads):
        total = pool(total, part)
    return total


def _rows_moments(X: AnyArray, weights: Array | None, rows: int) -> Moments:
    """Moments of some rows, a chunk of blocks at a time."""
    reader = _Reader(X, weights, rows)
    total = Moments.empty(X.shape[1])
    with np.errstate(all="ignore"):
        for first in range(0, len(X), rows * CHUNK):
            last = min(first + rows * CHUNK, len(X))
            whole = last - (last - first) % rows
            stack = [reader.sums(i, i + rows) for i in range(first, whole, rows)]
            if stack:
                total = pool(total, finish_stack(stack))
            if whole < last:
                total = pool(total, finish(reader.sums(whole, last)))
    return total


def _side_by_side(panels: list[Moments]) -> Moments:
    """Moments of the features of all panels."""
    if len(panels) == 1:
        return panels[0]
    high, low = zip(*(panel.values for panel in panels), strict=True)
    values = np.concatenate(high, axis=1), np.concatenate(low, axis=1)
    if all(isinstance(panel.weight[0], float) for panel in panels):
        return Moments(panels[0].weight, values)

    def part(index: int) -> Array:
        return np.concatenate(
            [as_array(p.weight[index], p.values[0].shape[1]) for p in panels]
        )

    return Moments((part(0), part(1)), values)


def _each_block(
    function: Callable[[slice, slice], None],
    shape: tuple[int, ...],
    n_threads: int | None,
) -> None:
    """Call function(rows, columns) with the slices of every block."""
    n_samples, n_features = shape
    rows = _block_rows(n_features)
    per_task = max(CHUNK, -(-n_samples // (TASKS * rows))) * rows

    def task(first: int) -> None:
        last = min(first + per_task, n_samples)
        with np.errstate(all="ignore"):
            for start in range(first, last, rows):
                for left in range(0, n_features, LANES):
                    function(
                        slice(start, min(start + rows, last)),
                        slice(left, left + LANES),
                    )

    threads.run(task, range(0, n_samples, per_task), n_threads)


def _refuse_infinity(X: AnyArray, rows: slice, columns: slice) -> None:
    _check_finite(X[rows, columns], X[rows, columns])


def _check_finite(block: AnyArray, image: AnyArray) -> None:
    """Raise if the block holds an infinity; its image then does, too."""
    total = np.add.reduce(image, axis=None, dtype=float)
    if not np.isfinite(total) and np.isinf(block).any():
        raise InfinityInBlockError


def _normalize_block(
    X: AnyArray,
    affine: Affine,
    out: AnyArray,
    check: bool,
    rows: slice,
    columns: slice,
) -> None:
    block, target = X[rows, columns], out[rows, columns]
    work = target if target.dtype == np.float64 else np.empty_like(block, dtype=float)
    source: AnyArray = block
    for part in affine.before or ():
        if part is not None:
            source = np.subtract(source, part[columns], out=work)
    if affine.scale is not None:
        step = np.divide if affine.divides else np.multiply
        source = step(source, affine.scale[columns], out=work)
    for part in reversed(affine.after or ()):
        if part is not None:
            source = np.add(source, part[columns], out=work)
    if check:
        _check_finite(block, source)
    if affine.clip is not None:
        source = np.clip(source, *affine.clip, out=work)
    if source is not target:
        np.copyto(target, source, casting="unsafe")
