"""Sums and images of sparse entries by Numba, part by part."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn.affine import Affine
from skbn.engines.base import InfinityInBlockError
from skbn.engines.sparse.entries import AnyArray, Entries, bad_index
from skbn.engines.sparse.kernels import add_columns, add_rows, write_columns, write_rows
from skbn.engines.sparse.numpy_sums import (
    COUNT,
    LOST,
    LOST_WEIGHT,
    N_SUMS,
    NOISE,
    SQUARES,
)
from skbn.engines.sparse.plain_kernels import (
    OUT_OF_BOUNDS,
    UNSORTED,
    add_plain_columns,
    add_plain_rows,
)

Array = NDArray[np.float64]

# Sums carry 23 digits and more and squares are not rounded, so that sums of squares may
# be this many times as large as around the mean. Around a centre that is not zero the
# distances are rounded, but then the centre is the mean.
LIMIT = 2.0**12

_KINDS = {
    np.dtype(kind) for kind in ("?", *(f"{k}{n}" for k in "iu" for n in (1, 2, 4, 8)))
} | {np.dtype("f4"), np.dtype("f8")}


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
    centre: Array | None,
) -> tuple[Array, bool]:
    """Sums of the entries from first to last; see ``_sparse_numpy.add_entries``."""
    plain = weights is None and centre is None
    add = _plain_sums if plain else partial(_sums, weights=weights, centre=centre)
    majors, columns = entries.majors(first, last), entries.columns(first, last)
    place = (
        entries.data.ctypes.data,
        entries.indices.ctypes.data,
        entries.indptr.ctypes.data,
        entries.indptr.size,
        majors.start,
        majors.stop,
        first,
        last,
        *_markers(entries),
    )
    sums, status = add(entries, columns.stop - columns.start, place)
    if status == OUT_OF_BOUNDS:
        raise bad_index(entries.n_features if entries.by_rows else entries.n_rows)
    return sums, status == UNSORTED


def _plain_sums(entries: Entries, width: int, place: Any) -> tuple[Array, int]:
    lines, lost, noise = _lines(width, 4), np.zeros(width), 0.0
    if entries.by_rows:
        quick = _lines(width, 4)
        status, noise = add_plain_rows(*place, lines, quick, lost)
    else:
        status = add_plain_columns(*place, entries.n_rows, lines, lost)
    sums = np.zeros((2, N_SUMS, width))
    sums[:, : SQUARES + 1] = lines.T.reshape(2, 2, width)
    sums[0, LOST_WEIGHT : LOST + 1] = lost
    sums[0, NOISE] = noise
    return sums, status


def _sums(
    entries: Entries,
    width: int,
    place: Any,
    weights: Array | None,
    centre: Array | None,
) -> tuple[Array, int]:
    lines, lost = _lines(width, 8), np.zeros((width, 4))
    again = centre is not None
    if centre is None:
        centre = np.zeros(entries.n_features)
    rest = centre, again, lines, lost
    if entries.by_rows:
        status = add_rows(*place, weights, *rest)
    else:
        status = add_columns(*place, weights, entries.n_rows, *rest)
    sums = np.zeros((2, N_SUMS, width))
    for part in range(2):
        sums[part, : COUNT + 1] = lines[:, 4 * part : 4 * part + 4].T
        sums[part, LOST_WEIGHT : LOST + 1] = lost[:, 2 * part : 2 * part + 2].T
    return sums, status


def _lines(width: int, size: int) -> Array:
    """Zeros of shape (width, size), none of whose rows is in two cache lines."""
    room = np.zeros(size * width + 8)
    return room[-room.ctypes.data // 8 % 8 :][: size * width].reshape(width, size)


def write_entries(
    entries: Entries, affine: Affine, out: AnyArray, first: int, last: int
) -> None:
    """Write scaled and clipped entries; see ``_sparse_numpy.write_entries``."""
    low, high = affine.clip or (-np.inf, np.inf)
    marker, index = _markers(entries)
    scale = np.ascontiguousarray(affine.scale)
    rest = first, last, scale, affine.divides, low, high, out
    x = entries.data.ctypes.data
    if entries.by_rows:
        place = entries.indices.ctypes.data
        endless, bad = write_rows(x, place, marker, index, *rest)
    else:
        pointers, count = entries.indptr.ctypes.data, entries.indptr.size
        majors = entries.majors(first, last)
        endless, bad = write_columns(
            x, pointers, count, marker, index, majors.start, majors.stop, *rest
        )
    if bad:
        raise bad_index(entries.n_features)
    if endless:
        raise InfinityInBlockError


def _markers(entries: Entries) -> tuple[AnyArray, AnyArray]:
    """Empty arrays that tell a kernel two dtypes by their types."""
    dtype = entries.data.dtype
    # Numba makes no float of a bool.
    its = np.empty(0, np.uint8 if dtype == np.bool_ else dtype)
    return its, np.empty(0, entries.indices.dtype)
