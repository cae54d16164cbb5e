"""Moments together, compiled."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from skbn import pairs
from skbn.engines.numba.hints import always_inline, no_overlap, wide_vectors
from skbn.engines.numba.jit import inner, jit
from skbn.moments import Moments
from skbn.moments import combine as combine_by_numpy

# Status of moments; with MISSING weights may differ between features.
DONE, MISSING, OUT_OF_RANGE = range(3)


@inner
def pooled_feature(
    old_weight: Any, old_mean: Any, old_variance: Any, weight: Any, mean: Any,
    variance: Any,
) -> Any:  # fmt: skip
    """``skbn.moments.pool`` of one feature: six numbers. A weight may be zero."""
    always_inline()
    total = pairs.add(old_weight, weight)
    divisor = total[0] if total[0] > 0.0 else 1.0
    share = pairs.divide(weight, (divisor, total[1]))
    gap = pairs.subtract(mean, old_mean)
    step = pairs.multiply(gap, share)
    between = (step[0] * gap[0]) * (old_weight[0] / divisor)
    change = pairs.multiply(pairs.subtract(variance, old_variance), share)
    new_variance = pairs.add(old_variance, pairs.add(change, (between, 0.0)))
    new_mean = pairs.add(old_mean, step)
    if old_weight[0] <= 0.0:
        new_mean, new_variance = mean, variance
    if weight[0] <= 0.0:
        new_mean, new_variance = old_mean, old_variance
    return *total, *new_mean, *new_variance


@inner
def pool_arrays(
    weight: Any, weight_low: Any, mean: Any, mean_low: Any, variance: Any,
    variance_low: Any, later_weight: Any, later_weight_low: Any, later_mean: Any,
    later_mean_low: Any, later_variance: Any, later_variance_low: Any,
) -> None:  # fmt: skip
    """Pool later moments into the first ones: six arrays of shape (n_features,) each.

    They are arguments of their own, of which LLVM knows that no two overlap.
    """
    wide_vectors()
    no_overlap()
    for j in range(np.uintp(len(weight))):
        (
            weight[j], weight_low[j], mean[j], mean_low[j], variance[j],
            variance_low[j],
        ) = pooled_feature(
            (weight[j], weight_low[j]), (mean[j], mean_low[j]),
            (variance[j], variance_low[j]), (later_weight[j], later_weight_low[j]),
            (later_mean[j], later_mean_low[j]),
            (later_variance[j], later_variance_low[j]),
        )  # fmt: skip


@inner
def arrays_of(moments: Any, left: int, n: int) -> Any:
    """Six arrays of n features from column ``left`` on, of an array (2, 3, ...)."""
    return (
        moments[0, 0][left:][:n], moments[1, 0][left:][:n], moments[0, 1][left:][:n],
        moments[1, 1][left:][:n], moments[0, 2][left:][:n], moments[1, 2][left:][:n],
    )  # fmt: skip


@inner
def status_of(out: Any) -> int:
    """Whether moments are finite, and their weights alike."""
    status = DONE
    for j in range(out.shape[2]):
        if not abs(out[0, 1, j]) + out[0, 2, j] < math.inf:
            return OUT_OF_RANGE
        if out[0, 0, j] != out[0, 0, 0] or out[1, 0, j] != out[1, 0, 0]:
            status = MISSING
    return status


@jit
def pool_into(out: Any, other: Any) -> int:
    """Pool later moments into ``out``, both of shape (2, 3, n_features)."""
    n_features = out.shape[2]
    pool_arrays(*arrays_of(out, 0, n_features), *arrays_of(other, 0, n_features))
    return status_of(out)


@inner
def _step(
    start: Any, end: Any, share: Any, rest: float, between: bool, high: Any, low: Any
) -> bool:
    """``skbn.moments._step``, bit for bit, into ``high`` and ``low``."""
    share_half, share_rest = pairs.split(share[0])
    finite = True
    for j in range(high.shape[1]):
        moved = 0.0
        for row in range(2):
            gap, gap_low = pairs.two_sum(end[0][row, j], -start[0][row, j])
            gap_low = gap_low + (end[1][row, j] - start[1][row, j])
            gap_half, gap_rest = pairs.split(gap)
            part = gap_half * share_half
            part_low = gap_rest * share_half
            part_low += gap * (share_rest + share[1])
            part_low += gap_low * share[0]
            if between:
                if row == 0:
                    moved = (part + part_low) * (gap + gap_low) * rest
                else:
                    part, error = pairs.two_sum(part, moved)
                    part_low += error
            high[row, j], low[row, j] = pairs.add(
                (start[0][row, j], start[1][row, j]), (part, part_low)
            )
            finite &= high[row, j] - high[row, j] == 0.0
    return finite


@jit
def _combine(
    left: Any, left_low: Any, right: Any, right_low: Any, weights: Any, between: bool,
    high: Any, low: Any,
) -> Any:  # fmt: skip
    """``skbn.moments.combine`` of moments whose features share their weight.

    ``weights`` are the two pairs; the result is that of both, and whether all of
    ``high`` is finite.
    """
    left_weight, right_weight = (weights[0], weights[1]), (weights[2], weights[3])
    weight = pairs.add(left_weight, right_weight)
    rest = pairs.divide(left_weight, weight)
    share = pairs.divide(right_weight, weight)
    start, end = (left, left_low), (right, right_low)
    if share[0] > 0.5:
        finite = _step(end, start, rest, share[0], between, high, low)
    else:
        finite = _step(start, end, share, rest[0], between, high, low)
    return weight[0], weight[1], finite


def combine(left: Moments, right: Moments, *, between: bool) -> Moments:
    """``skbn.moments.combine``, to the same bits."""
    weights = *left.weight, *right.weight
    if all(type(w) is float and w for w in weights[::2]):
        high, low = np.empty((2, *left.values[0].shape))
        total, total_low, finite = _combine(
            *left.values, *right.values, weights, between, high, low
        )
        if finite:
            return Moments((total, total_low), (high, low))
    return combine_by_numpy(left, right, between=between)
