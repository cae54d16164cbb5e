"""Moments: weight, mean and variance of some rows, and how two of them combine.

The laws, checked in ``tests/test_moments.py`` against exact rational arithmetic:

* ``pool`` has the identity ``Moments.empty`` and is associative and commutative,
  so the moments of a data set do not depend on how it was cut;
* nothing overflows that the result itself does not.

Both follow from keeping the mean and the variance rather than sums, each as a
pair of float64 (see ``skbn.pairs``): a sum of 500 values near the largest float
overflows, their mean does not, and a pair survives a million merges with its
first sixteen digits intact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from skbn import pairs
from skbn.pairs import Number, Pair

MEAN, VARIANCE = 0, 1

# A feature whose numbers leave the float64 range while they combine is combined
# in units of 2**600 instead: means then stay below 2**424, their squares finite.
UNIT = 600


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Weight, mean and variance of some rows, feature by feature.

    Attributes
    ----------
    weight : pair of float or of ndarray broadcastable to ``values``
        Sum of the rows' weights; a plain float when all features share it.
    values : pair of ndarray of shape (2, ..., n_features), float64
        Mean (row 0) and population variance (row 1), zero where the weight is.
        Axes in between, where present, stack independent moments.
    """

    weight: Pair
    values: Pair

    @classmethod
    def empty(cls, n_features: int) -> Moments:
        """Return the moments of no rows: the identity of ``pool``."""
        zeros = np.zeros((2, n_features))
        return cls(pairs.ZERO, (zeros, zeros))

    @property
    def mean(self) -> Pair:
        """Mean of each feature, a pair of arrays of shape (..., n_features)."""
        return self.values[0][MEAN], self.values[1][MEAN]

    @property
    def variance(self) -> Pair:
        """Population variance of each feature, likewise."""
        return self.values[0][VARIANCE], self.values[1][VARIANCE]

    def weighing(self, weight: Pair) -> Moments:
        """Return the same mean and variance with another weight behind them."""
        return Moments(weight, self.values)


Combine: TypeAlias = Callable[..., Moments]


def pool(left: Moments, right: Moments) -> Moments:
    """Return the moments of the rows of both, by the difference of their means.

    Chan, Golub & LeVeque, "Algorithms for computing the sample variance", The
    American Statistician 37(3), 1983, eq. 2.1, written for variances::

        s     = w_right / (w_left + w_right)
        mean += s (mean_right - mean)
        var  += s (var_right - var) + s (1 - s) (mean_right - mean)**2
    """
    return combine(left, right, between=True)


def blend(left: Moments, right: Moments) -> Moments:
    """Return weighted averages of the means and, apart, of the variances.

    Like ``pool`` without the variance between the two: batch norm's own running
    variance. Weights may differ for the mean and the variance (shape (2, ...)).
    """
    return combine(left, right, between=False)


def pool_stack(stack: Moments) -> Moments:
    """Pool stacked moments, of shape (n, n_features), all at once."""
    n = stack.values[0].shape[1]
    if n == 1:
        return _nth(stack, 0)
    with np.errstate(all="ignore"):
        pooled = _pool_rows(stack, n)
    if np.isfinite(pooled.values[0]).all():
        return pooled
    return reduce(pool, (_nth(stack, i) for i in range(n)))


def _pool_rows(stack: Moments, n: int) -> Moments:
    """Weighted averages of the means, and of the variances around them."""
    if isinstance(stack.weight[0], float):
        weight = total = pairs.multiply(stack.weight, (float(n), 0.0))
    else:
        weight = pairs.pair_sum(stack.weight)
        total = nonzero(weight)
    start = stack.mean[0][0], stack.mean[1][0]
    gap = pairs.subtract(stack.mean, start)
    step = pairs.divide(pairs.pair_sum(pairs.multiply(gap, stack.weight)), total)
    away = pairs.subtract(gap, step)[0]
    spread = (stack.variance[0] + away * away) * stack.weight[0]
    variance = pairs.divide(pairs.pair_sum((spread, 0.0 * spread)), total)
    mean = pairs.add(start, step)
    return Moments(
        weight,
        (np.array((mean[0], variance[0])), np.array((mean[1], variance[1]))),
    )


def combine(left: Moments, right: Moments, *, between: bool) -> Moments:
    """Return what ``pool`` does or, without the variance between, ``blend``."""
    if _is_nothing(right):
        return left
    if _is_nothing(left):
        return right
    weight = pairs.add(left.weight, right.weight)
    rest = pairs.divide(left.weight, nonzero(weight))
    share = pairs.divide(right.weight, nonzero(weight))
    start, end = left.values, right.values
    # From the heavier side: a step of nearly the whole gap would cancel.
    if isinstance(share[0], float):
        if share[0] > 0.5:
            start, end, share, rest = end, start, rest, share
    elif (swap := share[0] > 0.5).any():
        start, end = _exchanged(start, end, swap)
        share, rest = _exchanged(share, rest, swap)
    with np.errstate(all="ignore"):
        values = _step(start, end, share, rest[0] if between else None)
        if not np.isfinite(values[0]).all():
            values = _in_range(start, end, share, rest[0] if between else None, values)
    return Moments(weight, values)


