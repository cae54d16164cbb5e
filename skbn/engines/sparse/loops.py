"""Loops over sparse entries that Numba compiles, and that run as plain Python too.

Sums are exact by splitting: adding and subtracting a *splitter*, three halves of a
power of two, leaves the leading part of a value, a multiple of the splitter's last bit.
Leading parts add up without an error while their sum has 53 bits, and what is left is
so small that its errors do not show (Rump, Ogita & Oishi, "Accurate floating-point
summation part I", SIAM J. Sci. Comput. 31(1), 2008, algorithm 3.2). Every column of CSC
has splitters of its own. Features of CSR share one, and those with values too small for
it are told apart, to be added up again in units of their own.

Sums have the shape (n_features, 2, N_SUMS): those of a feature share a cache line.

Constants are of an Intel Xeon (Sapphire Rapids), 2026-11, 400,000 x 1,000 at 1%.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable

from skbn import pairs
from skbn.engines.numba.hints import add_four, prefetch, wide_vectors
from skbn.engines.numba.jit import jit
from skbn.engines.sparse.numpy_kernels import MISSING, SQUARES, TOTAL, WEIGHT

# Leading squares of a column add up without an error up to the square of this part of
# the splitter.
FULL = 2.0**-27
# A column's splitter fits while squares are, in the mean, no less than this part of
# that: leading parts of values then have 17 bits and more.
LEAST = 2.0**-16
# Entries of a column with one splitter, still in a first-level cache when a second is
# tried.
PIECE = 2048
# Entries of rows whose terms are written, then added, in a first-level cache: with
# 512 the sums take 1.04 times as long, with 1024 1.4 times.
GROUP = 256
# Entries whose indices are in a near cache when the starts of their rows are looked at.
CHUNK = 4096
# Entries that memory is asked for before they are read: without, sums of rows take 1.2
# times as long.
AHEAD = 1024
# Leading parts of so many entries of a feature add up without an error.
MOST = 2**12
# Sums of a column that take turns, so that additions need not wait for one another:
# with 32 a column takes 1.4 times as long.
LANES = 64

SORTED, UNSORTED, OUT_OF_BOUNDS, INFINITE = range(4)

# Without a sign, so that Numba does not look for negative ones: loops that do are no
# vectors.
index = np.uintp


@register_jitable
def _add(sums, j, which, term, rest):
    """Add a pair to a sum of feature j."""
    total, error = pairs.two_sum(sums[j, 0, which], term)
    sums[j, 0, which] = total
    sums[j, 1, which] += error + rest


@register_jitable
def _look(indices):
    """Lowest and highest index, and how many do not rise above the one before."""
    wide_vectors()
    lowest, highest, descents = indices[0], indices[0], 0
    for k in range(index(1), index(len(indices))):
        lowest, highest = min(lowest, indices[k]), max(highest, indices[k])
        descents += indices[k] <= indices[k - index(1)]
    return lowest, highest, descents


@jit
def add_rows(data, indices, starts, center, unit, sums):
    """Add CSR entries, less their centers and in units, whose features take turns.

    Returns whether indices are sorted: whether they descend at starts alone. To look
    at each row apart takes as long as all of this: no processor foresees where short
    rows end. The second number is a bound of the values' sizes, a power of two; the
    third is no less than the number of entries of any feature.
    """
    n_features, n_rows, descents, n, unread = len(sums), len(starts) - 1, 0, 0, 0
    parts, terms = np.zeros(4 * n_features), np.empty(4 * GROUP)
    bound, rows = 0.0, max(1, CHUNK * n_rows // max(len(data), 1))
    for top in range(0, n_rows, rows):
        bottom = min(top + rows, n_rows)
        for begin in range(starts[top], starts[bottom], GROUP):
            end = min(begin + GROUP, starts[bottom])
            its, values = indices[begin:end], data[begin:end]
            lowest, highest, found = _look(its)
            if lowest < 0 or highest >= n_features:
                return OUT_OF_BOUNDS, bound, n
            # A feature has one entry at most before the next descent.
            unread += found + 1
            beyond = _write_terms(values, its, center, unit, bound, terms)
            if beyond or unread > MOST:
                _put_away(parts, sums)
                n, unread = n + unread, found + 1
                larger = _bound(values, its, center, unit, bound)
                if larger > bound:
                    bound = larger
                    _write_terms(values, its, center, unit, bound, terms)
            if beyond:
                _count_missing(values, its, sums)
            _add_terms(data, indices, begin, end, terms, parts)
            descents += found + (begin == 0 or indices[begin] <= indices[begin - 1])
        descents -= _descents(indices, starts, top, bottom)
    _put_away(parts, sums)
    return UNSORTED if descents else SORTED, bound, n + unread


@register_jitable
def _value(values, its, center, unit, k):
    """A value, less the center of its feature and in its unit."""
    value = float(values[k])
    if center is not None:
        j = index(its[k])
        value = (value - center[j]) * unit[j]
    return value


@register_jitable
def _write_terms(values, its, center, unit, bound, terms):
    """Write what entries add to four sums; whether any is missing or beyond bound."""
    wide_vectors()
    splitter, beyond = 0.75 * MOST * bound, False
    square_splitter = splitter * bound
    for k in range(index(len(values))):
        value = _value(values, its, center, unit, k)
        good = abs(value) <= bound
        beyond |= not good
        value = value if good else 0.0
        square, error = pairs.two_product(value, value)
        leading, leading_square = (
            (value + splitter) - splitter,
            (square + square_splitter) - square_splitter,
        )
        slot = index(4) * k
        terms[slot] = leading
        terms[slot + index(1)] = leading_square
        terms[slot + index(2)] = value - leading
        terms[slot + index(3)] = (square - leading_square) + error
    return beyond


@register_jitable
def _add_terms(data, indices, begin, end, terms, parts):
    """Add terms to the sums of their features, and have entries to come fetched."""
    slot = index(0)
    for k in range(index(begin), index(end)):
        prefetch(data, k + index(AHEAD))
        prefetch(indices, k + index(AHEAD))
        add_four(parts, index(4) * index(indices[k]), terms, slot)
        slot += index(4)


@register_jitable
def _put_away(parts, sums):
    """Add parts to the sums, and set them to zero."""
    for j in range(index(len(sums))):
        slot = index(4) * j
        _add(sums, j, TOTAL, parts[slot], parts[slot + index(2)])
        _add(sums, j, SQUARES, parts[slot + index(1)], parts[slot + index(3)])
        for i in range(index(4)):
            parts[slot + i] = 0.0


@register_jitable
def _bound(values, its, center, unit, bound):
    """A power of two above these values, or the bound."""
    for k in range(len(values)):
        size = abs(_value(values, its, center, unit, index(k)))
        if size > bound:
            bound = math.ldexp(1.0, math.frexp(size)[1]) if size < math.inf else size
    return bound


@register_jitable
def _count_missing(values, its, sums):
    for k in range(len(values)):
        if values[k] != values[k]:
            sums[index(its[k]), 0, MISSING] += 1.0


@register_jitable
def _descents(indices, starts, top, bottom):
    """How many rows begin with an index that is not above the one before."""
    descents = 0
    for i in range(index(top), index(bottom)):
        k = index(starts[i])
        if k < index(starts[i + index(1)]):
            descents += k == 0 or indices[k] <= indices[k - index(1)]
    return descents


@jit
def add_columns(data, indices, starts, n_rows, center, sums):
    """Add CSC entries, a feature after the other; return whether indices are sorted.

    A piece of a column has the splitter of the one before, or one of its own where that
    does not fit.
    """
    lanes, splitter, status = np.zeros((4, LANES)), 1.0, SORTED
    for j in range(len(starts) - 1):
        its_center = 0.0 if center is None else center[j]
        for begin in range(starts[j], starts[j + 1], PIECE):
            end = min(begin + PIECE, starts[j + 1])
            its = indices[max(begin - 1, starts[j]) : end]
            lowest, highest, descents = _look(its)
            if lowest < 0 or highest >= n_rows:
                return OUT_OF_BOUNDS
            if descents:
                status = UNSORTED
            values = data[begin:end]
            found = _piece(data, indices, begin, end, its_center, splitter, lanes)
            full = FULL * splitter * FULL * splitter
            if not LEAST * len(values) * full <= found[2] <= full:
                squares = _squares(values, its_center)
                splitter = math.ldexp(1.5, (math.frexp(squares)[1] + 1) // 2 + 27)
                found = _piece(data, indices, begin, end, its_center, splitter, lanes)
            total, rest, square, square_rest, missing = found
            _add(sums, j, TOTAL, total, rest)
            _add(sums, j, SQUARES, square, square_rest)
            sums[j, 0, MISSING] += missing
    return status


@register_jitable
def _piece(data, indices, begin, end, center, splitter, lanes):
    """Sums of the parts of values, and the number of missing ones."""
    wide_vectors()
    missing, n_lanes = 0, min(end - begin, LANES)
    for first in range(begin, end, LANES):
        for k in range(first + AHEAD, first + AHEAD + LANES, 64 // data.itemsize):
            prefetch(data, k)
            prefetch(indices, k)
        for i in range(index(min(LANES, end - first))):
            value = float(data[index(first) + i]) - center
            missing += value != value
            value = value if value == value else 0.0
            leading = (value + splitter) - splitter
            rest = value - leading
            lanes[index(0), i] += leading
            lanes[index(1), i] += rest
            lanes[index(2), i] += leading * leading
            lanes[index(3), i] += (value + leading) * rest
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
    """Write CSR entries divided by the scale of their feature, or times it, clipped.

    Scales are gathered apart from the arithmetic, which is then on vectors: together
    they take 1.3 times as long, and 1.6 with float32.
    """
    infinite, scales = 0, np.empty(PIECE)
    for begin in range(0, len(data), PIECE):
        its, values = indices[begin : begin + PIECE], data[begin : begin + PIECE]
        lowest, highest, _ = _look(its)
        if lowest < 0 or highest >= len(scale):
            return OUT_OF_BOUNDS
        for k in range(index(len(its))):
            scales[k] = scale[index(its[k])]
        to = out[begin : begin + PIECE]
        infinite += _write_scaled(values, scales, divides, low, high, to)
    return INFINITE if infinite else SORTED


@register_jitable
def _write_scaled(values, scales, divides, low, high, to):
    """Write scaled values; how many are infinite."""
    wide_vectors()
    infinite = 0
    for k in range(index(len(values))):
        value = float(values[k])
        infinite += abs(value) == math.inf
        to[k] = _scaled(value, scales[k], divides, low, high)
    return infinite


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
