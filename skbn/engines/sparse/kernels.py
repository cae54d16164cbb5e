"""Kernels for sparse entries by Numba: sums with weights or a centre, and images.

The sums of a feature share a cache line, so that an entry of a CSR matrix, whose
neighbours are of other features, touches one line. Kernels take addresses: for
read-only arrays Numba would compile them once more.
"""

from __future__ import annotations

import numpy as np
from numba.extending import register_jitable
from numba.np.numpy_support import carray

from skbn.engines.numba.lanes import LANES
from skbn.engines.numba.sums import address, jit
from skbn.engines.sparse.kernel_steps import LINE, add_value, pointer, scale_group
from skbn.engines.sparse.plain_kernels import (
    OUT_OF_BOUNDS,
    SORTED,
    UNSORTED,
    descents_between,
)

# Rows between looks at how they begin, while they are in a first-level cache.
CHUNK = 512
# Sums of a column that are added to in turn: an addition takes four cycles.
TURNS = 8
# Entries of a column whose weights are fetched first: more fetches are then on their
# way at once.
PIECE = 512


@register_jitable
def _lose(lost, weight):
    """Count a missing value."""
    lost[1] += 1.0
    if weight is None:
        lost[0] += 1.0
    else:
        total = lost[0] + weight
        seen = total - lost[0]
        lost[2] += (lost[0] - (total - seen)) + (weight - seen)
        lost[0] = total


@jit
def add_rows(
    x, place, pointers, count, start, stop, first, last, marker, index, weights, centre,
    again, lines, lost,
):  # fmt: skip
    """Add entries of CSR rows start to stop to lines, one a feature.

    Indices are sorted where they descend at the beginnings of rows alone: to look at
    those apart spares the processor a loop a row, whose end it cannot foresee.
    """
    data = carray(pointer(x), last, marker.dtype)
    indices = carray(pointer(place), last, index.dtype)
    indptr = carray(pointer(pointers), count, index.dtype)
    base, n_features, status = lines.ctypes.data, len(centre), SORTED
    for top in range(start, stop, CHUNK):
        bottom = min(top + CHUNK, stop)
        begin, end = max(indptr[top], first), min(indptr[bottom], last)
        # Slices: their indices need no look whether they count from the end.
        its, values = indices[begin:end], data[begin:end]
        descents, before, row, row_end, weight = 0, -1, top, 0, 0.0
        if begin > indptr[top]:
            before = indices[begin - 1]
        for k in range(len(its)):
            j = its[k]
            if j < 0 or j >= n_features:
                return OUT_OF_BOUNDS
            descents += j <= before
            before = j
            if weights is not None:
                while k >= row_end:
                    row_end, weight = indptr[row + 1] - begin, weights[row]
                    row += 1
            if again and centre[j] == 0.0:
                continue
            value = float(values[k])
            if value != value:
                _lose(lost[j], None if weights is None else weight)
            elif weights is None:
                add_value(base + LINE * j, value, centre[j], None)
            else:
                add_value(base + LINE * j, value, centre[j], weight)
        if descents != descents_between(its, indptr[top : bottom + 1], begin):
            status = UNSORTED
    return status


@jit
def add_columns(
    x, place, pointers, count, start, stop, first, last, marker, index, weights, n_rows,
    centre, again, lines, lost,
):  # fmt: skip
    """Add entries of CSC columns start to stop to lines, one a column."""
    data = carray(pointer(x), last, marker.dtype)
    indices = carray(pointer(place), last, index.dtype)
    indptr = carray(pointer(pointers), count, index.dtype)
    room, its_weights = np.empty(8 * TURNS + 8), np.empty(PIECE)
    shift = -(room.ctypes.data // 8) % 8
    room = room[shift : shift + 8 * TURNS]
    base, status = room.ctypes.data, SORTED
    for j in range(start, stop):
        begin, end = max(indptr[j], first), min(indptr[j + 1], last)
        if again and centre[j] == 0.0:
            continue
        room[:] = 0.0
        descents, before = 0, -1
        if begin > indptr[j]:
            before = indices[begin - 1]
        for piece in range(begin, end, PIECE):
            its = indices[piece : min(piece + PIECE, end)]
            values = data[piece : piece + len(its)]
            for k in range(len(its)):
                i = its[k]
                if i < 0 or i >= n_rows:
                    return OUT_OF_BOUNDS
                descents += i <= before
                before = i
                if weights is not None:
                    its_weights[k] = weights[i]
            for k in range(len(its)):
                value, line = float(values[k]), base + LINE * (k % TURNS)
                if value != value:
                    _lose(lost[j - start], None if weights is None else its_weights[k])
                elif weights is None:
                    add_value(line, value, centre[j], None)
                else:
                    add_value(line, value, centre[j], its_weights[k])
        if descents:
            status = UNSORTED
        _fold(room, lines[j - start])
    return status


@register_jitable
def _fold(room, line):
    """Add up the sums that took turns."""
    for turn in range(0, 8 * TURNS, 8):
        for i in range(4):
            part = room[turn + i]
            total = line[i] + part
            seen = total - line[i]
            line[4 + i] += (line[i] - (total - seen)) + (part - seen)
            line[4 + i] += room[turn + 4 + i]
            line[i] = total


@register_jitable
def _image(value, scale, divides, low, high):
    image = value / scale if divides else value * scale
    if image < low:
        image = low
    return high if image > high else image


@jit
def write_rows(
    x, place, marker, index, first, last, scale, divides, low, high, out
):  # fmt: skip
    """Write images of CSR entries; whether an infinity was met, or a bad index."""
    data = carray(pointer(x), last, marker.dtype)
    indices = carray(pointer(place), last, index.dtype)
    scales, to, endless = address(scale), address(out), 0
    for begin in range(first, last, PIECE):
        its = indices[begin : min(begin + PIECE, last)]
        bad = False
        for k in range(len(its)):
            bad |= (its[k] < 0) | (its[k] >= len(scale))
        if bad:
            return endless != 0, True
        whole = len(its) - len(its) % LANES
        for k in range(begin, begin + whole, LANES):
            here, where = x + data.itemsize * k, place + indices.itemsize * k
            there = to + out.itemsize * k
            if divides:
                endless |= scale_group(
                    here, where, scales, low, high, there, marker, index, out, True
                )
            else:
                endless |= scale_group(
                    here, where, scales, low, high, there, marker, index, out, None
                )
        for k in range(begin + whole, begin + len(its)):
            value = float(data[k])
            endless |= int(abs(value) == np.inf)
            out[k] = _image(value, scale[indices[k]], divides, low, high)
    return endless != 0, False


@jit
def write_columns(
    x, pointers, count, marker, index, start, stop, first, last, scale, divides, low,
    high, out,
):  # fmt: skip
    """Write images of CSC entries; whether an infinity was met, or a bad index."""
    data = carray(pointer(x), last, marker.dtype)
    indptr = carray(pointer(pointers), count, index.dtype)
    endless = False
    for j in range(start, stop):
        its_scale = scale[j]
        for k in range(max(indptr[j], first), min(indptr[j + 1], last)):
            value = float(data[k])
            endless |= abs(value) == np.inf
            out[k] = _image(value, its_scale, divides, low, high)
    return endless, False