def _exchanged(a: Pair, b: Pair, swap: Number) -> tuple[Pair, Pair]:
    """``(b, a)`` where ``swap`` holds, else ``(a, b)``."""
    return (
        (np.where(swap, b[0], a[0]), np.where(swap, b[1], a[1])),
        (np.where(swap, a[0], b[0]), np.where(swap, a[1], b[1])),
    )


def _step(left: Pair, right: Pair, share: Pair, rest: Number | None) -> Pair:
    """``left`` moved towards ``right``, whose share of the weight is the smaller.

    The step is ``gap * share`` to 24 digits: exact products of half numbers, and
    a rest 2**-26 times as large. That is half the operations of a full product.
    """
    gap, gap_low = pairs.two_sum(right[0], -left[0])
    gap_low = gap_low + (right[1] - left[1])
    gap_half, gap_rest = pairs.split(gap)
    share_half, share_rest = pairs.split(share[0])
    step = gap_half * share_half
    step_low = gap_rest * share_half
    step_low += gap * (share_rest + share[1])
    step_low += gap_low * share[0]
    if rest is not None:
        moved = step[MEAN] + step_low[MEAN]
        between = moved * (gap[MEAN] + gap_low[MEAN]) * rest
        # The step may cancel nearly all of the variance: it must keep every digit here.
        step[VARIANCE], error = pairs.two_sum(step[VARIANCE], between)
        step_low[VARIANCE] += error
    return pairs.add(left, (step, step_low))


def _in_range(
    left: Pair, right: Pair, share: Pair, rest: Number | None, plain: Pair
) -> Pair:
    """The same in larger units, for the features whose numbers left the range."""
    small = _step(scaled(left, -UNIT), scaled(right, -UNIT), share, rest)
    overflowed = ~np.isfinite(plain[0]).all(axis=0)
    high, low = (
        np.where(overflowed, s, p)
        for s, p in zip(scaled(small, UNIT), plain, strict=True)
    )
    endless = np.isinf(left[0]) | np.isinf(right[0]) | ~np.isfinite(high)
    return np.where(endless, np.inf, high), np.where(endless, 0.0, low)


def scaled(values: Pair, unit: Number) -> Pair:
    """Means and variances of the same rows with every value times ``2**unit``."""
    powers = np.multiply.outer([1, 2], unit)
    missing_axes = values[0].ndim - 1 - np.ndim(unit)
    powers = powers.reshape(2, *[1] * missing_axes, *np.shape(unit))
    return np.ldexp(values[0], powers), np.ldexp(values[1], powers)


def times_power(number: Pair, power: NDArray[np.intp] | int) -> Pair:
    """The number times ``2**power``; a float stays one."""
    if np.ndim(power) == 0 and power == 0:
        return number
    high, low = np.ldexp(number[0], power), np.ldexp(number[1], power)
    return (high, low) if np.ndim(high) else (float(high), float(low))


def nonzero(weight: Pair) -> Pair:
    """The weight, or 1 where it is zero: a share of nothing is nothing."""
    if isinstance(weight[0], float):
        return weight if weight[0] > 0 else pairs.ONE
    return np.where(weight[0] > 0, weight[0], 1.0), weight[1]


def _is_nothing(moments: Moments) -> bool:
    weight = moments.weight[0]
    return isinstance(weight, float) and weight == 0.0


def _nth(stack: Moments, n: int) -> Moments:
    weight = stack.weight
    if not isinstance(weight[0], float):
        weight = weight[0][n], weight[1][n]
    return Moments(weight, (stack.values[0][:, n], stack.values[1][:, n]))


def as_array(weight: Number, n_features: int) -> NDArray[np.float64]:
    """A weight as an array of shape (n_features,), float64."""
    return np.broadcast_to(np.asarray(weight, dtype=float), (n_features,))


def laid_out(numbers: list[Number], widths: list[int]) -> NDArray[np.float64]:
    """Numbers that hold for so many features each, as an array of one a feature.

    Those of shape (2, ...), for means and variances apart, keep their first axis.
    """
    apart = (2,) if any(np.ndim(number) == 2 for number in numbers) else ()
    each = zip(numbers, widths, strict=True)
    return np.concatenate([np.broadcast_to(n, (*apart, w)) for n, w in each], axis=-1)


def side_by_side(parts: list[Moments]) -> Moments:
    """Moments of the features of all parts, of the same rows, in that order."""
    if len(parts) == 1:
        return parts[0]
    high, low = zip(*(part.values for part in parts), strict=True)
    values = np.concatenate(high, axis=1), np.concatenate(low, axis=1)
    widths = [part.values[0].shape[1] for part in parts]
    # A feature alone may have one weight although values are missing.
    known = [p.weight for p, width in zip(parts, widths, strict=True) if width > 1]
    alike = all(isinstance(p.weight[0], float) for p in parts)
    if known and alike and all(p.weight == known[0] for p in parts):
        return Moments(known[0], values)
    high, low = zip(*(part.weight for part in parts), strict=True)
    return Moments((laid_out(list(high), widths), laid_out(list(low), widths)), values)
