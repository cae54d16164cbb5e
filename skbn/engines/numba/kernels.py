"""Moments of rows by plain loops over flat arrays.

Rows are read in blocks that stay in a second-level cache, and summed around centres
and below bounds that the rows before suggest. Where one of these turns out poor the
block is read again, from the cache, with what its own sums say.

Several rows side by side make a *wide row*, so that vectors fill. Each of its columns,
a *lane*, has sums of its own. The functions run as plain Python too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

from skbn import pairs
from skbn.engines.numba.hints import fma, prefetch, wide_vectors
from skbn.engines.numba.jit import jit
from skbn.engines.numba.pooling import OUT_OF_RANGE, pool_feature, status_of

GOOD, POOR_BOUND, POOR_CENTER = range(3)

# Rows that are read together: their sums are loaded and stored once.
ROWS = 8
# Lanes that are prefetched together: of 64 the float64 sums of 20 million values took
# 0.72 ns a value and not 0.63 (Xeon, family 6, model 207, 2026-11).
TILE = 32
# Lanes of the widest wide row, whose sums stay in a first-level cache.
WIDTH = 512
# The sums of a lane, or of a feature, lie so far apart in their array: not a power of
# two, or all would share a few places of that cache.
PITCH = WIDTH + 24
SIZE_OF_SUMS = 8 * PITCH
TOTAL, REST, SQUARES, SQUARES_REST, WEIGHT, WEIGHT_REST, DRIFT, CENTER = range(
    0, SIZE_OF_SUMS, PITCH
)
# Rows that the first centres and bounds are from.
SAMPLE = 64
# Bounds are so many times the sum of the sizes, for blocks with larger ones.
MARGIN = 16.0
# And at least this, whose square is not zero.
LEAST = 2.0**-520

# Without a sign, so that Numba does not look for negative ones: loops that do are no
# vectors.
index = np.uintp


@register_jitable
def _fetch(x: Any, first: int, stride: int, width: int) -> None:
    for place in range(first, first + width, 64 // x.itemsize):
        for r in range(ROWS):
            prefetch(x, place + r * stride)


@register_jitable
def add_rows(
    x: Any, start: int, stride: int, n_rows: int, width: int, lanes: Any
) -> None:
    """Add wide rows to the sums of their lanes; NaN count as centres there."""
    wide_vectors()
    step = index(stride)
    for i in range(0, n_rows, ROWS):
        first, n = start + i * stride, min(ROWS, n_rows - i)
        for left in range(0, width, TILE):
            right = min(left + TILE, width)
            _fetch(x, first + ROWS * stride + left, stride, right - left)
            if n < ROWS:
                add_last_rows(x, first, stride, n, left, right, lanes)
                continue
            for j in range(index(left), index(right)):
                total, rest = lanes[index(TOTAL) + j], lanes[index(REST) + j]
                count, center = lanes[index(WEIGHT) + j], lanes[index(CENTER) + j]
                squares = 0.0
                for r in range(index(ROWS)):
                    value = float(x[index(first) + r * step + j])
                    missing = value != value
                    value = center if missing else value
                    count += 0.0 if missing else 1.0
                    larger = total + value
                    rest += value - (larger - total)
                    total = larger
                    squares = fma(value - center, value - center, squares)
                lanes[index(TOTAL) + j], lanes[index(REST) + j] = total, rest
                lanes[index(WEIGHT) + j] = count
                add_squares(lanes, j, squares)


@register_jitable
def add_last_rows(
    x: Any, first: int, stride: int, n_rows: int, left: int, right: int, lanes: Any
) -> None:
    """Add fewer rows than ROWS."""
    for i in range(n_rows):
        for j in range(index(left), index(right)):
            value, center = (
                float(x[index(first + i * stride) + j]),
                lanes[index(CENTER) + j],
            )
            missing = value != value
            value = center if missing else value
            lanes[index(WEIGHT) + j] += 0.0 if missing else 1.0
            total, lost = pairs.quick_two_sum(lanes[index(TOTAL) + j], value)
            lanes[index(TOTAL) + j] = total
            lanes[index(REST) + j] += lost
            add_squares(lanes, j, (value - center) * (value - center))


@register_jitable
def add_squares(lanes: Any, j: Any, squares: float) -> None:
    """Add squares of several rows: equal ones would bias a plain sum of many."""
    total, lost = pairs.two_sum(lanes[index(SQUARES) + j], squares)
    lanes[index(SQUARES) + j] = total
    lanes[index(SQUARES_REST) + j] += lost


@register_jitable
def add_weighted_rows(
    x: Any, start: int, stride: int, n_rows: int, width: int, weights: Any,
    first_weight: int, n_features: int, spread: Any, lanes: Any,
) -> None:  # fmt: skip
    """Add weighted wide rows to the sums of their lanes."""
    wide_vectors()
    fold, step = width // n_features, index(stride)
    for i in range(0, n_rows, ROWS):
        first, n = start + i * stride, min(ROWS, n_rows - i)
        spread_weights(weights, first_weight + i * fold, n, n_features, fold, spread)
        last: Any = index(n - 1)
        for left in range(0, width, TILE):
            right = min(left + TILE, width)
            _fetch(x, first + ROWS * stride + left, stride, right - left)
            for j in range(index(left), index(right)):
                total, rest = lanes[index(TOTAL) + j], lanes[index(REST) + j]
                heavy, light = lanes[index(WEIGHT) + j], lanes[index(WEIGHT_REST) + j]
                center, drift = lanes[index(CENTER) + j], lanes[index(DRIFT) + j]
                squares = 0.0
                for r in range(index(ROWS)):
                    # Rows that do not exist are the last one, without weight.
                    value = float(x[index(first) + min(r, last) * step + j])
                    missing = value != value
                    weight = 0.0 if missing else spread[r * index(PITCH) + j]
                    value = center if missing else value
                    product, error = pairs.two_product(value, weight)
                    larger = total + product
                    rest += (product - (larger - total)) + error
                    total = larger
                    larger = heavy + weight
                    light += weight - (larger - heavy)
                    heavy = larger
                    moved = (value - center) * weight
                    drift += moved
                    squares = fma(moved, value - center, squares)
                lanes[index(TOTAL) + j], lanes[index(REST) + j] = total, rest
                lanes[index(WEIGHT) + j], lanes[index(WEIGHT_REST) + j] = heavy, light
                lanes[index(DRIFT) + j] = drift
                add_squares(lanes, j, squares)


@register_jitable
def spread_weights(
    weights: Any, first: int, n: int, n_features: int, fold: int, spread: Any
) -> None:
    """Write the weights of ROWS wide rows, of which n exist, one a lane."""
    for r in range(ROWS):
        for f in range(fold):
            weight = weights[first + r * fold + f] if r < n else 0.0
            place = index(r * PITCH + f * n_features)
            for j in range(index(n_features)):
                spread[place + j] = weight


@register_jitable
def weight_of(weights: Any, first: int, last: int) -> float:
    """Sum of some weights, within rounding."""
    if weights is None:
        return float(last - first)
    total = 0.0
    for i in range(first, last):
        total += weights[i]
    return total


@register_jitable
def look(
    x: Any, start: int, stride: int, n_rows: int, weights: Any, first_weight: int,
    weight: float, center: Any, bound: Any, sums: Any,
) -> bool:  # fmt: skip
    """Set centres, and bounds for blocks of that weight; whether they are finite."""
    n_features, finite = len(center), True
    for j in range(index(n_features)):
        center[j] = bound[j] = sums[j] = 0.0
    for i in range(n_rows):
        w = 1.0
        if weights is not None:
            w = weights[first_weight + i]
        for j in range(index(n_features)):
            value = float(x[index(start + i * stride) + j])
            missing = value != value
            term = 0.0 if missing else w * value
            center[j] += term
            bound[j] += abs(term)
            sums[j] += 0.0 if missing else w
    for j in range(n_features):
        seen = sums[j] if sums[j] > 0.0 else 1.0
        center[j] /= seen
        bound[j] = LEAST + MARGIN * weight * (bound[j] / seen)
        finite &= bound[j] < math.inf
    return finite


@register_jitable
def begin(lanes: Any, width: int, center: Any, bound: Any, cut: float) -> None:
    """Set the sums of lanes to nothing, which is a bound for those that have one."""
    for f in range(0, width, len(center)):
        for j in range(index(len(center))):
            lane = index(f) + j
            lanes[index(TOTAL) + lane] = bound[j]
            lanes[index(CENTER) + lane] = center[j]
            lanes[index(WEIGHT) + lane] = cut
            lanes[index(REST) + lane] = lanes[index(WEIGHT_REST) + lane] = 0.0
            lanes[index(SQUARES) + lane] = lanes[index(SQUARES_REST) + lane] = 0.0
            lanes[index(DRIFT) + lane] = 0.0


@register_jitable
def fold_lanes(lanes: Any, width: int, bound: Any, cut: float, sums: Any) -> None:
    """Add up the lanes of each feature."""
    n_features = len(bound)
    for f in range(0, width, n_features):
        for j in range(index(n_features)):
            lanes[index(TOTAL + f) + j] -= bound[j]
            lanes[index(WEIGHT + f) + j] -= cut
    while width > n_features:
        width //= 2
        add_sums(lanes, index(0), lanes, index(width), width)
    for j in range(n_features):
        for k in range(j, CENTER, PITCH):
            sums[k] = 0.0
    add_sums(sums, index(0), lanes, index(0), n_features)


@register_jitable
def add_sums(sums: Any, left: Any, others: Any, right: Any, n: int) -> None:
    """Add sums to others around the same centres."""
    for j in range(index(n)):
        for row in (index(TOTAL), index(SQUARES), index(WEIGHT)):
            a, b = left + j + row, right + j + row
            sums[a], sums[a + index(PITCH)] = pairs.add(
                (sums[a], sums[a + index(PITCH)]), (others[b], others[b + index(PITCH)])
            )
        sums[left + j + index(DRIFT)] += others[right + j + index(DRIFT)]


@register_jitable
def unfill(sums: Any, n_rows: float, center: Any) -> None:
    """Take missing values, which count as centres, out of the sums without weights."""
    for j in range(index(len(center))):
        total, rest = sums[index(TOTAL) + j], sums[index(REST) + j]
        product, error = pairs.two_product(n_rows, center[j])
        sums[index(DRIFT) + j] = (total - product) + (rest - error)
        filled = pairs.two_product(n_rows - sums[index(WEIGHT) + j], center[j])
        total, rest = pairs.subtract((total, rest), filled)
        sums[index(TOTAL) + j], sums[index(REST) + j] = total, rest


@register_jitable
def judge(sums: Any, center: Any, bound: Any) -> int:
    """Whether centres are near the means, and bounds above all partial sums."""
    far, above = 0, 0
    for j in range(index(len(center))):
        weight, squares = sums[index(WEIGHT) + j], sums[index(SQUARES) + j]
        drift = sums[index(DRIFT) + j]
        largest = weight * abs(center[j]) + math.sqrt(weight) * math.sqrt(squares)
        far |= int(4.0 * drift * drift > weight * squares)
        above |= int(not largest <= 0.5 * bound[j])
    if above:
        return POOR_BOUND
    return POOR_CENTER if far else GOOD


@register_jitable
def pool_sums(sums: Any, center: Any, left: int, out: Any) -> None:
    """Pool sums into the moments from column ``left`` on, and begin them anew."""
    for j in range(len(center)):
        weight = (sums[WEIGHT + j], sums[WEIGHT_REST + j])
        if weight[0] > 0.0:
            mean = pairs.divide((sums[TOTAL + j], sums[REST + j]), weight)
            drift = sums[DRIFT + j] / weight[0]
            variance = (sums[SQUARES + j] + sums[SQUARES_REST + j]) / weight[0]
            variance = max(variance - drift * drift, 0.0)
            pool_feature(out, left + j, weight, mean, (variance, 0.0))
    sums[:] = 0.0


@register_jitable
def add_block(
    x: Any, start: int, stride: int, n_rows: int, n_features: int, fold: int,
    weights: Any, first_weight: int, spread: Any, lanes: Any,
) -> None:  # fmt: skip
    """Add rows to the sums of lanes, as many side by side as there are."""
    row = 0
    while row < n_rows:
        # Whole wide rows, then the rows that fill none.
        n, width = (n_rows - row) // fold, fold * n_features
        if n == 0:
            n, width = 1, (n_rows - row) * n_features
        first = start + row * stride
        if weights is None:
            add_rows(x, first, fold * stride, n, width, lanes)
        else:
            add_weighted_rows(
                x, first, fold * stride, n, width, weights, first_weight + row,
                n_features, spread, lanes,
            )  # fmt: skip
        row += n * width // n_features


@register_jitable
def part_moments(
    x: Any, start: int, stride: int, n_rows: int, n_features: int, fold: int,
    block: int, weights: Any, left: int, out: Any,
) -> bool:  # fmt: skip
    """Pool moments into those from column ``left`` on; whether all is in range."""
    center, bound = np.empty(n_features), np.empty(n_features)
    lanes, whole = np.empty(SIZE_OF_SUMS), np.zeros(SIZE_OF_SUMS)
    sums, spread = (
        np.empty(SIZE_OF_SUMS),
        np.empty(0 if weights is None else ROWS * PITCH),
    )
    row, verdict, looked, centered = 0, POOR_BOUND, 0, False
    while row < n_rows:
        n, first = min(block, n_rows - row), start + row * stride
        weight = weight_of(weights, row, row + n)
        if verdict == POOR_BOUND:
            looked = min(n, SAMPLE) if row + looked == 0 else n
            if not look(
                x, first, stride, looked, weights, row, weight, center, bound, sums
            ):
                return False
        elif verdict == POOR_CENTER:
            centered = True
            for j in range(n_features):
                if sums[WEIGHT + j] > 0.0:
                    center[j] = sums[TOTAL + j] / sums[WEIGHT + j]
        cut = 0.0 if weights is None else 2.0 * weight
        begin(lanes, fold * n_features, center, bound, cut)
        add_block(x, first, stride, n, n_features, fold, weights, row, spread, lanes)
        fold_lanes(lanes, fold * n_features, bound, cut, sums)
        if weights is None:
            unfill(sums, float(n), center)
        verdict = judge(sums, center, bound)
        if verdict == GOOD or (verdict == POOR_BOUND and looked == n) or centered:
            add_sums(whole, index(0), sums, index(0), n_features)
            row, verdict, looked, centered = row + n, GOOD, 0, False
        if verdict != GOOD or row == n_rows:
            pool_sums(whole, center, left, out)
    return True


@jit
def moments(
    x: Any, start: int, stride: int, n_rows: int, n_features: int, apart: int,
    fold: int, block: int, weights: Any, out: Any,
) -> int:  # fmt: skip
    """Moments of rows, or of columns one after another.

    Parameters
    ----------
    x : ndarray of shape (n,), float64 or float32
    start, stride : int
        Where the first row begins, and the distance of the rows.
    n_features, apart : int
        Features that are read together, and the distance to the next ones, of as many
        as ``out`` has.
    fold : int
        Rows to lay side by side, a power of two; 1 where they are not contiguous.
    block : int
        Rows in a block.
    weights : ndarray of shape (n_rows,), or None
    out : ndarray of shape (2, 3, n)
        High and low parts of weight, mean and variance.

    Returns
    -------
    int
        DONE; MISSING where weights may differ between features; or OUT_OF_RANGE.
    """
    out[:] = 0.0
    for left in range(0, out.shape[2], n_features):
        begins = start + (left // n_features) * apart
        if not part_moments(
            x, begins, stride, n_rows, n_features, fold, block, weights, left, out
        ):
            return OUT_OF_RANGE
    return status_of(out)
