"""Moments by Numba: wide rows into sums, sums into moments, moments together."""

from __future__ import annotations

import numpy as np

from skbn import pairs
from skbn.engines.numba.features import N_FEATURE_ROWS, finish_step
from skbn.engines.numba.lanes import LANES, ROWS, read
from skbn.engines.numba.sums import (
    DONE,
    DONE_WITH_MISSING,
    GOOD,
    N_GUESS,
    N_SUMS,
    NEW_GUESS,
    NOT_FINITE,
    OUT_OF_RANGE,
    add_rows,
    address,
    begin,
    check,
    fold_sums,
    guess_again,
    jit,
    lanes_of,
    room,
    sample,
    weight_between,
)


@jit
def _pool_feature(out, j, weight, mean, variance):
    """``skbn.moments.pool`` of one feature, into ``out``."""
    if weight[0] <= 0.0:
        return
    old_weight = (out[0, 0, j], out[1, 0, j])
    old_mean, old_variance = (out[0, 1, j], out[1, 1, j]), (out[0, 2, j], out[1, 2, j])
    if old_weight[0] > 0.0:
        total = pairs.add(old_weight, weight)
        share = pairs.divide(weight, total)
        rest = old_weight[0] / total[0]
        gap = pairs.subtract(mean, old_mean)
        step = pairs.multiply(gap, share)
        between = (step[0] * gap[0]) * rest
        change = pairs.multiply(pairs.subtract(variance, old_variance), share)
        variance = pairs.add(old_variance, pairs.add(change, (between, 0.0)))
        mean = pairs.add(old_mean, step)
        weight = total
    out[0, 0, j], out[1, 0, j] = weight
    out[0, 1, j], out[1, 1, j] = mean
    out[0, 2, j], out[1, 2, j] = variance


