"""From the sums of a sparse matrix's entries to the moments of its rows.

Sums of squares are taken around zero first: there the zeros that are not stored add
nothing, and a feature where many are has zero near its mean. For the others, told by
how much of the squares the mean takes away, the sums are taken once more, around the
mean. Everything is in pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import pairs
from skbn.engines.sparse.entries import BLOCK, Entries, without_room
from skbn.engines.sparse.numpy_sums import (
    COUNT,
    LOST,
    LOST_WEIGHT,
    NOISE,
    SQUARES,
    TOTAL,
    WEIGHT,
)
from skbn.moments import Moments, nonzero, scaled
from skbn.pairs import Pair

Array = NDArray[np.float64]

# Weights between two powers of two need no care: no product of three leaves the range.
TAME = 64
# A weight that is left over from sums of weights this much larger has 64 bits of noise
# less: below, it is added up anew.
LEFT_OVER = 2.0**-40
# Squares this much above what they may be off by have 23 digits.
CLEAR = 2.0**76
# Features whose columns are looked at together.
FEW = 16


class RowWeights:
    """Weights of rows, in units of their own.

    Attributes
    ----------
    values : ndarray of shape (n_rows,) or None
        Weights divided by ``2**power``; None for ones.
    total : pair of float
        Their sum.
    power : int
    """

    def __init__(self, weights: Array | None, n_rows: int) -> None:
        self.values, self.power = weights, 0
        self.total: Pair = (float(n_rows), 0.0)
        if weights is None:
            return
        power = int(np.frexp(weights.max())[1])
        if abs(power) > TAME:
            self.power, weights = power, np.ldexp(weights, -power)
        self.values = np.ascontiguousarray(weights)
        self.total = exact_sum(self.values)

    def in_units(self, weight: Pair) -> Pair:
        """A weight as the caller counts."""
        if not self.power:
            return weight
        high, low = (np.ldexp(part, self.power) for part in weight)
        return (high, low) if np.ndim(high) else (float(high), float(low))


def exact_sum(values: Array) -> Pair:
    """Sum of values that are not negative, a pair of float."""
    cut = np.ldexp(2.0, np.frexp(values.sum())[1])
    high = low = 0.0
    for start in range(0, values.size, BLOCK):
        block = values[start : start + BLOCK]
        leading = (block + cut) - cut
        high += leading.sum()
        low += (block - leading).sum()
    high, low = pairs.two_sum(high, low)
    return float(high), float(low)


def from_sums(
    X: Any, sums: Array, rows: RowWeights, limit: float, again: Callable[[Array], Array]
) -> Moments:
    """Moments of the rows of X, from the sums of its entries around zero.

    Parameters
    ----------
    X : CSR or CSC, no place stored twice
    sums : ndarray of shape (2, N_SUMS, n_features)
    rows : RowWeights
    limit : float
        How many times as large as around the mean the squares may be.
    again : callable
        The sums around the centres it is given, for features where they are not 0.
    """
    if rows.values is None:
        weight: Pair = X.shape[0] - sums[0, LOST], np.zeros(X.shape[1])
    else:
        zeros = _weight_of_zeros(X, sums, rows)
        weight = pairs.add(tuple(sums[:, WEIGHT]), zeros)
    whole = nonzero(weight)
    mean = pairs.divide(tuple(sums[:, TOTAL]), whole)
    squares = pairs.divide(tuple(sums[:, SQUARES]), whole)
    variance = pairs.subtract(squares, pairs.multiply(mean, mean))
    found = sums[0, SQUARES]
    unsure = (found < CLEAR * sums[0, NOISE]) & (found > 0)
    if (far := unsure | (squares[0] > limit * variance[0])).any():
        near = np.where(mean[0] != 0, mean[0], np.sqrt(squares[0]))
        centre: Array = np.where(far, near, 0.0)
        closer = again(centre)
        if rows.values is None:
            zeros = _weight_of_zeros(X, closer, rows)
        new = _around(centre, closer, zeros, whole)
        mean, variance = (
            (np.where(far, its[0], old[0]), np.where(far, its[1], old[1]))
            for its, old in zip(new, (mean, variance), strict=True)
        )
    above = variance[0] > 0
    variance = np.where(above, variance[0], 0.0), np.where(above, variance[1], 0.0)
    return Moments(
        rows.in_units(_shared(weight, sums, rows)),
        (np.stack((mean[0], variance[0])), np.stack((mean[1], variance[1]))),
    )


def _around(centre: Array, sums: Array, zeros: Pair, weight: Pair) -> tuple[Pair, Pair]:
    """Mean and variance from sums around a centre."""
    mean = pairs.divide(tuple(sums[:, TOTAL]), weight)
    squares = pairs.add(
        tuple(sums[:, SQUARES]),
        pairs.multiply(zeros, pairs.two_product(centre, centre)),
    )
    away = pairs.subtract(mean, (centre, 0.0 * centre))
    around = pairs.subtract(pairs.divide(squares, weight), pairs.multiply(away, away))
    return mean, around


def in_units(moments: Moments, power: NDArray[np.int64]) -> Moments:
    """Moments of values that had been divided by powers of two."""
    high, low = scaled(moments.values, power)
    return Moments(moments.weight, (high, np.where(np.isfinite(high), low, 0.0)))


def _shared(weight: Pair, sums: Array, rows: RowWeights) -> Pair:
    """One weight for all features, where nothing is missing."""
    return weight if sums[0, LOST].any() else rows.total


def _weight_of_zeros(X: Any, sums: Array, rows: RowWeights) -> Pair:
    """Weight of the rows that a feature stores nothing of, a pair of arrays."""
    n_rows = X.shape[0]
    stored = sums[0, COUNT] + sums[0, LOST]
    if rows.values is None:
        return n_rows - stored, np.zeros(stored.size)
    counted = pairs.add(tuple(sums[:, WEIGHT]), tuple(sums[:, LOST_WEIGHT]))
    left = pairs.subtract(rows.total, counted)
    full = stored == n_rows
    high, low = (np.where(full, 0.0, part) for part in left)
    unsure = np.flatnonzero(~full & (high < LEFT_OVER * rows.total[0]))
    for start in range(0, unsure.size, FEW):
        few = unsure[start : start + FEW]
        high[few], low[few] = _added_up(X, few, rows.values)
    return high, low


def _added_up(X: Any, features: NDArray[np.intp], weights: Array) -> Pair:
    """Weight of the rows that these features store nothing of."""
    part = Entries(without_room(X)[:, features].tocsc())
    sums = []
    for j in range(features.size):
        free = np.ones(part.n_rows, dtype=bool)
        free[part.indices[part.indptr[j] : part.indptr[j + 1]]] = False
        sums.append(exact_sum(weights[free]))
    high, low = np.array(sums).T
    return high, low
