"""Moments of one cache-sized block of rows, with NumPy alone.

Sums are exact to about 30 digits by splitting, not by wider numbers: adding and
subtracting a large power of two splits every value into a leading part, a multiple
of a coarse unit, whose sum has no rounding error, and a small rest (Rump, Ogita &
Oishi, "Accurate floating-point summation part I", SIAM J. Sci. Comput. 31(1),
2008, algorithm 3.2). It costs five passes over a block that is in cache.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skbn import pairs
from skbn.engines.base import LARGE_VALUE, OutOfRangeError
from skbn.moments import MEAN, VARIANCE, Moments, nonzero, pool_stack, times_power
from skbn.pairs import Number, Pair

Array = NDArray[np.float64]

# Values in a row of a narrow block once it is viewed with several rows side by
# side. NumPy's loops over rows of 10 values spend 20 times longer on the loop
# than on the values.
WIDTH = 1024
# Values in NumPy's buffer: rows are at least half as long as WIDTH.
BUFFER = WIDTH // 2
# Rows of WIDTH values in a block: 1 MiB, which with its scratch stays in a
# second-level cache. With 32 rows two threads wait for the interpreter lock most of
# the time and are slower than one.
BLOCK_ROWS = 128
# Blocks that are finished and merged together, since a merge costs some sixty
# small NumPy calls however many it merges.
CHUNK = 64
# Tasks for the threads: enough to share out evenly, few enough to keep all their
# results. Arrays of less than so many chunks are shared out, too, but not in tasks of
# so few blocks that threads mostly wait: 80,000 rows of 100 in float64 took two threads
# 0.85 of the time of one chunk, and 4,096 rows in two tasks of two blocks 1.06 (Xeon,
# family 6, model 207, 2026-11).
TASKS, FEW_TASKS, BLOCKS_IN_A_TASK = 64, 8, 8

# Columns whose largest values differ by less share a splitter: what it leaves of the
# smaller ones is then still below 1e-6 of them.
ALIKE = 1e-6


class _Memory(threading.local):
    """Numbers that each thread keeps: fresh pages cost a minibatch a third more."""

    line = np.empty(0)


_memory = _Memory()


def scratch(shape: tuple[int, ...], *, by_columns: bool = False) -> Array:
    """Return memory of this thread to write to, until it asks for some again.

    It starts on a cache line: to subtract into memory that does not takes three times
    as long.
    """
    size = math.prod(shape)
    if _memory.line.size < size:
        memory = np.empty(size + 8)
        _memory.line = memory[-memory.ctypes.data // 8 % 8 :]
    line = _memory.line[:size]
    return line.reshape(shape[::-1]).T if by_columns else line.reshape(shape)


@contextmanager
def quick_loops() -> Iterator[None]:
    """Run NumPy's loops without warnings, and without its buffers.

    Where one operand is repeated for every row, NumPy copies rows that are shorter
    than its buffer there first: to subtract a row of 1,000 means took 0.45 ns a value,
    and takes 0.21 (Xeon, family 6, model 207, 2026-11).
    """
    size = np.setbufsize(BUFFER)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        np.setbufsize(size)


class Sums(NamedTuple):
    """What the passes over a block leave; arrays of shape (..., n_features)."""

    weight: Pair  # here and below in units of 2**power
    total: Pair  # of weight * value
    center: Array  # a float64 near the mean
    squares: Array  # of weight * (value - center)**2
    counted: bool = False  # the weight is one number of rows
    power: Any = 0


class Columns:
    """A block as wide rows, for operations with one value a column.

    Several rows are laid side by side where the number of rows allows it.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        rows, self.columns = shape
        self.count: Pair = float(rows), 0.0
        self.repeats = 1
        while (
            2 * self.repeats * self.columns <= WIDTH and rows % (2 * self.repeats) == 0
        ):
            self.repeats *= 2
        self.width = self.repeats * self.columns

    def view(self, block: Array) -> Array:
        """The block with wide rows."""
        return block.reshape(-1, self.width)

    def spread(self, values: Array) -> Array:
        """One value a column, to go with ``view``."""
        return values if self.repeats == 1 else np.concatenate((values,) * self.repeats)

    def sum(self, block: Array) -> Array:
        """Sum of each column."""
        sums = np.add.reduce(self.view(block), axis=0)
        if self.repeats == 1:
            return sums
        return np.add.reduce(sums.reshape(self.repeats, self.columns), axis=0)

    def careful_sum(self, block: Array) -> Array:
        """Sum of each column by halving, which overwrites the block.

        Its error grows like the logarithm of the number of rows. Equal values,
        whose rounding errors are equal too, would else lose a digit in a block.
        """
        work = self.view(block)
        while (count := len(work)) > 8:
            half = count // 2
            np.add(work[:half], work[half : 2 * half], out=work[:half])
            if count % 2:
                work[0] += work[-1]
            work = work[:half]
        sums = np.add.reduce(work, axis=0)
        while len(sums) > self.columns:
            half = len(sums) // 2
            sums = sums[:half] + sums[half:]
        return sums


