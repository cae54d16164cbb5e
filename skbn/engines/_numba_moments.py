"""Moments by Numba: wide rows into sums, sums into moments, moments together."""

from __future__ import annotations

import numpy as np

from skbn import pairs
from skbn.engines._numba_lanes import ROWS
from skbn.engines._numba_sums import (
    CENTRE,
    DONE,
    DONE_WITH_MISSING,
    GOOD,
    N_SUMS,
    NEW_GUESS,
    NOT_FINITE,
    OUT_OF_RANGE,
    add_rows,
    begin,
    check,
    feature_sums,
    guess_again,
    jit,
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
def _finish(sums, cuts, plain_weight, missing, weights, out):
    """Pool what the sums have gathered into ``out``."""
    for j in range(len(cuts) - 1):
        total, squares, weight = feature_sums(sums, cuts, j, plain_weight, missing)
        if weight[0] <= 0.0:
            continue
        mean = pairs.divide(total, weight)
        centre = (sums[CENTRE, j], 0.0)
        if weights is None:
            offset = pairs.subtract(mean, centre)
        else:
            offset, mean = mean, pairs.add(mean, centre)
        variance = pairs.subtract(
            pairs.divide(squares, weight), pairs.multiply(offset, offset)
        )
        if variance[0] < 0.0:
            variance = (0.0, 0.0)
        _pool_feature(out, j, weight, mean, variance)


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
def add_moments(x, pitch, size, n_rows, width, n_features, chunk, marker, weights, out):
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
    weights : ndarray of shape (n_rows * width / n_features,) or None
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
    sums, before = np.empty((N_SUMS, width)), np.empty((N_SUMS, width))
    cuts, guess = np.empty(n_features + 1), np.empty((2, n_features))
    room = np.empty((ROWS if weights is not None else 1, width))
    heaviest = 1.0
    if weights is not None:
        heaviest = weights.max()
    fold, missing, tries = width // n_features, False, 0
    sample(x, pitch, size, n_rows, width, n_features, marker, guess)
    begin(sums, cuts, guess, n_rows, heaviest)
    start, done = 0, (0.0, 0.0)
    while start < n_rows:
        stop = min(start + chunk, n_rows)
        before[:] = sums
        if missing:
            add_rows(
                x,
                pitch,
                size,
                start,
                stop,
                width,
                n_features,
                marker,
                True,
                weights,
                sums,
                room,
            )
        else:
            add_rows(
                x,
                pitch,
                size,
                start,
                stop,
                width,
                n_features,
                marker,
                None,
                weights,
                sums,
                room,
            )
        part = weight_between(weights, start, stop, fold, cuts[n_features])
        weight = pairs.add(done, part)
        verdict = check(sums, cuts, weight[0], missing, weights)
        if verdict == GOOD:
            start, tries, done = stop, 0, weight
            continue
        if verdict == NEW_GUESS:
            guess_again(sums, before, cuts, guess, weight[0], done[0], missing, weights)
        tries += 1
        if (verdict == NOT_FINITE and missing) or tries > 8:
            return OUT_OF_RANGE
        _finish(before, cuts, done, missing, weights, out)
        missing = missing or verdict == NOT_FINITE
        begin(sums, cuts, guess, n_rows, heaviest)
        done = (0.0, 0.0)
    _finish(sums, cuts, done, missing, weights, out)
    return DONE_WITH_MISSING if missing else DONE


@jit
def add_columns(x, stride, size, n_rows, n_columns, width, chunk, marker, weights, out):
    """Pool the moments of columns whose values are contiguous into ``out``.

    ``stride`` is the distance of the columns in bytes; the rest as for
    ``add_moments``.
    """
    status = DONE
    wide, main = n_rows // width, n_rows - n_rows % width
    for j in range(n_columns):
        column = x + j * stride
        part = out[:, :, j : j + 1]
        first = add_moments(
            column, width * size, size, wide, width, 1, chunk, marker, weights, part
        )
        rest = weights if weights is None else weights[main:]
        last = add_moments(
            column + main * size,
            size,
            size,
            n_rows - main,
            1,
            1,
            chunk,
            marker,
            rest,
            part,
        )
        status = max(status, first, last)
    return status


@jit
def step(start, start_low, end, end_low, share, share_low, rest, between):
    """``skbn.moments._step``, bit for bit, for shares that all features have."""
    high, low = np.empty_like(start), np.empty_like(start)
    share_half, share_rest = pairs.split(share)
    for j in range(start.shape[1]):
        moved = 0.0
        for row in range(2):
            gap, gap_low = pairs.two_sum(end[row, j], -start[row, j])
            gap_low = gap_low + (end_low[row, j] - start_low[row, j])
            gap_half, gap_rest = pairs.split(gap)
            part = gap_half * share_half
            part_low = gap_rest * share_half
            part_low += gap * (share_rest + share_low)
            part_low += gap_low * share
            if between:
                if row == 0:
                    moved = (part + part_low) * (gap + gap_low) * rest
                else:
                    part, lost = pairs.two_sum(part, moved)
                    part_low += lost
            high[row, j], low[row, j] = pairs.add(
                (start[row, j], start_low[row, j]), (part, part_low)
            )
    return high, low
