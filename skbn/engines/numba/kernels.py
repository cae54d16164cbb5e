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

from skbn import pairs
from skbn.engines.numba.hints import fma, no_overlap, prefetch, wide_vectors
from skbn.engines.numba.jit import inner, jit
from skbn.engines.numba.pooling import (
    OUT_OF_RANGE,
    arrays_of,
    pool_arrays,
    status_of,
)

GOOD, POOR_BOUND, POOR_CENTER = range(3)
NONE, SOME, MUCH = range(3)

# Rows that are read together: their sums are loaded and stored once.
ROWS = 8
# Lanes that are prefetched together: of 64 the float64 sums of 20 million values took
# 0.72 ns a value and not 0.63 (Xeon, family 6, model 207, 2026-11).
TILE = 32
# Features that are read together at most: their sums stay in a first-level cache.
WIDTH = 512
# Lanes of several rows side by side at most.
LANES = 256
# Values in a block, and wide rows at least.
BLOCK, LEAST_ROWS = 2**17, 64
# Without a sign, so that Numba does not look for negative ones: loops that do are no
# vectors.
index = np.uintp

# The sums of a lane, or of a feature, lie so far apart in their array: not a power of
# two, or all would share a few lines of that cache.
SPACING = WIDTH + 24
SIZE_OF_SUMS = 9 * SPACING
# Lanes have the weight of missing values for WEIGHT.
TOTAL, REST, SQUARES, SQUARES_REST, WEIGHT = map(index, range(0, 5 * SPACING, SPACING))
WEIGHT_REST, DRIFT, CENTER, BOUND = map(
    index, range(5 * SPACING, SIZE_OF_SUMS, SPACING)
)
# Rows that the first centres and bounds are from.
SAMPLE = 48
# Bounds are so many times the sum of the sizes, for blocks with larger ones.
MARGIN = 16.0
# And at least this, whose square is not zero.
LEAST = 2.0**-520


