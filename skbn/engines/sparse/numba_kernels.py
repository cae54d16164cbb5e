"""Sums and scaled values of sparse entries by Numba, part by part."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn.affine import Affine
from skbn.engines.base import InfinityInBlockError
from skbn.engines.sparse.entries import BLOCK, AnyArray, Entries, bad_index
from skbn.engines.sparse.loops import (
    INFINITE,
    OUT_OF_BOUNDS,
    UNSORTED,
    add_columns,
    add_rows,
    add_weighted,
    scale_columns,
    scale_rows,
)
from skbn.engines.sparse.numpy_kernels import N_SUMS, SQUARES, TOTAL

Array = NDArray[np.float64]

# Without weights squares are not rounded and sums carry 20 digits, so that those of
# squares may be this many times as large as around the mean.
LIMIT = 2.0**10

_KINDS = {np.dtype(kind) for kind in ("?", "f4", "f8", *"bhilqBHILQ")}


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
    sums = np.zeros((columns.stop - columns.start, 2, N_SUMS))
    limit = entries.n_features if entries.by_rows else entries.n_rows
    if center is not None:
        center = center[columns]
    if weights is not None:
        its = weights[majors] if entries.by_rows else _taken(weights, indices)
        rest = limit, entries.by_rows, _read_only(its), center, sums
        status = add_weighted(data, indices, starts, *rest)
    elif entries.by_rows:
        status, sums = _sums_of_rows((data, indices, starts), center, sums)
    else:
        status = add_columns(data, indices, starts, limit, center, sums)
    if status == OUT_OF_BOUNDS:
        raise bad_index(limit)
    # The first entry may be of the row, or column, that the one before it is of.
    parted = first > entries.indptr[majors.start]
    unsorted = parted and entries.indices[first] <= entries.indices[first - 1]
    return sums.transpose(1, 2, 0), bool(unsorted or status == UNSORTED)


def _sums_of_rows(
    arrays: tuple[AnyArray, ...], center: Array | None, sums: Array
) -> tuple[int, Array]:
    """Status, and sums of CSR entries without weights."""
    n_features = len(sums)
    unit = None if center is None else np.ones(n_features)
    status, bound, number = add_rows(*arrays, center, unit, sums)
    if status == OUT_OF_BOUNDS:
        return status, sums
    if _poor(sums, bound, number).any():
        counted: Any = np.bincount(arrays[1], minlength=n_features)
        if (poor := _poor(sums, bound, counted)).any():
            roots = np.sqrt(sums[:, 0, SQUARES] + sums[:, 1, SQUARES])
            powers: Any = np.frexp(np.where(poor, roots, bound))[1]
            again, unit = np.zeros_like(sums), np.ldexp(1.0, -powers)
            center = np.zeros(n_features) if center is None else center
            add_rows(*arrays, center, unit, again)
            for which, power in (TOTAL, powers), (SQUARES, 2 * powers):
                again[:, :, which] = np.ldexp(again[:, :, which], power[:, None])
            return status, again
    return status, sums


def _poor(sums: Array, bound: float, number: Any) -> NDArray[np.bool_]:
    """Whether sums of so many values below a bound have less than the digits they need.

    Rests of n <= MOST values are below ``2**-42 * bound`` each. A plain sum of them is
    off by n roundings of the sum of their sizes at most, ``n * 2**-83 * bound`` for all
    that MOST are added up of; that of squares, by as much of ``bound**2``. Sums of
    squares need 62 bits (see LIMIT), totals 54; or 77 of what there would be without
    signs: more than eight leading digits that cancel are not made up for.

    Parameters
    ----------
    sums : ndarray of shape (n_features, 2, N_SUMS)
    """
    # Small ones are in the low parts. ``sum`` takes ten times as long.
    whole = sums[:, 0] + sums[:, 1]
    total, roots = np.abs(whole[:, TOTAL]), np.sqrt(whole[:, SQUARES])
    most = np.sqrt(number)
    poor = roots < bound * most * 2.0 ** ((62 - 83) / 2)
    enough = np.maximum(total * 2.0**-54, most * roots * 2.0**-77)
    return (roots > 0) & (poor | (bound * number * 2.0**-83 > enough))


def _taken(weights: Array, rows: AnyArray) -> Array:
    """Weight of each row; those that do not exist are met by the loops.

    Apart from the sums more weights are on their way from memory at once: 41 ms for
    both, and 55 together (Intel Xeon, Sapphire Rapids, 2026-11; 4 million entries).
    """
    taken = np.empty(rows.size)
    for first in range(0, rows.size, BLOCK):
        part = slice(first, first + BLOCK)
        np.take(weights, rows[part], out=taken[part], mode="clip")
    return taken


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
