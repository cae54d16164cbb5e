"""Kernels for the plain sums of sparse entries: without weights, and around zero.

Groups of entries are looked at and added together; where one of a group needs care,
and at the ends of rows and columns, it is one by one. Groups of rows are added to quick
sums, which are without an error for values of one magnitude.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import register_jitable
from numba.np.numpy_support import carray

from skbn import pairs
from skbn.engines.numba.sums import address, jit
from skbn.engines.sparse.kernel_steps import (
    GROUP,
    PLAIN_LINE,
    add_group,
    add_lanes,
    add_plain,
    look,
    pointer,
)

# Entries between looks at how rows begin, while they are in a near cache.
PIECE = 4096
# Entries of a column from which on adding up the lanes does not matter.
LONG = 8 * GROUP

# Powers of two that values may have for their squares to be added quickly.
REACH = 400

SORTED, UNSORTED, OUT_OF_BOUNDS = 0, 1, 2


@register_jitable
def descents_between(indices, starts, begin):
    """Number of rows that begin with an index not above that of the entry before.

    ``indices`` are those of the entries from ``begin`` on, ``starts`` says where rows
    begin.
    """
    count, k = 0, np.int64(starts[0]) - begin
    for i in range(1, len(starts)):
        after = np.int64(starts[i]) - begin
        if k > 0 and k < after:
            # Unsigned: Numba need not look whether they count from the end.
            count += indices[np.uint64(k)] <= indices[np.uint64(k - 1)]
        k = after
    return count


@jit
def add_plain_rows(
    x, place, pointers, count, start, stop, first, last, marker, index, lines, quick,
    lost,
):  # fmt: skip
    """Add entries of CSR rows start to stop to plain lines, one a feature.

    Indices are sorted where they descend at the beginnings of rows alone: to look at
    those apart spares the processor a loop a row, whose end it cannot foresee.

    Returns
    -------
    status : int
    noise : float
        How far off squares may be.
    """
    data = carray(pointer(x), last, marker.dtype)
    indices = carray(pointer(place), last, index.dtype)
    indptr = carray(pointer(pointers), count, index.dtype)
    to, quickly, limit = address(lines), address(quick), len(lines)
    rows = max(1, PIECE * (stop - start) // max(last - first, 1))
    most = math.ldexp(1.0, math.frexp(float(min(stop - start, last - first)))[1])
    status, noise, bound, too_large = SORTED, 0.0, 0.0, last - first
    for top in range(start, stop, rows):
        bottom = min(top + rows, stop)
        begin, end = max(indptr[top], first), min(indptr[bottom], last)
        if begin >= end:
            continue
        if 4 * too_large > end - begin:
            larger = _bound(data, begin, min(begin + PIECE, end))
            if larger > bound:
                _add_up(quick, lines)
                bound = larger
                noise += math.ldexp(most * bound * most * bound, -106)
        cut, square_cut, too_large = most * bound, most * bound * bound, 0
        descents, before = 0, -1
        if begin > indptr[top]:
            before = np.int64(indices[begin - 1])
        k = begin
        while k < end:
            alone = 1
            if k > begin and k + GROUP <= end:
                here, where = x + data.itemsize * k, place + indices.itemsize * k
                found = look(here, where, limit, bound, marker, index)
                if found >= 0:
                    missing = add_group(
                        here, where, quickly, cut, square_cut, marker, index
                    )
                    for i in range(GROUP if missing else 0):
                        lost[indices[k + i]] += float((missing >> i) & 1)
                    descents += found
                    k += GROUP
                    continue
                alone = GROUP
                too_large += GROUP
            for _ in range(min(alone, end - k)):
                if k > begin:
                    before = np.int64(indices[k - 1])
                j, value = np.int64(indices[k]), float(data[k])
                if j < 0 or j >= limit:
                    return OUT_OF_BOUNDS, noise
                descents += j <= before
                if value == value:
                    add_plain(to + PLAIN_LINE * j, value)
                else:
                    lost[j] += 1.0
                k += 1
        starts = indptr[top : bottom + 1]
        if descents != descents_between(indices[begin:end], starts, begin):
            status = UNSORTED
    _add_up(quick, lines)
    return status, noise


@register_jitable
def _bound(data, begin, end):
    """A power of two, above twice the size of these values; 0 for none of use."""
    top = 0.0
    for k in range(begin, end):
        size = abs(float(data[k]))
        if top < size < math.inf:
            top = size
    power = math.frexp(top)[1] + 1
    return math.ldexp(1.0, power) if abs(power) < REACH else 0.0


@register_jitable
def _add_up(quick, lines):
    """Add quick sums to others, and set them to nothing."""
    for j in range(len(lines)):
        for i in range(2):
            part = pairs.two_sum(quick[j, i], quick[j, 2 + i])
            lines[j, i], lines[j, 2 + i] = pairs.add(
                (lines[j, i], lines[j, 2 + i]), part
            )
    quick[:] = 0.0


@jit
def add_plain_columns(
    x, place, pointers, count, start, stop, first, last, marker, index, n_rows, lines,
    lost,
):  # fmt: skip
    """Add entries of CSC columns start to stop to plain lines, one each."""
    data = carray(pointer(x), last, marker.dtype)
    indices = carray(pointer(place), last, index.dtype)
    indptr = carray(pointer(pointers), count, index.dtype)
    room = np.zeros((4, GROUP))
    lanes, status = address(room), SORTED
    for j in range(start, stop):
        begin, end = max(indptr[j], first), min(indptr[j + 1], last)
        to, number = address(lines) + PLAIN_LINE * (j - start), end - begin
        descents, before = 0, -1
        if begin > indptr[j]:
            before = np.int64(indices[begin - 1])
        k, in_lanes = begin, 0
        while k < end:
            alone = 1
            if number >= LONG and k > begin and k + GROUP <= end:
                here, where = x + data.itemsize * k, place + indices.itemsize * k
                found = look(here, where, n_rows, math.inf, marker, index)
                if found >= 0:
                    lost[j - start] += add_lanes(here, lanes, marker)
                    descents += found
                    in_lanes += GROUP
                    k += GROUP
                    continue
                alone = GROUP
            for _ in range(min(alone, end - k)):
                if k > begin:
                    before = np.int64(indices[k - 1])
                i, value = np.int64(indices[k]), float(data[k])
                if i < 0 or i >= n_rows:
                    return OUT_OF_BOUNDS
                descents += i <= before
                if value == value:
                    add_plain(to, value)
                else:
                    lost[j - start] += 1.0
                k += 1
        if in_lanes:
            _fold(room, lines[j - start])
        if descents:
            status = UNSORTED
    return status


@register_jitable
def _fold(room, line):
    """Add the sums of the lanes to a line, and set them to nothing."""
    for lane in range(GROUP):
        for i in range(2):
            line[i], line[2 + i] = pairs.add(
                (line[i], line[2 + i]), (room[i, lane], room[2 + i, lane])
            )
    room[:] = 0.0
