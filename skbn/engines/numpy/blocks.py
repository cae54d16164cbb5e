"""Moments of one cache-sized block of rows, with NumPy alone.

Sums are exact to about 30 digits by splitting, not by wider numbers: adding and
subtracting a large power of two cuts every value into a leading part, a multiple
of a coarse unit, whose sum has no rounding error, and a small rest (Rump, Ogita &
Oishi, "Accurate floating-point summation part I", SIAM J. Sci. Comput. 31(1),
2008, algorithm 3.2). It costs five passes over a block that is in cache.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from skbn import pairs
from skbn.engines.base import InfinityInBlockError
from skbn.moments import MEAN, UNIT, VARIANCE, Moments, nonzero, pool_stack, scaled
from skbn.pairs import Number, Pair

Array = NDArray[np.float64]

# Values in a row of a narrow block once it is viewed with several rows side by
# side. NumPy's loops over rows of 10 values spend 20 times longer on the loop
# than on the values.
LANES = 1024


# Sums are safe from overflow, and from the splitting of products, below this.
REACH = 2.0**450


# Columns whose largest values differ by less share a cut: what it leaves of the
# smaller ones is then still below 1e-6 of them.
ALIKE = 1e-6


NO_UNIT = 0


class Sums(NamedTuple):
    """What the passes over a block leave; arrays of shape (..., n_features)."""

    weight: Pair
    total: Pair  # of weight * value
    centre: Array  # a float64 near the mean
    squares: Array  # of weight * (value - centre)**2
    unit: Number  # values were divided by 2**unit
    counted: bool = False  # the weight is one number of rows


class Columns:
    """A block as wide rows, for operations with one value a column.

    Several rows are laid side by side where the number of rows allows it.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        rows, self.columns = shape
        self.count: Pair = float(rows), 0.0
        self.fold = 1
        while 2 * self.fold * self.columns <= LANES and rows % (2 * self.fold) == 0:
            self.fold *= 2
        self.width = self.fold * self.columns

    def view(self, block: Array) -> Array:
        """The block with wide rows."""
        return block.reshape(-1, self.width)

    def spread(self, values: Array) -> Array:
        """One value a column, to go with ``view``."""
        return values if self.fold == 1 else np.concatenate((values,) * self.fold)

    def sum(self, block: Array) -> Array:
        """Sum of each column."""
        sums = np.add.reduce(self.view(block), axis=0)
        if self.fold == 1:
            return sums
        return np.add.reduce(sums.reshape(self.fold, self.columns), axis=0)

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
        return self._unfolded(np.add.reduce(work, axis=0))

    def _unfolded(self, sums: Array) -> Array:
        while len(sums) > self.columns:
            half = len(sums) // 2
            sums = sums[:half] + sums[half:]
        return sums


@lru_cache(maxsize=64)
def columns_of(shape: tuple[int, int]) -> Columns:
    """Return the layout for blocks of that shape."""
    return Columns(shape)


def block_sums(block: Array, weights: Array | None, scratch: Array) -> Sums:
    """Sums of a C-contiguous float64 block.

    Parameters
    ----------
    block : ndarray of shape (rows, columns)
    weights : ndarray of shape (rows, 1) or None
    scratch : ndarray of shape (rows, columns), overwritten

    Raises
    ------
    InfinityInBlockError
    """
    if weights is None:
        sums = _plain_sums(block, scratch)
    else:
        sums = _weighted_sums(block, weights, scratch)
    return sums or _careful_sums(block, weights, scratch)


def _plain_sums(block: Array, scratch: Array) -> Sums | None:
    """Sums without weights; None where NaN, infinity or huge values are met."""
    columns = columns_of(block.shape)
    reach = max(block.max(), -block.min())
    if not reach < REACH:
        return None
    total = _exact_sum(block, columns, reach, scratch)
    centre = total[0] / len(block)
    squares = _squares(block, columns, centre, None, scratch)
    if squares.min() < (ALIKE * reach) ** 2:
        reaches = np.abs(centre) + np.sqrt(squares)
        total = _exact_sum(block, columns, reaches, scratch)
    return Sums(columns.count, total, centre, squares, NO_UNIT, counted=True)


def _weighted_sums(block: Array, weights: Array, scratch: Array) -> Sums | None:
    """Sums with a weight a row, or a value; None where huge values are met."""
    columns = columns_of(block.shape)
    reaches = columns.sum(np.abs(block, out=scratch))
    if not reaches.max() < REACH:
        return None
    # Products with weights of 1 or less cannot overflow where the values do not.
    power = np.frexp(weights.max())[1]
    weights = np.ldexp(weights, -power)
    weight = _sum_of_weights(weights)
    product, error = pairs.two_product(block, weights)
    reaches = columns.sum(np.abs(product, out=scratch))
    high, low = _exact_sum(product, columns, reaches, scratch)
    total = pairs.two_sum(high, low + columns.sum(error))
    centre = total[0] / nonzero(weight)[0]
    squares = _squares(block, columns, centre, weights, scratch)
    weight = weight[0] * 2.0**power, weight[1] * 2.0**power
    total = np.ldexp(total[0], power), np.ldexp(total[1], power)
    return Sums(weight, total, centre, np.ldexp(squares, power), NO_UNIT)