@jit
def _finish(features, guess, weights, part, out):
    """Pool the sums of features into ``out``; ``part`` is room for as many."""
    n_features = out.shape[2]
    place, gap = address(features), features.strides[0]
    centre, to, to_gap = address(guess), address(part), part.strides[0]
    for j in range(0, n_features, LANES):
        finish_step(place + 8 * j, gap, centre + 8 * j, to + 8 * j, to_gap, weights)
    if not out[0, 0].any():
        for row in range(6):
            for j in range(n_features):
                out[row // 3, row % 3, j] = part[row, j]
        return
    for j in range(n_features):
        _pool_feature(
            out, j, (part[0, j], part[3, j]), (part[1, j], part[4, j]),
            (part[2, j], part[5, j]),
        )  # fmt: skip


@jit
def pool_into(out, other):
    """Pool later moments into ``out``; both as ``add_moments`` leaves them."""
    for j in range(out.shape[2]):
        _pool_feature(
            out,
            j,
            (other[0, 0, j], other[1, 0, j]),
            (other[0, 1, j], other[1, 1, j]),
            (other[0, 2, j], other[1, 2, j]),
        )


@jit
def make_rooms(width, n_features, weighted):
    """Room for the sums of wide rows, to be used again and again."""
    lanes = lanes_of(width, n_features)
    return (
        room(N_SUMS, width), room(ROWS if weighted else 1, width),
        room(N_GUESS, lanes), room(1, lanes), room(N_FEATURE_ROWS, lanes),
        room(N_FEATURE_ROWS, lanes), room(N_FEATURE_ROWS, lanes),
    )  # fmt: skip


@jit
def add_moments(
    x, pitch, size, n_rows, width, n_features, chunk, marker, weights, at, rooms, out
):
    """Pool the moments of wide rows into ``out``.

    Parameters
    ----------
    x, pitch, size : int
        Address of the first value, bytes from row to row and from value to value.
    n_rows, width : int
        Number of wide rows, and of values in one; ``width`` is a multiple of
        ``n_features``.
    chunk : int
        Wide rows between checks.
    marker : ndarray
        From ``MARKERS``: the dtype.
    weights : ndarray of shape (n_rows * width / n_features,), or None
        Or of shape (1, n_rows), where ``width`` is ``n_features``; longer where rows
        come before these, ``at`` of them.
    rooms : tuple of ndarray
        From ``make_rooms``.
    out : ndarray of shape (2, 3, n_features)
        High and low parts of weight, mean and variance.

    Returns
    -------
    int
        DONE; DONE_WITH_MISSING where weights may differ between features; or
        OUT_OF_RANGE where an infinity or huge values were met.
    """
    if n_rows == 0:
        return DONE
    lanes = lanes_of(width, n_features)
    sums, weight_room = rooms[0][:, :width], rooms[1][:, :width]
    guess, cuts, part = rooms[2][:, :lanes], rooms[3][:, :lanes], rooms[4][:, :lanes]
    now, before = rooms[5][:, :lanes], rooms[6][:, :lanes]
    before[:] = 0.0
    heaviest = 1.0
    if weights is not None:
        heaviest = weights.max()
    fold, missing, tries = width // n_features, False, 0
    sample(x, pitch, size, n_rows, width, n_features, marker, guess)
    cut = begin(sums, cuts, guess, n_features, n_rows, heaviest)
    start, done = 0, (0.0, 0.0)
    while start < n_rows:
        stop = min(start + chunk, n_rows)
        weight = pairs.add(done, weight_between(weights, at, start, stop, fold, cut))
        if missing:
            add_rows(
                x, pitch, size, start, stop, width, n_features, marker, True, weights,
                at, sums, weight_room,
            )  # fmt: skip
        else:
            add_rows(
                x, pitch, size, start, stop, width, n_features, marker, None, weights,
                at, sums, weight_room,
            )  # fmt: skip
        fold_sums(sums, cuts, cut, n_features, weight, missing, now)
        verdict = check(now, guess, cuts, n_features, weights)
        if verdict == GOOD:
            start, tries, done = stop, 0, weight
            now, before = before, now
            continue
        tries += 1
        if (verdict == NOT_FINITE and missing) or tries > 8:
            return OUT_OF_RANGE
        if done[0] > 0.0:
            _finish(before, guess, weights, part, out)
        if verdict == NEW_GUESS:
            guess_again(now, before, guess, n_features, weights)
        missing = missing or verdict == NOT_FINITE
        cut = begin(sums, cuts, guess, n_features, n_rows, heaviest)
        before[:] = 0.0
        done = (0.0, 0.0)
    if done[0] > 0.0:
        _finish(before, guess, weights, part, out)
    return DONE_WITH_MISSING if missing else DONE


@jit
def _row_moments(x, size, n_features, marker, out):
    """Moments of one row; whether all of it was finite."""
    finite = True
    for j in range(n_features):
        value = read(x + j * size, marker)
        finite &= value - value == 0.0
        out[0, 0, j], out[0, 1, j] = 1.0, value
    return finite


@jit
def fold_moments(
    x, pitch, size, n_rows, n_features, fold, chunk, marker, weights, rooms, out
):
    """Pool the moments of rows, ``fold`` of them side by side, into ``out``.

    ``pitch`` is the distance of the rows, the rest as for ``add_moments``. Rows that
    fill no wide row are pooled alone.
    """
    out[:] = 0.0
    if n_rows == 1 and weights is None:
        if _row_moments(x, size, n_features, marker, out):
            return DONE
        out[:] = 0.0
    # Twice the same types, or all is compiled twice: a literal is a type of its own.
    wide, main, first = n_rows // fold, n_rows - n_rows % fold, n_rows - n_rows
    status = add_moments(
        x, pitch * fold, size, wide, fold * n_features, n_features, chunk, marker,
        weights, first, rooms, out,
    )  # fmt: skip
    if main == n_rows:
        return status
    last = add_moments(
        x + main * pitch, pitch, size, n_rows - main, n_features, n_features,
        chunk * fold, marker, weights, main, rooms, out,
    )  # fmt: skip
    return max(status, last)


@jit
def row_moments(x, pitch, size, n_rows, n_features, fold, chunk, marker, weights, out):
    """``fold_moments``, with rooms of its own."""
    rooms = make_rooms(fold * n_features, n_features, weights is not None)
    return fold_moments(
        x, pitch, size, n_rows, n_features, fold, chunk, marker, weights, rooms, out
    )


@jit
def array_moments(X, fold, chunk, marker, weights, out):
    """``fold_moments`` of an array in C order."""
    return row_moments(
        address(X), X.strides[0], X.itemsize, X.shape[0], X.shape[1], fold, chunk,
        marker, weights, out,
    )  # fmt: skip


@jit
def add_columns(x, stride, size, n_rows, n_columns, width, chunk, marker, weights, out):
    """Moments of columns whose values are contiguous.

    ``stride`` is the distance of the columns in bytes; the rest as for
    ``add_moments``.
    """
    status, rooms = DONE, make_rooms(width, 1, weights is not None)
    one = np.zeros((2, 3, 1))
    for j in range(n_columns):
        went = fold_moments(
            x + j * stride, size, size, n_rows, one.shape[2], width, chunk, marker, weights,
            rooms, one,
        )  # fmt: skip
        status = max(status, went)
        for row in range(6):
            out[row // 3, row % 3, j] = one[row // 3, row % 3, 0]
    return status


@jit
def _step(start, end, share, rest, between, high, low):
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
                    part, lost = pairs.two_sum(part, moved)
                    part_low += lost
            high[row, j], low[row, j] = pairs.add(
                (start[0][row, j], start[1][row, j]), (part, part_low)
            )
            finite &= high[row, j] - high[row, j] == 0.0
    return finite


@jit
def combine(left, left_low, right, right_low, weights, between, high, low):
    """``skbn.moments._combine`` of moments whose features share their weight.

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
