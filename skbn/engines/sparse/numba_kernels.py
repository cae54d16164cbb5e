"""Sums and scaled values of sparse entries by Numba: plain loops over arrays.

Sums are exact by splitting: adding and subtracting a *cut*, three halves of a power of
two, leaves the leading part of a value, a multiple of the cut's last bit. Leading parts
add up without an error while their sum has 53 bits, and what is left is so small that
its errors do not show (Rump, Ogita & Oishi, "Accurate floating-point summation part I",
SIAM J. Sci. Comput. 31(1), 2008, algorithm 3.2). Every feature has a cut of its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from skbn import pairs
from skbn.affine import Affine
from skbn.engines.base import InfinityInBlockError
from skbn.engines.numba.sums import jit
from skbn.engines.sparse.entries import AnyArray, Entries, bad_index
from skbn.engines.sparse.numpy_kernels import MISSING, N_SUMS, SQUARES, TOTAL, WEIGHT

Array = NDArray[np.float64]

# Sums carry 20 digits and more, so that sums of squares may be this many times as large
# as around the mean.
LIMIT = 16.0

# Entries that are in a first-level cache when they are read again.
PIECE, CHUNK = 4096, 512
# Sums of a column that take turns, so that additions need not wait for one another.
LANES = 64
# What a value is cut at, as part of what it is cut at to be squared: half as many bits
# would do for squares, but not for a total that cancels.
FINER = 2.0**-12
# Leading squares add up without an error up to the square of this part of the cut.
FULL = 2.0**-27

SORTED, UNSORTED, OUT_OF_BOUNDS, INFINITE = range(4)

_KINDS = {np.dtype(kind) for kind in ("?", "f4", "f8", *"bhilqBHILQ")}


@register_jitable
def _split(value, cut):
    """Leading part and rest of a value, then of its square."""
    fine, coarse = cut * FINER, (value + cut) - cut
    leading = (value + fine) - fine
    square_rest = (value + coarse) * (value - coarse)
    return leading, value - leading, coarse * coarse, square_rest


@register_jitable
def _add(sums, j, which, term, rest):
    """Add a pair to a sum of feature j."""
    total, error = pairs.two_sum(sums[j, 0, which], term)
    sums[j, 0, which] = total
    sums[j, 1, which] += error + rest


@jit
def check_indices(indices, starts, limit):
    """Whether indices are in [0, limit), and ascend from each start to the next.

    Descents are counted, then those at starts: to look at each row apart would take ten
    times as long, for the ends of short rows, which no processor foresees.
    """
    outside, descents = False, 0
    for k in range(len(indices)):
        outside |= (indices[k] < 0) | (indices[k] >= limit)
    for k in range(1, len(indices)):
        descents += indices[k] <= indices[k - 1]
    for i in range(1, len(starts) - 1):
        k = starts[i]
        if starts[i - 1] < k < len(indices):
            descents -= indices[k] <= indices[k - 1]
    if outside:
        return OUT_OF_BOUNDS
    return UNSORTED if descents else SORTED


@jit
def add_rows(data, indices, center, sums):
    """Add CSR entries, whose features change from one to the next.

    A feature's cut rises with its values; its sums are put away before they are full.
    """
    cuts, parts = np.zeros(len(sums)), np.zeros((len(sums), 4))
    for k in range(len(data)):
        # Unsigned: Numba then need not look whether it counts from the end.
        j = np.uint64(indices[k])
        value, cut = float(data[k]) - center[j], cuts[j]
        leading, rest, square, square_rest = _split(value, cut)
        square += parts[j, 2]
        full = FULL * cut
        if not square <= full * full:
            if value != value:
                sums[j, 0, MISSING] += 1.0
                continue
            _put_away(parts, sums, j)
            cuts[j] = max(cut, math.ldexp(1.5, math.frexp(value)[1] + 31))
            leading, rest, square, square_rest = _split(value, cuts[j])
        parts[j, 0] += leading
        parts[j, 1] += rest
        parts[j, 2] = square
        parts[j, 3] += square_rest
    for j in range(len(sums)):
        _put_away(parts, sums, j)


@register_jitable
def _put_away(parts, sums, j):
    """Add the parts of feature j to its sums, and set them to zero."""
    _add(sums, j, TOTAL, parts[j, 0], parts[j, 1])
    _add(sums, j, SQUARES, parts[j, 2], parts[j, 3])
    parts[j, :] = 0.0


@jit
def add_columns(data, starts, center, sums):
    """Add CSC entries, a feature after the other."""
    lanes = np.zeros((4, LANES))
    for j in range(len(starts) - 1):
        for begin in range(starts[j], starts[j + 1], PIECE):
            values = data[begin : min(begin + PIECE, starts[j + 1])]
            n, missing = len(values), 0
            for first in range(0, n, LANES):
                for i in range(min(LANES, n - first)):
                    value = float(values[first + i]) - center[j]
                    present = value == value
                    missing += not present
                    lanes[0, i] += value * value if present else 0.0
            squares = _take_sum(lanes, 0, n)
            # No less than the square root of the squares, times 2**26.
            cut = math.ldexp(1.5, (math.frexp(squares)[1] + 1) // 2 + 26)
            for first in range(0, n, LANES):
                for i in range(min(LANES, n - first)):
                    value = float(values[first + i]) - center[j]
                    value = value if value == value else 0.0
                    leading, rest, square, square_rest = _split(value, cut)
                    lanes[0, i] += leading
                    lanes[1, i] += rest
                    lanes[2, i] += square
                    lanes[3, i] += square_rest
            _add(sums, j, TOTAL, _take_sum(lanes, 0, n), _take_sum(lanes, 1, n))
            _add(sums, j, SQUARES, _take_sum(lanes, 2, n), _take_sum(lanes, 3, n))
            sums[j, 0, MISSING] += missing


@register_jitable
def _take_sum(lanes, which, n):
    """Sum of the first n lanes, which are set to zero."""
    total = 0.0
    for i in range(min(LANES, n)):
        total += lanes[which, i]
        lanes[which, i] = 0.0
    return total


@jit
def add_weighted(data, indices, starts, by_rows, weights, center, sums):
    """Add entries of CSR or CSC, each with the weight of its row."""
    for major in range(len(starts) - 1):
        for k in range(starts[major], starts[major + 1]):
            i, j = major, indices[k]
            if not by_rows:
                i, j = j, major
            value, weight = float(data[k]), weights[i]
            if value != value:
                _add(sums, j, MISSING, weight, 0.0)
                continue
            product, error = pairs.two_product(weight, value)
            _add(sums, j, TOTAL, product, error)
            away = value - center[j]
            product, error = pairs.two_product(weight, away)
            square, square_error = pairs.two_product(product, away)
            _add(sums, j, SQUARES, square, square_error + error * away)
            _add(sums, j, WEIGHT, weight, 0.0)


@jit
def scale_rows(data, indices, scale, divides, low, high, out):
    """Write CSR entries divided by the scale of their feature, or times it, clipped."""
    infinite = False
    for begin in range(0, len(data), CHUNK):
        its, values = indices[begin : begin + CHUNK], data[begin : begin + CHUNK]
        to, outside = out[begin : begin + CHUNK], False
        for k in range(len(its)):
            outside |= (its[k] < 0) | (its[k] >= len(scale))
        if outside:
            return OUT_OF_BOUNDS
        if divides:
            for k in range(len(its)):
                to[k] = float(values[k]) / scale[np.uint64(its[k])]
        else:
            for k in range(len(its)):
                to[k] = float(values[k]) * scale[np.uint64(its[k])]
        infinite |= _clip(values, low, high, to)
    return INFINITE if infinite else SORTED


@jit
def scale_columns(data, starts, scale, divides, low, high, out):
    """Write CSC entries divided by the scale of their feature, or times it, clipped."""
    infinite = False
    for j in range(len(starts) - 1):
        for begin in range(starts[j], starts[j + 1], CHUNK):
            end = min(begin + CHUNK, starts[j + 1])
            values, to = data[begin:end], out[begin:end]
            if divides:
                for k in range(len(values)):
                    to[k] = float(values[k]) / scale[j]
            else:
                for k in range(len(values)):
                    to[k] = float(values[k]) * scale[j]
            infinite |= _clip(values, low, high, to)
    return INFINITE if infinite else SORTED


@register_jitable
def _clip(values, low, high, out):
    """Clip what was written; whether a value is infinite."""
    infinite = False
    for k in range(len(values)):
        infinite |= abs(float(values[k])) == math.inf
    if low > -math.inf or high < math.inf:
        for k in range(len(out)):
            out[k] = low if out[k] < low else high if out[k] > high else out[k]
    return infinite


def reads(entries: Entries) -> bool:
    """Whether the kernels read such arrays."""
    arrays = entries.data, entries.indices, entries.indptr
    return (
        entries.data.dtype in _KINDS
        and entries.indices.dtype == entries.indptr.dtype
        and entries.indices.dtype in (np.int32, np.int64)
        and all(array.flags.c_contiguous and array.flags.aligned for array in arrays)
    )


def add_entries(
    entries: Entries,
    first: int,
    last: int,
    weights: Array | None,
    center: Array | None,
) -> tuple[Array, bool]:
    """Sums of the entries from first to last; see ``numpy_kernels.add_entries``."""
    majors, columns = entries.majors(first, last), entries.columns(first, last)
    data, indices, starts = _arrays(entries, first, last)
    status = check_indices(indices, starts, limit := _limit(entries))
    if status == OUT_OF_BOUNDS:
        raise bad_index(limit)
    # The first entry may be of the row, or column, that the one before it is of.
    parted = first > entries.indptr[majors.start]
    unsorted = parted and entries.indices[first] <= entries.indices[first - 1]
    if center is None:
        center = np.zeros(entries.n_features)
    center = center[columns]
    sums = np.zeros((columns.stop - columns.start, 2, N_SUMS))
    if weights is not None:
        weights = weights[majors] if entries.by_rows else weights
        its = _read_only(weights)
        add_weighted(data, indices, starts, entries.by_rows, its, center, sums)
    elif entries.by_rows:
        add_rows(data, indices, center, sums)
    else:
        add_columns(data, starts, center, sums)
    return sums.transpose(1, 2, 0), bool(unsorted or status == UNSORTED)


def scale_entries(
    entries: Entries, affine: Affine, out: AnyArray, first: int, last: int
) -> None:
    """Write scaled and clipped entries; see ``numpy_kernels.scale_entries``."""
    low, high = map(float, affine.clip or (-np.inf, np.inf))
    data, indices, starts = _arrays(entries, first, last)
    scale = _read_only(affine.scale)[entries.columns(first, last)]
    rest = scale, affine.divides, low, high, out[first:last]
    if entries.by_rows:
        status = scale_rows(data, indices, *rest)
    else:
        status = scale_columns(data, starts, *rest)
    if status == OUT_OF_BOUNDS:
        raise bad_index(entries.n_features)
    if status == INFINITE:
        raise InfinityInBlockError


def _arrays(entries: Entries, first: int, last: int) -> tuple[AnyArray, ...]:
    """Values and indices of these entries, and where rows, or columns, start."""
    majors, data = entries.majors(first, last), entries.data[first:last]
    starts = entries.indptr[majors.start : majors.stop + 1].clip(first, last)
    starts -= starts.dtype.type(first)
    # Numba makes no float of a bool.
    data = data.view(np.uint8) if data.dtype == np.bool_ else data
    indices = _read_only(entries.indices[first:last])
    return _read_only(data), indices, starts


def _read_only(array: Any) -> AnyArray:
    """A view that may not be written: it has one type, and is compiled for once."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _limit(entries: Entries) -> int:
    return entries.n_features if entries.by_rows else entries.n_rows
