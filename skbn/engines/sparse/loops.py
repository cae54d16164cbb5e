"""Loops over sparse entries that Numba compiles, and that run as plain Python too.

Sums are exact by splitting: adding and subtracting a *cut*, three halves of a power of
two, leaves the leading part of a value, a multiple of the cut's last bit. Leading parts
add up without an error while their sum has 53 bits, and what is left is so small that
its errors do not show (Rump, Ogita & Oishi, "Accurate floating-point summation part I",
SIAM J. Sci. Comput. 31(1), 2008, algorithm 3.2). Every feature has a cut of its own.

Sums have the shape (n_features, 2, N_SUMS): those of a feature share a cache line.

Constants are of an Intel Xeon (Sapphire Rapids), 2026-11, 400,000 x 1,000 at 1%.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from skbn import pairs
from skbn.engines.numba.jit import jit
from skbn.engines.sparse.numpy_kernels import MISSING, SQUARES, TOTAL, WEIGHT

for _function in pairs.two_sum, pairs.split, pairs.two_product:
    register_jitable(_function)

# Leading squares add up without an error up to the square of this part of the cut.
FULL = 2.0**-27
# A column's cut fits while squares are, in the mean, no less than this part of that:
# leading parts of values then have 17 bits and more.
LEAST = 2.0**-16
# Entries of a column with one cut, still in a first-level cache when a second is tried.
PIECE = 2048
# Rows whose indices are in a first-level cache when their starts are looked at.
CHUNK = 512
# Sums of a column that take turns, so that additions need not wait for one another:
# with 16 a column takes 8% longer.
LANES = 64

SORTED, UNSORTED, OUT_OF_BOUNDS, INFINITE = range(4)


@register_jitable
def _split(value, cut):
    """Leading part and rest of a value, then of its square."""
    leading = (value + cut) - cut
    rest = value - leading
    return leading, rest, leading * leading, (value + leading) * rest


@register_jitable
def _add(sums, j, which, term, rest):
    """Add a pair to a sum of feature j."""
    total, error = pairs.two_sum(sums[j, 0, which], term)
    sums[j, 0, which] = total
    sums[j, 1, which] += error + rest


@jit
def add_rows(data, indices, starts, center, sums):
    """Add CSR entries, whose features change from one to the next.

    A feature's cut rises with its values, and its sums are put away before they are
    full. Returns whether indices are sorted: whether they descend at starts alone.
    To look at each row apart takes 11 ms, where all of this takes 12: no processor
    foresees where short rows end.
    """
    # Unsigned: Numba then need not look whether indices count from the end.
    n_features, n_rows, descents = np.uint64(len(sums)), len(starts) - 1, 0
    before = n_features
    cuts, parts = np.zeros(n_features), np.zeros((n_features, 4))
    for top in range(0, n_rows, CHUNK):
        bottom = min(top + CHUNK, n_rows)
        for k in range(np.uint64(starts[top]), np.uint64(starts[bottom])):
            j, value = np.uint64(indices[k]), float(data[k])
            if j >= n_features:
                return OUT_OF_BOUNDS
            descents += j <= before
            before = j
            if center is not None:
                value -= center[j]
            leading, rest, square, square_rest = _split(value, cuts[j])
            square += parts[j, 2]
            full = FULL * cuts[j]
            if not square <= full * full:
                if value != value:
                    sums[j, 0, MISSING] += 1.0
                    continue
                _put_away(parts, sums, j)
                cuts[j] = max(cuts[j], math.ldexp(1.5, math.frexp(value)[1] + 30))
                leading, rest, square, square_rest = _split(value, cuts[j])
            parts[j, 0] += leading
            parts[j, 1] += rest
            parts[j, 2] = square
            parts[j, 3] += square_rest
        for i in range(top, bottom):
            k = starts[i]
            if k < starts[i + 1]:
                descents -= k == 0 or indices[k] <= indices[k - 1]
    for j in range(len(sums)):
        _put_away(parts, sums, j)
    return UNSORTED if descents else SORTED


@register_jitable
def _put_away(parts, sums, j):
    """Add the parts of feature j to its sums, and set them to zero."""
    _add(sums, j, TOTAL, parts[j, 0], parts[j, 1])
    _add(sums, j, SQUARES, parts[j, 2], parts[j, 3])
    for i in range(4):
        parts[j, i] = 0.0


@jit
def add_columns(data, indices, starts, n_rows, center, sums):
    """Add CSC entries, a feature after the other; return whether indices are sorted.

    A piece of a column has the cut of the one before, or one of its own where that does
    not fit.
    """
    lanes, cut, status = np.zeros((4, LANES)), 1.0, SORTED
    for j in range(len(starts) - 1):
        its_center = 0.0 if center is None else center[j]
        for begin in range(starts[j], starts[j + 1], PIECE):
            end = min(begin + PIECE, starts[j + 1])
            its = indices[max(begin - 1, starts[j]) : end]
            lowest, highest, unsorted = its[0], its[0], False
            for k in range(1, len(its)):
                lowest, highest = min(lowest, its[k]), max(highest, its[k])
                unsorted |= its[k] <= its[k - 1]
            if lowest < 0 or highest >= n_rows:
                return OUT_OF_BOUNDS
            if unsorted:
                status = UNSORTED
            values = data[begin:end]
            found = _piece(values, its_center, cut, lanes)
            full = FULL * cut * FULL * cut
            if not LEAST * len(values) * full <= found[2] <= full:
                squares = _squares(values, its_center)
                cut = math.ldexp(1.5, (math.frexp(squares)[1] + 1) // 2 + 27)
                found = _piece(values, its_center, cut, lanes)
            total, rest, square, square_rest, missing = found
            _add(sums, j, TOTAL, total, rest)
            _add(sums, j, SQUARES, square, square_rest)
            sums[j, 0, MISSING] += missing
    return status


@register_jitable
def _piece(values, center, cut, lanes):
    """Sums of the parts of values, and the number of missing ones."""
    missing, n_lanes = 0, min(len(values), LANES)
    for first in range(0, len(values), LANES):
        turn = values[first : first + LANES]
        for i in range(len(turn)):
            value = float(turn[i]) - center
            missing += value != value
            value = value if value == value else 0.0
            leading, rest, square, square_rest = _split(value, cut)
            lanes[0, i] += leading
            lanes[1, i] += rest
            lanes[2, i] += square
            lanes[3, i] += square_rest
    total, rest, square, square_rest = 0.0, 0.0, 0.0, 0.0
    for i in range(n_lanes):
        total += lanes[0, i]
        rest += lanes[1, i]
        square += lanes[2, i]
        square_rest += lanes[3, i]
        for part in range(4):
            lanes[part, i] = 0.0
    return total, rest, square, square_rest, missing


@register_jitable
def _squares(values, center):
    """Sum of squares, rounded."""
    squares = 0.0
    for k in range(len(values)):
        value = float(values[k]) - center
        squares += value * value if value == value else 0.0
    return squares


@jit
def add_weighted(data, indices, starts, limit, by_rows, weights, center, sums):
    """Add entries of CSR with the weights of its rows, or of CSC with their own.

    Squares are rounded. Returns whether indices are sorted.
    """
    status = SORTED
    for major in range(len(starts) - 1):
        before = -1
        for k in range(np.uint64(starts[major]), np.uint64(starts[major + 1])):
            minor = indices[k]
            if minor < 0 or minor >= limit:
                return OUT_OF_BOUNDS
            if minor <= before:
                status = UNSORTED
            before = minor
            j = np.uint64(minor if by_rows else major)
            value, weight = float(data[k]), weights[np.uint64(major) if by_rows else k]
            if value != value:
                _add(sums, j, MISSING, weight, 0.0)
                continue
            away = value if center is None else value - center[j]
            product, error = pairs.two_product(weight, value)
            _add(sums, j, TOTAL, product, error)
            _add(sums, j, SQUARES, weight * away * away, 0.0)
            _add(sums, j, WEIGHT, weight, 0.0)
    return status


@jit
def scale_rows(data, indices, scale, divides, low, high, out):
    """Write CSR entries divided by the scale of their feature, or times it, clipped."""
    n_features, infinite = np.uint64(len(scale)), False
    for k in range(len(data)):
        j, value = np.uint64(indices[k]), float(data[k])
        if j >= n_features:
            return OUT_OF_BOUNDS
        infinite |= abs(value) == math.inf
        out[k] = _scaled(value, scale[j], divides, low, high)
    return INFINITE if infinite else SORTED


@jit
def scale_columns(data, starts, scale, divides, low, high, out):
    """Write CSC entries divided by the scale of their feature, or times it, clipped."""
    infinite = False
    for j in range(len(starts) - 1):
        values, to = data[starts[j] : starts[j + 1]], out[starts[j] : starts[j + 1]]
        for k in range(len(values)):
            value = float(values[k])
            infinite |= abs(value) == math.inf
            to[k] = _scaled(value, scale[j], divides, low, high)
    return INFINITE if infinite else SORTED


@register_jitable
def _scaled(value, scale, divides, low, high):
    scaled = value / scale if divides else value * scale
    scaled = low if scaled < low else scaled
    return high if scaled > high else scaled