def _sum_of_weights(weights: Array) -> Pair:
    """Column sums of (rows, 1) or (rows, columns) weights; floats for one column."""
    columns, reach = columns_of(weights.shape), weights.max(axis=0)
    high, low = _exact_sum(weights, columns, reach, np.empty_like(weights))
    return (high, low) if len(high) > 1 else (float(high[0]), float(low[0]))


def _careful_sums(block: Array, weights: Array | None, scratch: Array) -> Sums:
    """Sums of a block with missing values, or values too large to square."""
    if np.isinf(block).any():
        raise InfinityInBlockError
    present = ~np.isnan(block)
    filled = np.where(present, block, 0.0)
    huge = np.maximum.reduce(np.abs(filled), axis=0) >= REACH / len(block)
    unit = np.where(huge, UNIT, 0)
    filled = np.ldexp(filled, -unit)
    if weights is not None:
        sums = _weighted_sums(filled, np.where(present, weights, 0.0), scratch)
    elif present.all():
        sums = _plain_sums(filled, scratch)
    else:
        sums = _present_sums(filled, present, scratch)
    assert sums is not None
    return sums._replace(unit=unit if huge.any() else NO_UNIT)


def _present_sums(filled: Array, present: NDArray[np.bool_], scratch: Array) -> Sums:
    """Sums of the values that are present; ``filled`` is zero at the others."""
    columns = columns_of(filled.shape)
    reach = np.maximum.reduce(np.abs(filled, out=scratch), axis=0)
    count = np.add.reduce(present, axis=0, dtype=float)
    total = _exact_sum(filled, columns, reach, scratch)
    centre = total[0] / np.maximum(count, 1.0)
    squares = _squares(filled, columns, centre, present, scratch)
    return Sums((count, np.zeros_like(count)), total, centre, squares, NO_UNIT)


def _squares(
    block: Array,
    columns: Columns,
    centre: Array,
    weights: NDArray[np.generic] | None,
    scratch: Array,
) -> Array:
    """Column sums of ``weights * (block - centre)**2``."""
    work = np.subtract(
        columns.view(block), columns.spread(centre), out=columns.view(scratch)
    )
    np.multiply(work, work, out=work)
    if weights is not None:
        np.multiply(scratch, weights, out=scratch)
    return columns.careful_sum(scratch)


def _exact_sum(block: Array, columns: Columns, reach: Number, scratch: Array) -> Pair:
    """Column sums as pairs; no absolute value in a column may exceed its reach.

    One reach for all is quicker than one a column by a sixth of the time.
    """
    power = len(block).bit_length() + 1
    if np.ndim(reach) == 0:
        cut: Number = math.ldexp(1.0, math.frexp(reach)[1] + power)
    else:
        cut = columns.spread(np.ldexp(1.0, np.frexp(reach)[1] + power))
    work = np.add(columns.view(block), cut, out=columns.view(scratch))
    np.subtract(work, cut, out=work)
    leading = columns.sum(scratch)
    rest = np.subtract(block, scratch, out=scratch)
    return pairs.two_sum(leading, columns.sum(rest))


def finish(sums: Sums) -> Moments:
    """Mean and variance from sums, stacked or not; zero where the weight is."""
    weight = sums.weight
    if sums.counted:
        high, low = pairs.divide_by_count(sums.total, weight[0])
    else:
        weight = nonzero(weight)
        high, low = pairs.divide(sums.total, weight)
    offset = (high - sums.centre) + low
    values = np.empty((2, *high.shape)), np.zeros((2, *high.shape))
    values[0][MEAN], values[1][MEAN] = high, low
    variance = sums.squares / weight[0] - offset * offset
    np.maximum(variance, 0.0, out=values[0][VARIANCE])
    if sums.unit is not NO_UNIT:
        values = scaled(values, sums.unit)
    return Moments(sums.weight, values)


def finish_stack(blocks: list[Sums]) -> Moments:
    """Moments of all rows of several blocks with the same number of rows."""
    counted = all(sums.counted for sums in blocks)
    stacked = Sums(
        blocks[0].weight if counted else _rows_of([sums.weight for sums in blocks]),
        _rows_of([sums.total for sums in blocks]),
        np.array([sums.centre for sums in blocks]),
        np.array([sums.squares for sums in blocks]),
        _units_of(blocks),
        counted,
    )
    return pool_stack(finish(stacked))


def _rows_of(numbers: list[Pair]) -> Pair:
    """Pairs of floats or arrays as a pair of arrays with a row each."""
    high, low = (
        np.array(np.broadcast_arrays(*part)).reshape(len(numbers), -1)
        for part in zip(*numbers, strict=True)
    )
    return high, low


def _units_of(blocks: list[Sums]) -> Number:
    units = [sums.unit for sums in blocks]
    return np.array(np.broadcast_arrays(*units)) if np.any(units) else NO_UNIT
