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

import numpy as np
from numba import njit
from numba.extending import register_jitable

from skbn import pairs
from skbn.engines.numba.cache import name_by_signature
from skbn.engines.numba.features import add_step, fold_step
from skbn.engines.numba.lanes import LANES, ROWS
from skbn.engines.numba.steps import (
    sample_step,
    sum_block,
    sum_block_end,
    sum_row,
    sum_row_end,
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
        compiled = njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # no folder to write to
        return njit(nogil=True, error_model="numpy")(function)
    return name_by_signature(compiled)


# Rows of the array of sums, one value a lane.
CENTRE, ONE, TOTAL, REST, SQUARES, LOST, COUNT, COUNT_REST = range(8)
N_SUMS = 8
# Rows of the array of a guess: its centre, the largest size; two to find them with.
REACH, N_GUESS = 2, 4

# Lanes that are folded at once, so that their additions need not wait.
FOLDED = 64
# Rows that the first guess is made from.
SAMPLE = 16
GOOD, NEW_GUESS, NOT_FINITE = 0, 1, 2
# A sum starts at 2**MARGIN times its guessed bound, so that data may outgrow the
# guess. What it loses is kept and added up, at 2**(MARGIN - 53) of the values.
MARGIN = 16
DONE, DONE_WITH_MISSING, OUT_OF_RANGE = 0, 1, 2
# Room behind each row: vectors may end there, and the rows of a power of two of
# values would else share the few places of a first-level cache.
ROOM = 3 * LANES


@jit
def address(array):
    """Where an array begins; a signed number, as its strides are."""
    return np.int64(array.ctypes.data)


@jit
def room(rows, width):
    """An array of so many rows, to be read by vectors; of shape (rows, width)."""
    return np.zeros((rows, width + ROOM))[:, :width]


@jit
def _fill_weights(room, n, weights, at, first, width, n_features):
    """Write the weights of wide rows, a value a lane."""
    fold = width // n_features
    for i in range(n):
        for f in range(fold):
            weight = weights[at + (first + i) * fold + f]
            for j in range(f * n_features, (f + 1) * n_features):
                room[i, j] = weight


@jit
def add_rows(
    x,
    pitch,
    size,
    start,
    stop,
    width,
    n_features,
    marker,
    missing,
    weights,
    at,
    sums,
    room,
):
    """Add wide rows start to stop to the sums.

    ``weights`` is None, an array of shape (n,), or one of shape (1, n) where a wide
    row is a row: it is then read once for all values of the row. The one of the first
    row is number ``at``.
    """
    place, gap = address(sums), sums.strides[0]
    main = width - width % LANES
    w, w_pitch = 0, 0
    i = start
    while i < stop:
        row, several = x + i * pitch, i + ROWS <= stop
        if weights is not None:
            if weights.ndim == 2:
                w, w_pitch = address(weights) + 8 * (at + i), 8
            elif n_features == 1:
                w, w_pitch = address(weights) + 8 * (at + i * width), 8 * width
            else:
                n = ROWS if several else 1
                _fill_weights(room, n, weights, at, i, width, n_features)
                w, w_pitch = address(room), room.strides[0]
        wide = 8
        if weights is not None and weights.ndim == 2:
            wide = 0
        if several:
            for j in range(0, main, LANES):
                sum_block(
                    row + j * size,
                    pitch,
                    place + 8 * j,
                    gap,
                    w + wide * j,
                    w_pitch,
                    0,
                    marker,
                    missing,
                    weights,
                )
            if main < width:
                sum_block_end(
                    row + main * size,
                    pitch,
                    place + 8 * main,
                    gap,
                    w + wide * main,
                    w_pitch,
                    width - main,
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
                    w + wide * j,
                    w_pitch,
                    0,
                    marker,
                    missing,
                    weights,
                )
            if main < width:
                sum_row_end(
                    row + main * size,
                    pitch,
                    place + 8 * main,
                    gap,
                    w + wide * main,
                    w_pitch,
                    width - main,
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
    place, gap = address(guess), guess.strides[0]
    guess[:] = 0.0
    for r in range(n):
        row = x + (r // fold) * pitch + (r % fold) * n_features * size
        for j in range(0, n_features, LANES):
            count = min(LANES, n_features - j)
            sample_step(row + j * size, place + 8 * j, gap, count, 1.0 / n, marker)
    for j in range(n_features):
        share = n / max(guess[3, j], 1.0)
        mean, square = guess[0, j] * share, guess[1, j] * share
        guess[0, j] = 0.0 if _is_small(mean, square) else mean


@jit
def lanes_of(width, n_features):
    """Lanes that are folded at once: a few vectors, halved until features are left."""
    lanes = width
    while lanes >= 2 * FOLDED and lanes % 2 == 0 and (lanes // 2) % n_features == 0:
        lanes //= 2
    return lanes


@jit
def begin(sums, cuts, guess, n_features, n_rows, heaviest):
    """Set the sums to nothing, around new centres; return where counts start."""
    lanes, width = guess.shape[1], sums.shape[1]
    power = MARGIN + math.frexp(float(n_rows))[1] + math.frexp(heaviest)[1]
    factor = math.ldexp(1.0, power)
    for j in range(n_features):
        cuts[0, j] = max(guess[REACH, j], 1e-280) * (2.0 * factor)
    # Not by slices: Numba compiles their error messages, for five seconds.
    for lane in range(n_features, lanes):
        cuts[0, lane] = cuts[0, lane - n_features]
        guess[0, lane] = guess[0, lane - n_features]
    sums[ONE] = 1.0
    sums[REST:] = 0.0
    sums[COUNT] = factor
    for first in range(0, width, lanes):
        for lane in range(lanes):
            sums[CENTRE, first + lane] = guess[0, lane]
            sums[TOTAL, first + lane] = cuts[0, lane]
    return factor


@jit
def fold_sums(sums, cuts, count_cut, n_features, weight, missing, features):
    """Set the sums of the features to those of their lanes.

    ``weight`` is that of every feature where none is ``missing``.
    """
    place, gap = address(sums), sums.strides[0]
    f_place, f_gap = address(features), features.strides[0]
    cut, lanes = address(cuts), features.shape[1]
    features[:] = 0.0
    for first in range(0, sums.shape[1], lanes):
        for j in range(0, lanes, LANES):
            fold_step(
                place + 8 * (first + j), gap, cut + 8 * j, f_place + 8 * j, f_gap,
                count_cut,
            )  # fmt: skip
    while lanes > n_features:
        lanes //= 2
        for j in range(0, lanes, LANES):
            add_step(f_place + 8 * j, f_gap, f_place + 8 * (j + lanes))
    if not missing:
        features[4] = weight[0]
        features[5] = weight[1]


@jit
def weight_between(weights, at, first, last, fold, cut):
    """Weight of the wide rows from first to last, a pair."""
    if weights is None:
        return (last - first) * float(fold), 0.0
    values = weights.ravel()[at + first * fold : at + last * fold]
    total = np.full(4, cut)
    rest = np.zeros(4)
    main = len(values) - len(values) % 4
    for i in range(0, main, 4):
        for k in range(4):
            larger = total[k] + values[i + k]
            rest[k] += values[i + k] - (larger - total[k])
            total[k] = larger
    for i in range(main, len(values)):
        larger = total[0] + values[i]
        rest[0] += values[i] - (larger - total[0])
        total[0] = larger
    weight = (0.0, 0.0)
    for k in range(4):
        weight = pairs.add(weight, pairs.two_sum(total[k] - cut, rest[k]))
    return weight


@jit
def check(features, guess, cuts, n_features, weights):
    """Whether the centres are near the means, and no value was too large."""
    lost, poor = 0, 0
    for j in range(n_features):
        total, squares, weight = features[0, j], features[2, j], features[4, j]
        centre = guess[0, j]
        bound = math.sqrt(weight) * math.sqrt(squares)
        if weights is None:
            away = total - weight * centre
            bound += weight * abs(centre)
        else:
            away = total
            mean = centre + total / max(weight, 1e-300)
            small = _is_small(
                mean, squares / max(weight, 1e-300) + centre * (2.0 * mean - centre)
            )
            poor |= int(small and centre != 0.0 and weight > 0.0)
        lost |= int(not (abs(total) < math.inf and squares < math.inf))
        poor |= int(2.0 * away * away > weight * squares or 2.0 * bound > cuts[0, j])
    if lost:
        return NOT_FINITE
    return NEW_GUESS if poor else GOOD


@jit
def _is_small(mean, square):
    """Whether zero is as good a centre; distances from it need no rounding."""
    return square > 5.0 * mean * mean


@jit
def guess_again(features, before, guess, n_features, weights):
    """Guess from the rows that are in ``features`` and not in ``before``."""
    for j in range(n_features):
        recent = features[4, j] - before[4, j]
        if not recent > 0.0:
            continue
        centre = guess[0, j]
        mean = (features[0, j] - before[0, j]) / recent
        if weights is not None:
            mean += centre
        spread = max(features[2, j] - before[2, j], 0.0) / recent
        guess[0, j] = mean
        guess[REACH, j] = max(guess[REACH, j], abs(centre) + math.sqrt(spread))
        if _is_small(mean, spread + centre * (2.0 * mean - centre)):
            guess[0, j] = 0.0