@inner
def add_rows(
    x: Any, start: int, stride: int, n_rows: int, width: int, lanes: Any
) -> None:
    """Add wide rows to the sums of their lanes; NaN count as centres there."""
    wide_vectors()
    no_overlap()
    step = index(stride)
    for i in range(0, n_rows, ROWS):
        first, n = start + i * stride, min(ROWS, n_rows - i)
        for left in range(0, width, TILE):
            right = min(left + TILE, width)
            for offset in range(first + left, first + right, 64 // x.itemsize):
                for r in range(ROWS, 2 * ROWS):
                    prefetch(x, offset + r * stride)
            if n < ROWS:
                add_last_rows(x, first, stride, n, left, right, lanes)
                continue
            for j in range(index(left), index(right)):
                total, rest = lanes[TOTAL + j], lanes[REST + j]
                count, center = lanes[WEIGHT + j], lanes[CENTER + j]
                squares = 0.0
                for r in range(index(ROWS)):
                    value = float(x[index(first) + r * step + j])
                    missing = value != value
                    value = center if missing else value
                    count = count + 1.0 if missing else count
                    larger = total + value
                    rest += value - (larger - total)
                    total = larger
                    squares = fma(value - center, value - center, squares)
                lanes[TOTAL + j], lanes[REST + j] = total, rest
                lanes[WEIGHT + j] = count
                # Equal squares would bias a plain sum of many.
                total, error = pairs.two_sum(lanes[SQUARES + j], squares)
                lanes[SQUARES + j] = total
                lanes[SQUARES_REST + j] += error


@inner
def add_last_rows(
    x: Any, first: int, stride: int, n_rows: int, left: int, right: int, lanes: Any
) -> None:
    """Add fewer rows than ROWS."""
    no_overlap()
    for i in range(n_rows):
        for j in range(index(left), index(right)):
            value = float(x[index(first + i * stride) + j])
            center = lanes[CENTER + j]
            missing = value != value
            value = center if missing else value
            lanes[WEIGHT + j] += 1.0 if missing else 0.0
            total, error = pairs.quick_two_sum(lanes[TOTAL + j], value)
            lanes[TOTAL + j] = total
            lanes[REST + j] += error
            square = (value - center) * (value - center)
            total, error = pairs.two_sum(lanes[SQUARES + j], square)
            lanes[SQUARES + j] = total
            lanes[SQUARES_REST + j] += error


@inner
def add_weighted_rows(
    x: Any, start: int, stride: int, n_rows: int, width: int, weights: Any,
    first_weight: int, n_features: int, spread: Any, lanes: Any,
) -> None:  # fmt: skip
    """Add weighted wide rows to the sums of their lanes, without NaN."""
    wide_vectors()
    no_overlap()
    side_by_side, step = width // n_features, index(stride)
    for i in range(0, n_rows, ROWS):
        first, n = start + i * stride, min(ROWS, n_rows - i)
        first_of_rows = first_weight + i * side_by_side
        spread_weights(weights, first_of_rows, n, n_features, side_by_side, spread)
        last: Any = index(n - 1)
        for left in range(0, width, TILE):
            right = min(left + TILE, width)
            for offset in range(first + left, first + right, 64 // x.itemsize):
                for r in range(ROWS, 2 * ROWS):
                    prefetch(x, offset + r * stride)
            for j in range(index(left), index(right)):
                total, rest = lanes[TOTAL + j], lanes[REST + j]
                center, drift = lanes[CENTER + j], lanes[DRIFT + j]
                squares = missing_weight = 0.0
                for r in range(index(ROWS)):
                    # Rows that do not exist are the last one, without weight.
                    value = float(x[index(first) + min(r, last) * step + j])
                    missing = value != value
                    value = center if missing else value
                    weight = spread[r * index(SPACING) + j]
                    missing_weight += weight if missing else 0.0
                    weight = 0.0 if missing else weight
                    product, error = pairs.two_product(value, weight)
                    larger = total + product
                    rest += (product - (larger - total)) + error
                    total = larger
                    moved = (value - center) * weight
                    drift += moved
                    squares = fma(moved, value - center, squares)
                lanes[TOTAL + j], lanes[REST + j] = total, rest
                lanes[DRIFT + j] = drift
                total, error = pairs.two_sum(lanes[WEIGHT + j], missing_weight)
                lanes[WEIGHT + j] = total
                lanes[WEIGHT_REST + j] += error
                total, error = pairs.two_sum(lanes[SQUARES + j], squares)
                lanes[SQUARES + j] = total
                lanes[SQUARES_REST + j] += error


@inner
def spread_weights(
    weights: Any, first: int, n: int, n_features: int, side_by_side: int, spread: Any
) -> None:
    """Write the weights of ROWS wide rows, of which n exist, one a lane."""
    wide_vectors()
    no_overlap()
    for r in range(ROWS):
        for k in range(side_by_side):
            weight = weights[first + r * side_by_side + k] if r < n else 0.0
            for j in range(index(n_features)):
                spread[index(r * SPACING + k * n_features) + j] = weight


@inner
def add_block(
    x: Any, start: int, stride: int, n_rows: int, n_features: int, side_by_side: int,
    weights: Any, first_weight: int, spread: Any, lanes: Any,
) -> None:  # fmt: skip
    """Write the sums of rows to the lanes of the features, from no sums at all."""
    width = side_by_side * n_features
    for k in range(0, width, n_features):
        for j in range(index(n_features)):
            # A sum that is above all partial sums loses their last digits to REST.
            lanes[TOTAL + index(k) + j] = lanes[BOUND + j]
            lanes[CENTER + index(k) + j] = lanes[CENTER + j]
            lanes[REST + index(k) + j] = lanes[WEIGHT + index(k) + j] = 0.0
            lanes[SQUARES + index(k) + j] = lanes[SQUARES_REST + index(k) + j] = 0.0
            lanes[WEIGHT_REST + index(k) + j] = lanes[DRIFT + index(k) + j] = 0.0
    row = 0
    while row < n_rows:
        # Whole wide rows, then the rows that fill none.
        n, wide = (n_rows - row) // side_by_side, side_by_side
        if n == 0:
            n, wide = 1, n_rows - row
        first = start + row * stride
        if weights is None:
            add_rows(x, first, wide * stride, n, wide * n_features, lanes)
        else:
            add_weighted_rows(
                x, first, wide * stride, n, wide * n_features, weights,
                first_weight + row, n_features, spread, lanes,
            )  # fmt: skip
        row += n * wide
    for k in range(0, width, n_features):
        for j in range(index(n_features)):
            lanes[TOTAL + index(k) + j] -= lanes[BOUND + j]
    while width > n_features:
        width //= 2
        add_sums(lanes, 0, lanes, width, width)


@inner
def add_sums(sums: Any, left: int, others: Any, right: int, n: int) -> None:
    """Add sums to others around the same centres."""
    for j in range(index(n)):
        for row in (TOTAL, SQUARES, WEIGHT):
            a, b = row + index(left) + j, row + index(right) + j
            a_low, b_low = a + index(SPACING), b + index(SPACING)
            sums[a], sums[a_low] = pairs.add(
                (sums[a], sums[a_low]), (others[b], others[b_low])
            )
        sums[DRIFT + index(left) + j] += others[DRIFT + index(right) + j]


@inner
def estimate(
    x: Any, start: int, stride: int, n_rows: int, n_features: int, weights: Any,
    first_weight: int, weight: float, lanes: Any,
) -> bool:  # fmt: skip
    """Set centres, and bounds for blocks of that weight; whether they are finite.

    The weight is NaN for the one that these rows have.
    """
    no_overlap()
    finite = True
    for j in range(index(n_features)):
        lanes[CENTER + j] = lanes[BOUND + j] = 0.0
        lanes[WEIGHT + j] = 0.0
    for i in range(n_rows):
        w = 1.0
        if weights is not None:
            w = weights[first_weight + i]
        for j in range(index(n_features)):
            value = float(x[index(start + i * stride) + j])
            missing = value != value
            term = 0.0 if missing else w * value
            lanes[CENTER + j] += term
            lanes[BOUND + j] += abs(term)
            lanes[WEIGHT + j] += 0.0 if missing else w
    for j in range(index(n_features)):
        seen = lanes[WEIGHT + j]
        seen = seen if seen > 0.0 else 1.0
        lanes[CENTER + j] /= seen
        whole = weight if weight == weight else seen
        bound = LEAST + MARGIN * whole * (lanes[BOUND + j] / seen)
        lanes[BOUND + j] = bound
        finite &= bound < math.inf
    return finite


@inner
def sum_weights(weights: Any, first: int, last: int, sums: Any) -> Any:
    """Sum of some weights, a pair."""
    if weights is None:
        return float(last - first), 0.0
    for j in range(index(LANES)):
        sums[j] = sums[index(SPACING) + j] = 0.0
    for i in range(first, last, LANES):
        for j in range(index(min(LANES, last - i))):
            sums[j], error = pairs.two_sum(sums[j], weights[index(i) + j])
            sums[index(SPACING) + j] += error
    total = (0.0, 0.0)
    for j in range(LANES):
        total = pairs.add(total, (sums[j], sums[SPACING + j]))
    return total


@inner
def set_weights(weights: Any, whole: Any, sums: Any, n_features: int) -> int:
    """Turn weights of missing values into those of the others, of ``whole`` in all.

    Missing values, which count as centres, are taken out of sums without weights.
    Return how much of the weight of a feature is missing: NONE, SOME or MUCH.
    """
    lost = NONE
    for j in range(index(n_features)):
        missing = (sums[WEIGHT + j], sums[WEIGHT_REST + j])
        if weights is None:
            total = (sums[TOTAL + j], sums[REST + j])
            center = sums[CENTER + j]
            product, error = pairs.two_product(whole[0], center)
            sums[DRIFT + j] = (total[0] - product) + (total[1] - error)
            sums[TOTAL + j], sums[REST + j] = pairs.subtract(
                total, pairs.two_product(missing[0], center)
            )
        lost = max(lost, int(missing[0] > 0.0) + int(4.0 * missing[0] > whole[0]))
        sums[WEIGHT + j], sums[WEIGHT_REST + j] = pairs.subtract(whole, missing)
    return lost


@inner
def add_weights(
    x: Any, start: int, stride: int, n_rows: int, n_features: int, weights: Any,
    first_weight: int, sums: Any,
) -> None:  # fmt: skip
    """Sum the weights of each feature, of values that are not missing."""
    wide_vectors()
    no_overlap()
    for j in range(index(n_features)):
        sums[WEIGHT + j] = sums[WEIGHT_REST + j] = 0.0
    for i in range(n_rows):
        for j in range(index(n_features)):
            value = float(x[index(start + i * stride) + j])
            weight = weights[first_weight + i] if value == value else 0.0
            total, error = pairs.two_sum(sums[WEIGHT + j], weight)
            sums[WEIGHT + j] = total
            sums[WEIGHT_REST + j] += error


@inner
def verdict_of(sums: Any, n_features: int) -> int:
    """Whether centres are near the means, and bounds above all partial sums."""
    far, above = 0, 0
    for j in range(index(n_features)):
        weight, squares = sums[WEIGHT + j], sums[SQUARES + j]
        drift, center = sums[DRIFT + j], sums[CENTER + j]
        largest = weight * abs(center) + math.sqrt(weight) * math.sqrt(squares)
        far |= int(4.0 * drift * drift > weight * squares)
        above |= int(not largest <= 0.5 * sums[BOUND + j])
    if above:
        return POOR_BOUND
    return POOR_CENTER if far else GOOD


@inner
def set_centers(sums: Any, n_features: int) -> None:
    """Set centres to the means."""
    for j in range(index(n_features)):
        if sums[WEIGHT + j] > 0.0:
            # Where most of the weight is missing the bound is far above the total.
            sums[CENTER + j] = (sums[TOTAL + j] + sums[REST + j]) / sums[WEIGHT + j]


@inner
def pool_sums(sums: Any, n_features: int, left: int, out: Any) -> None:
    """Pool sums into the moments from column ``left`` on, and begin them anew."""
    # Mean and variance are written over the sums: so far apart, loops are vectors.
    for j in range(index(n_features)):
        weight = (sums[WEIGHT + j], sums[WEIGHT_REST + j])
        total = (sums[TOTAL + j], sums[REST + j])
        sums[TOTAL + j], sums[REST + j] = pairs.divide(total, weight)
        squares = sums[SQUARES + j] + sums[SQUARES_REST + j]
        drift = sums[DRIFT + j] / weight[0]
        variance = squares / weight[0] - drift * drift
        # NaN, of squares out of range, is seen where moments are looked at.
        sums[SQUARES + j] = 0.0 if variance < 0.0 else variance
        sums[SQUARES_REST + j] = 0.0
    pool_arrays(
        *arrays_of(out, left, n_features),
        sums[WEIGHT:][:n_features], sums[WEIGHT_REST:][:n_features],
        sums[TOTAL:][:n_features], sums[REST:][:n_features],
        sums[SQUARES:][:n_features], sums[SQUARES_REST:][:n_features],
    )  # fmt: skip
    clear(sums, n_features)


@inner
def clear(sums: Any, n_features: int) -> None:
    """Set sums of features to nothing."""
    for row in range(0, SIZE_OF_SUMS, SPACING):
        for j in range(index(n_features)):
            sums[index(row) + j] = 0.0


@inner
def side_by_side_rows(n_rows: int, n_features: int) -> int:
    """Rows to lay side by side: vectors filled, some rows left below each other."""
    rows = 1
    width = LANES if n_rows * n_features > BLOCK else LANES // 2
    while 2 * rows * n_features <= width and 16 * rows <= n_rows:
        rows *= 2
    return rows


@inner
def part_moments(
    x: Any, start: int, stride: int, n_rows: int, n_features: int, weights: Any,
    left: int, out: Any,
) -> bool:  # fmt: skip
    """Pool moments into those from column ``left`` on; whether all is in range."""
    side_by_side = 1
    if stride == n_features:
        side_by_side = side_by_side_rows(n_rows, n_features)
    block = side_by_side * max(BLOCK // (side_by_side * n_features), LEAST_ROWS)
    # Sums of lanes, those of the features in the first of them; and of blocks.
    lanes, sums = np.empty(SIZE_OF_SUMS), np.empty(SIZE_OF_SUMS)
    spread = np.empty(0 if weights is None else ROWS * SPACING)
    clear(sums, n_features)
    row, verdict, looked, centered = 0, POOR_BOUND, 0, False
    while row < n_rows:
        n, first = min(block, n_rows - row), start + row * stride
        weight = sum_weights(weights, row, row + n, spread)
        if verdict == POOR_BOUND:
            looked = min(n, SAMPLE) if row + looked == 0 else n
            whole = weight[0] if looked < n or weights is None else math.nan
            if not estimate(
                x, first, stride, looked, n_features, weights, row, whole, lanes
            ):
                return False
        elif verdict == POOR_CENTER:
            centered = True
            set_centers(lanes, n_features)
        add_block(
            x, first, stride, n, n_features, side_by_side, weights, row, spread, lanes
        )
        lost = set_weights(weights, weight, lanes, n_features)
        if weights is not None and lost != NONE:
            add_weights(x, first, stride, n, n_features, weights, row, lanes)
        verdict = verdict_of(lanes, n_features)
        if weights is not None and lost == MUCH and looked < n:
            # Bounds for the weight of all rows leave few digits above REST.
            verdict = POOR_BOUND
        if verdict == GOOD or (verdict == POOR_BOUND and looked == n) or centered:
            add_sums(sums, 0, lanes, 0, n_features)
            row, verdict, looked, centered = row + n, GOOD, 0, False
        if verdict != GOOD or row == n_rows:
            pool_sums(sums, n_features, left, out)
    return True


@inner
def pool_row(x: Any, left: int, n_features: int, out: Any) -> None:
    """Pool one row into the moments from column ``left`` on."""
    row = np.zeros((6, n_features))
    weight, mean = row[0], row[2]
    for j in range(index(n_features)):
        value = float(x[j])
        weight[j], mean[j] = 1.0 if value == value else 0.0, value
    pool_arrays(
        *arrays_of(out, left, n_features),
        weight, row[1], mean, row[3], row[4], row[5],
    )  # fmt: skip


@jit
def moments(
    x: Any, stride: int, n_rows: int, n_features: int, apart: int, weights: Any,
    out: Any,
) -> int:  # fmt: skip
    """Pool rows, or columns one after another, into moments.

    Parameters
    ----------
    x : ndarray of shape (n,), of integers, float64 or float32
    stride : int
        Distance of the rows.
    n_features, apart : int
        Features that are read together, WIDTH at most, and the distance to the next
        ones, of as many as ``out`` has.
    weights : ndarray of shape (n_rows,), or None
    out : ndarray of shape (2, 3, n)
        High and low parts of weight, mean and variance of what came before: zeros
        where that is nothing.

    Returns
    -------
    int
        DONE; MISSING where weights may differ between features; or OUT_OF_RANGE.
    """
    for left in range(0, out.shape[2], n_features):
        if n_rows == 1 and n_features == out.shape[2] and weights is None:
            pool_row(x, left, n_features, out)
            break
        start = (left // n_features) * apart
        if not part_moments(x, start, stride, n_rows, n_features, weights, left, out):
            return OUT_OF_RANGE
    return status_of(out)
