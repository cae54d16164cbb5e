"""Sums over wide rows, by Numba: one pass over memory.

Rows are read as *wide rows*: several laid side by side, so that vectors fill. Each
lane of a wide row has sums around a centre guessed from the rows before. After every
chunk, still in cache, the guess is checked; a poor one is replaced and the chunk read
again.

Numba's cache on disk knows changes of the file of a function only: touch the files
that call it when one of these changes.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit
from numba.extending import register_jitable

from skbn import pairs
from skbn.engines._numba_lanes import (
    LANES,
    ROWS,
    read,
    sum_block,
    sum_column,
    sum_row,
    sum_value,
)

for _function in (
    pairs.two_sum,
    pairs.quick_two_sum,
    pairs.split,
    pairs.two_product,
    pairs.add,
    pairs.subtract,
    pairs.multiply,
    pairs.divide,
):
    register_jitable(_function)


def jit(function: Any) -> Any:
    """Compile without the interpreter lock; cached on disk where that is possible."""
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # no folder to write to
        return njit(nogil=True, error_model="numpy")(function)


# Rows of the array of sums, one value a lane.
CENTRE, TOTAL, REST, SQUARES, LOST, COUNT, COUNT_REST = range(7)
N_SUMS = 7

# Rows that the first guess of centre and reach is made from.
SAMPLE = 32
GOOD, NEW_GUESS, NOT_FINITE = 0, 1, 2
# A sum starts at 2**MARGIN times its guessed bound, so that data may outgrow the
# guess. What it loses is kept and added up, at 2**(MARGIN - 53) of the values.
MARGIN = 16
DONE, DONE_WITH_MISSING, OUT_OF_RANGE = 0, 1, 2


@jit
def _fill_weights(room, weights, first, width, n_features):
    """Write the weights of wide rows, a value a lane."""
    fold = width // n_features
    for i in range(len(room)):
        for f in range(fold):
            weight = weights[(first + i) * fold + f]
            for j in range(f * n_features, (f + 1) * n_features):
                room[i, j] = weight


@jit
def add_rows(
    x, pitch, size, start, stop, width, n_features, marker, missing, weights, sums, room
):
    """Add wide rows start to stop to the sums."""
    place, gap = sums.ctypes.data, sums.strides[0]
    w, w_pitch = room.ctypes.data, room.strides[0]
    main = width - width % LANES
    i = start
    while i < stop:
        row = x + i * pitch
        several = i + ROWS <= stop
        if weights is not None:
            _fill_weights(room[: ROWS if several else 1], weights, i, width, n_features)
        if several:
            for j in range(0, main, LANES):
                sum_block(
                    row + j * size,
                    pitch,
                    place + 8 * j,
                    gap,
                    w + 8 * j,
                    w_pitch,
                    marker,
                    missing,
                    weights,
                )
            for j in range(main, width):
                sum_column(
                    row + j * size,
                    pitch,
                    place + 8 * j,
                    gap,
                    w + 8 * j,
                    w_pitch,
                    marker,
                    missing,
                    weights,
                )
            i += ROWS
        else:
            for j in range(0, main, LANES):
                sum_row(
                    row + j * size,
                    pitch,
                    place + 8 * j,
                    gap,
                    w + 8 * j,
                    w_pitch,
                    marker,
                    missing,
                    weights,
                )
            for j in range(main, width):
                sum_value(
                    row + j * size,
                    pitch,
                    place + 8 * j,
                    gap,
                    w + 8 * j,
                    w_pitch,
                    marker,
                    missing,
                    weights,
                )
            i += 1


@jit
def sample(x, pitch, size, n_rows, width, n_features, marker, guess):
    """Guess centre and reach of each feature from the first rows."""
    fold = width // n_features
    n = min(n_rows * fold, SAMPLE)
    for j in range(n_features):
        mean, square, reach, count = 0.0, 0.0, 0.0, 0
        for r in range(n):
            place = x + (r // fold) * pitch + ((r % fold) * n_features + j) * size
            value = read(place, marker)
            if abs(value) < math.inf:
                mean += value * (1.0 / SAMPLE)
                square += value * value * (1.0 / SAMPLE)
                reach = max(reach, abs(value))
                count += 1
        if count:
            mean, square = mean * (SAMPLE / count), square * (SAMPLE / count)
        guess[0, j] = 0.0 if _is_small(mean, square) else mean
        guess[1, j] = reach


@jit
def begin(sums, cuts, guess, n_rows, heaviest):
    """Set the sums to nothing, around new centres."""
    n_features = guess.shape[1]
    power = MARGIN + math.frexp(float(n_rows))[1]
    weight_power = math.frexp(heaviest)[1]
    sums[REST:] = 0.0
    for j in range(n_features):
        reach = max(guess[1, j], 1e-280)
        cuts[j] = math.ldexp(1.0, math.frexp(reach)[1] + power + weight_power)
    cuts[n_features] = math.ldexp(1.0, power + weight_power)
    for lane in range(sums.shape[1]):
        sums[CENTRE, lane] = guess[0, lane % n_features]
        sums[TOTAL, lane] = cuts[lane % n_features]
        sums[COUNT, lane] = cuts[n_features]


@jit
def feature_sums(sums, cuts, j, plain_weight, missing):
    """Total, squares and weight of a feature over its lanes, each a pair."""
    n_features = len(cuts) - 1
    total, squares, weight = (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)
    for lane in range(j, sums.shape[1], n_features):
        part = pairs.two_sum(sums[TOTAL, lane] - cuts[j], sums[REST, lane])
        total = pairs.add(total, part)
        squares = pairs.add(squares, (sums[SQUARES, lane], sums[LOST, lane]))
        if missing:
            part = pairs.two_sum(
                sums[COUNT, lane] - cuts[n_features], sums[COUNT_REST, lane]
            )
            weight = pairs.add(weight, part)
    if not missing:
        weight = plain_weight
    return total, squares, weight


@jit
def weight_between(weights, first, last, fold, cut):
    """Weight of the wide rows from first to last, a pair."""
    if weights is None:
        return (last - first) * float(fold), 0.0
    total, rest = cut, 0.0
    for i in range(first * fold, last * fold):
        larger = total + weights[i]
        rest += weights[i] - (larger - total)
        total = larger
    return pairs.two_sum(total - cut, rest)


@jit
def _rough_sums(sums, cuts, j):
    """Total, squares and weight of a feature over its lanes, in plain arithmetic."""
    n_features = len(cuts) - 1
    total, squares, weight = 0.0, 0.0, 0.0
    for lane in range(j, sums.shape[1], n_features):
        total += (sums[TOTAL, lane] - cuts[j]) + sums[REST, lane]
        squares += sums[SQUARES, lane]
        weight += sums[COUNT, lane] - cuts[n_features]
    return total, squares, weight


@jit
def check(sums, cuts, plain_weight, missing, weights):
    """Whether the centres are near the means, and no value was too large."""
    verdict = GOOD
    for j in range(len(cuts) - 1):
        total, squares, weight = _rough_sums(sums, cuts, j)
        if not (abs(total) < math.inf and squares < math.inf):
            return NOT_FINITE
        if not missing:
            weight = plain_weight
        centre = sums[CENTRE, j]
        bound, away = math.sqrt(weight) * math.sqrt(squares), total
        if weights is None:
            away -= weight * centre
            bound += weight * abs(centre)
        elif centre != 0.0 and weight > 0.0:
            mean = centre + total / weight
            if _is_small(mean, squares / weight + centre * (2.0 * mean - centre)):
                verdict = NEW_GUESS
        if 2.0 * away * away > weight * squares or 2.0 * bound > cuts[j]:
            verdict = NEW_GUESS
    return verdict


@jit
def _is_small(mean, square):
    """Whether zero is as good a centre; distances from it need no rounding."""
    return square > 5.0 * mean * mean


@jit
def guess_again(sums, before, cuts, guess, weight, old_weight, missing, weights):
    """Guess from the rows that are in ``sums`` and not in ``before``."""
    for j in range(guess.shape[1]):
        total, squares, count = _rough_sums(sums, cuts, j)
        old_total, old_squares, old_count = _rough_sums(before, cuts, j)
        recent = count - old_count if missing else weight - old_weight
        if not recent > 0.0:
            continue
        centre = sums[CENTRE, j]
        mean = (total - old_total) / recent
        if weights is not None:
            mean += centre
        spread = max(squares - old_squares, 0.0) / recent
        guess[0, j] = mean
        guess[1, j] = max(guess[1, j], abs(centre) + math.sqrt(spread))
        if _is_small(mean, spread + centre * (2.0 * mean - centre)):
            guess[0, j] = 0.0
