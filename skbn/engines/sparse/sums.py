"""Moments of the rows of a sparse matrix: zeros included, and NaN left out.

Sums of squares are taken around zero first: there the zeros that are not stored add
nothing, and a feature where many are has zero near its mean. For the others, told by
how much of the squares the mean takes away, the squares are summed once more, around
the mean. Everything is in pairs.

The grid of tasks depends on the matrix alone, and tasks are added up in order: the bits
of a result do not depend on the number of threads.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import pairs, threads
from skbn.engines.base import OutOfRangeError, larger_unit
from skbn.engines.sparse import numpy_kernels
from skbn.engines.sparse.dispatch import kernels_for
from skbn.engines.sparse.entries import (
    BLOCK,
    Entries,
    stored_features,
    trimmed,
    without_duplicates,
)
from skbn.engines.sparse.numpy_kernels import (
    MISSING,
    N_SUMS,
    SQUARES,
    TOTAL,
    WEIGHT,
    add_pairs,
)
from skbn.moments import Moments, nonzero, scaled, times_power
from skbn.pairs import Pair

Array = NDArray[np.float64]

# Entries in a task for the threads.
TASK = 2**19
# Tasks, whose sums are all kept, and features times tasks.
MOST_TASKS, MOST_SUMS = 64, 2**20

# Sums that can still be split in halves to be multiplied. Those of values below
# ``base.LARGE_VALUE`` are.
MAX_ABS = 2.0**960
# Weights of more powers of two are divided, so that products stay in the range.
MAX_EXPONENT = 16
# A weight that is left over from sums of weights this much larger has 64 bits of noise
# less: below, it is added up anew.
LEFT_OVER = 2.0**-40
# Features whose columns are looked at together.
FEW = 16
# Features that repay a look at which of them store anything, if half do not: 0.1 ms for
# few entries, and for the sums of so many features 0.4 ms (Intel Xeon Sapphire Rapids,
# 2026-11).
MANY = 2**12


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
        if abs(power) > MAX_EXPONENT:
            self.power, weights = power, np.ldexp(weights, -power)
        self.values = np.ascontiguousarray(weights)
        self.total = exact_sum(self.values)

    def in_units(self, weight: Pair) -> Pair:
        """A weight as the caller counts."""
        return times_power(weight, self.power)


def exact_sum(values: Array) -> Pair:
    """Sum of values that are not negative, a pair of float."""
    splitter = np.ldexp(2.0, np.frexp(values.sum())[1])
    high = low = 0.0
    for start in range(0, values.size, BLOCK):
        block = values[start : start + BLOCK]
        leading = (block + splitter) - splitter
        high += leading.sum()
        low += (block - leading).sum()
    high, low = pairs.two_sum(high, low)
    return float(high), float(low)


def moments(
    X: Any,
    weights: Array | None = None,
    *,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Moments:
    """Moments of the rows of X.

    Parameters
    ----------
    X : CSR or CSC, matrix or array, of shape (n_samples, n_features)
    weights : ndarray of shape (n_samples,), float64, finite and >= 0, or None
    n_threads : int or None
    engine : str
        "numpy", "numba", or anything else for Numba where it is compiled already or
        there are entries enough to repay its compiler. NumPy reads what Numba does not,
        also where that was asked for: values of other dtypes than float32, float64,
        bool and integers, arrays with strides, and indices of two dtypes.

    Raises
    ------
    InfinityInBlockError
    """
    entries = Entries(X)
    if max(2 * entries.count, MANY) < entries.n_features:
        features, part = stored_features(entries)
        rows = RowWeights(weights, entries.n_rows)
        found = Moments.empty(0)
        if features.size:
            found = _of_any_size(part, weights, n_threads, engine)
        return _beside_zeros(found, features, entries, rows.in_units(rows.total))
    return _of_any_size(X, weights, n_threads, engine)


def _beside_zeros(
    found: Moments, features: NDArray[np.intp], entries: Entries, total: Pair
) -> Moments:
    """Moments of some features, and of all others, where each row is zero."""
    high, low = np.zeros((2, 2, entries.n_features))
    high[:, features], low[:, features] = found.values
    if not features.size or isinstance(found.weight[0], float):
        return Moments(total, (high, low))
    weight = np.full((2, entries.n_features), np.reshape(total, (2, 1)))
    weight[:, features] = found.weight
    return Moments(tuple(weight), (high, low))


def _of_any_size(
    X: Any, weights: Array | None, n_threads: int | None, engine: str
) -> Moments:
    kernels = kernels_for(engine, "sums", Entries(X), weighted=weights is not None)
    with np.errstate(all="ignore"):
        try:
            return _moments(X, weights, n_threads, kernels)
        except OutOfRangeError:
            return _in_larger_units(X, weights, n_threads)


def _moments(
    X: Any, weights: Array | None, n_threads: int | None, kernels: Any
) -> Moments:
    rows, data = RowWeights(weights, X.shape[0]), _Sums(X, kernels, n_threads)
    sums = data.around(None, rows)
    if data.unsorted and (summed := without_duplicates(X)) is not X:
        return _moments(summed, weights, n_threads, kernels)
    if not (np.abs(sums) < MAX_ABS).all():
        raise OutOfRangeError
    return _from_sums(data, sums, rows)


def _in_larger_units(X: Any, weights: Array | None, n_threads: int | None) -> Moments:
    """Moments of the rows of X, where sums left the range or met an infinity."""
    X = trimmed(without_duplicates(X))
    entries, largest, small = Entries(X), np.zeros(X.shape[1]), copy(X)
    features, start = entries.features(0, entries.count)
    values = entries.data.astype(np.float64)
    np.fmax.at(largest[start:], features, np.abs(values))
    unit = larger_unit(largest)
    small.data = np.ldexp(values, -unit[start:][features])
    found = _moments(small, weights, n_threads, numpy_kernels)
    return Moments(found.weight, scaled(found.values, unit))


class _Sums:
    """The sums of a matrix's entries.

    Attributes
    ----------
    unsorted : bool
        Whether some place may be stored twice.
    """

    def __init__(self, X: Any, kernels: Any, n_threads: int | None) -> None:
        self.X, self.entries, self.kernels = X, Entries(X), kernels
        self.n_threads, self.unsorted = n_threads, False

    def around(self, center: Array | None, rows: RowWeights) -> Array:
        """Sums of shape (2, N_SUMS, n_features), with squares around the center."""
        entries, whole = self.entries, np.zeros((2, N_SUMS, self.entries.n_features))
        starts = range(0, entries.count, per := _entries_in_task(entries))

        def task(first: int) -> tuple[Array, bool]:
            last = min(first + per, entries.count)
            return self.kernels.add_entries(entries, first, last, rows.values, center)

        parts = threads.run(task, starts, self.n_threads)
        with np.errstate(all="ignore"):
            for first, (part, unsorted) in zip(starts, parts, strict=True):
                columns = entries.columns(first, min(first + per, entries.count))
                add_pairs(whole[:, :, columns], part, nothing_yet=first == 0)
                self.unsorted |= unsorted
        return whole


def _entries_in_task(entries: Entries) -> int:
    n_tasks = min(-(-entries.count // TASK), MOST_TASKS)
    if entries.by_rows:
        n_tasks = min(n_tasks, max(MOST_SUMS // entries.n_features, 4))
        n_tasks = min(n_tasks, entries.count // (4 * entries.n_features))
    return -(-entries.count // max(n_tasks, 1)) or 1


def _from_sums(data: _Sums, sums: Array, rows: RowWeights) -> Moments:
    """Moments of the rows, from the sums of the entries around zero."""
    missing, weighted = sums[0, MISSING], rows.values is not None
    if weighted:
        zeros = _weight_of_zeros(data, sums, rows)
        weight = pairs.add(tuple(sums[:, WEIGHT]), zeros)
    else:
        weight = rows.total[0] - missing, np.zeros_like(missing)
    whole = nonzero(weight)
    mean = pairs.divide(tuple(sums[:, TOTAL]), whole)
    squares = pairs.divide(tuple(sums[:, SQUARES]), whole)
    variance = pairs.subtract(squares, pairs.multiply(mean, mean))
    limit = numpy_kernels.LIMIT if weighted else data.kernels.LIMIT
    far = squares[0] > limit * variance[0]
    if far.any():
        if not weighted:
            zeros = _weight_of_zeros(data, sums, rows)
        near = data.around(np.where(far, mean[0], 0.0), rows)
        around = _around_mean(mean, tuple(near[:, SQUARES]), zeros, whole)
        variance = _where(far, around, variance)
    variance = _where(variance[0] > 0, variance, pairs.ZERO)
    shared = weight if missing.any() else rows.total
    return Moments(
        rows.in_units(shared),
        (np.stack((mean[0], variance[0])), np.stack((mean[1], variance[1]))),
    )


def _where(mask: NDArray[np.bool_], a: Pair, b: Pair) -> Pair:
    return np.where(mask, a[0], b[0]), np.where(mask, a[1], b[1])


def _around_mean(mean: Pair, squares: Pair, zeros: Pair, weight: Pair) -> Pair:
    """Variance from squares around the high part of the mean, zeros not counted in."""
    square = pairs.two_product(mean[0], mean[0])
    squares = pairs.add(squares, pairs.multiply(zeros, square))
    variance = pairs.divide(squares, weight)
    return pairs.subtract(variance, pairs.two_product(mean[1], mean[1]))


def _weight_of_zeros(data: _Sums, sums: Array, rows: RowWeights) -> Pair:
    """Weight of the rows that a feature stores nothing of, a pair of arrays."""
    n_rows, n_stored = data.entries.n_rows, data.entries.n_stored()
    if rows.values is None:
        return n_rows - n_stored, np.zeros(n_stored.size)
    counted = pairs.add(tuple(sums[:, WEIGHT]), tuple(sums[:, MISSING]))
    left = pairs.subtract(rows.total, counted)
    full = n_stored == n_rows
    high, low = (np.where(full, 0.0, part) for part in left)
    unsure = np.flatnonzero(~full & (high < LEFT_OVER * rows.total[0]))
    for start in range(0, unsure.size, FEW):
        few = unsure[start : start + FEW]
        high[few], low[few] = _added_up(data.X, few, rows.values)
    return high, low


def _added_up(X: Any, features: NDArray[np.intp], weights: Array) -> Pair:
    """Weight of the rows that these features store nothing of."""
    part = Entries(trimmed(X)[:, features].tocsc())
    sums = []
    for j in range(features.size):
        free = np.ones(part.n_rows, dtype=bool)
        free[part.indices[part.indptr[j] : part.indptr[j + 1]]] = False
        sums.append(exact_sum(weights[free]))
    high, low = np.array(sums).T
    return high, low