columns_of = lru_cache(maxsize=64)(Columns)


def block_sums(block: Array, weights: Array | None, scratch: Array) -> Sums:
    """Sums of a C-contiguous float64 block.

    Parameters
    ----------
    block : ndarray of shape (rows, columns)
    weights : ndarray of shape (rows, 1) or None
    scratch : ndarray of shape (rows, columns), overwritten

    Raises
    ------
    OutOfRangeError
    """
    if weights is None:
        sums = _plain_sums(block, scratch)
    else:
        sums = _weighted_sums(block, weights, scratch)
    return sums or _sums_of_present(block, weights, scratch)


def _plain_sums(block: Array, scratch: Array) -> Sums | None:
    """Sums without weights; None where NaN, infinity or huge values are met."""
    columns = columns_of(block.shape)
    largest = max(block.max(), -block.min())
    if not largest < LARGE_VALUE:
        return None
    total = _exact_sum(block, columns, largest, scratch)
    center = total[0] / len(block)
    squares = _squares(block, columns, center, None, scratch)
    if squares.min() < (ALIKE * largest) ** 2:
        largest = np.abs(center) + np.sqrt(squares)
        total = _exact_sum(block, columns, largest, scratch)
    return Sums(columns.count, total, center, squares, counted=True)


def _weighted_sums(block: Array, weights: Array, scratch: Array) -> Sums | None:
    """Sums with a weight a row, or a value; None where huge values are met."""
    columns = columns_of(block.shape)
    largest = columns.sum(np.abs(block, out=scratch))
    if not largest.max() < LARGE_VALUE:
        return None
    # Products with weights of 1 or less cannot overflow where the values do not.
    power = int(np.frexp(weights.max())[1])
    weights = np.ldexp(weights, -power)
    weight = _sum_of_weights(weights)
    product, error = pairs.two_product(block, weights)
    largest = columns.sum(np.abs(product, out=scratch))
    # A splitter above the sum of all sizes need not be above as many of the largest.
    high, low = _exact_sum(product, columns, largest / len(block), scratch)
    total = pairs.two_sum(high, low + columns.sum(error))
    center = total[0] / nonzero(weight)[0]
    squares = _squares(block, columns, center, weights, scratch)
    return Sums(weight, total, center, squares, power=power)


def _sum_of_weights(weights: Array) -> Pair:
    """Column sums of (rows, 1) or (rows, columns) weights; floats for one column."""
    columns, largest = columns_of(weights.shape), weights.mean(axis=0)
    high, low = _exact_sum(weights, columns, largest, np.empty_like(weights))
    return (high, low) if len(high) > 1 else (float(high[0]), float(low[0]))


def _sums_of_present(block: Array, weights: Array | None, scratch: Array) -> Sums:
    """Sums of a block with missing values, or values that are out of range."""
    present = ~np.isnan(block)
    filled = np.where(present, block, 0.0)
    sums = None
    if weights is not None:
        sums = _weighted_sums(filled, np.where(present, weights, 0.0), scratch)
    elif not present.all():
        sums = _present_sums(filled, present, scratch)
    if sums is None:
        raise OutOfRangeError
    return sums


def _present_sums(
    filled: Array, present: NDArray[np.bool_], scratch: Array
) -> Sums | None:
    """Sums of the values that are present; ``filled`` is zero at the others."""
    columns = columns_of(filled.shape)
    largest = np.maximum.reduce(np.abs(filled, out=scratch), axis=0)
    if not largest.max() < LARGE_VALUE:
        return None
    count = np.add.reduce(present, axis=0, dtype=float)
    total = _exact_sum(filled, columns, largest, scratch)
    center = total[0] / np.maximum(count, 1.0)
    squares = _squares(filled, columns, center, present, scratch)
    return Sums((count, np.zeros_like(count)), total, center, squares)


def _squares(
    block: Array,
    columns: Columns,
    center: Array,
    weights: NDArray[np.generic] | None,
    scratch: Array,
) -> Array:
    """Column sums of ``weights * (block - center)**2``."""
    work = np.subtract(
        columns.view(block), columns.spread(center), out=columns.view(scratch)
    )
    np.multiply(work, work, out=work)
    if weights is not None:
        np.multiply(scratch, weights, out=scratch)
    return columns.careful_sum(scratch)


def _exact_sum(block: Array, columns: Columns, largest: Number, scratch: Array) -> Pair:
    """Column sums as pairs; no absolute value in a column may exceed its largest.

    One largest for all is quicker than one a column by a sixth of the time.
    """
    power = len(block).bit_length() + 1
    if np.ndim(largest) == 0:
        splitter: Number = math.ldexp(1.0, math.frexp(largest)[1] + power)
    else:
        splitter = columns.spread(np.ldexp(1.0, np.frexp(largest)[1] + power))
    work = np.add(columns.view(block), splitter, out=columns.view(scratch))
    np.subtract(work, splitter, out=work)
    leading = columns.sum(scratch)
    rest = np.subtract(block, scratch, out=scratch)
    return pairs.two_sum(leading, columns.sum(rest))


def moments_of(sums: Sums) -> Moments:
    """Mean and variance from sums, stacked or not; zero where the weight is."""
    weight = sums.weight
    if sums.counted:
        high, low = pairs.divide_by_count(sums.total, weight[0])
    else:
        weight = nonzero(weight)
        high, low = pairs.divide(sums.total, weight)
    offset = (high - sums.center) + low
    values = np.empty((2, *high.shape)), np.zeros((2, *high.shape))
    values[0][MEAN], values[1][MEAN] = high, low
    variance = sums.squares / weight[0] - offset * offset
    np.maximum(variance, 0.0, out=values[0][VARIANCE])
    return Moments(times_power(sums.weight, sums.power), values)


def moments_of_stack(blocks: list[Sums]) -> Moments:
    """Moments of all rows of several blocks with the same number of rows."""
    counted = all(sums.counted for sums in blocks)
    stacked = Sums(
        blocks[0].weight if counted else _rows_of([sums.weight for sums in blocks]),
        _rows_of([sums.total for sums in blocks]),
        np.array([sums.center for sums in blocks]),
        np.array([sums.squares for sums in blocks]),
        counted,
        0 if counted else np.array([[sums.power] for sums in blocks]),
    )
    return pool_stack(moments_of(stacked))


def _rows_of(numbers: list[Pair]) -> Pair:
    """Pairs of floats or arrays as a pair of arrays with a row each."""
    high, low = (
        np.array(np.broadcast_arrays(*part)).reshape(len(numbers), -1)
        for part in zip(*numbers, strict=True)
    )
    return high, low


def block_rows(n_features: int) -> int:
    """Rows of a block of so many features."""
    repeats = 1 << (max(WIDTH // n_features, 1).bit_length() - 1)
    return BLOCK_ROWS * repeats
