"""Normalising an array by the kernels of ``_numba_maps``: what runs where."""

from __future__ import annotations

from functools import cached_property, lru_cache
from math import gcd, inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import threads
from skbn.affine import Affine
from skbn.engines import numpy as numpy_engine
from skbn.engines.base import InfinityInBlockError
from skbn.engines.numba import maps as maps
from skbn.engines.numba.lanes import LANES, MARKERS

Array = NDArray[np.float64]
AnyArray = NDArray[Any]

# Values that one call maps without help, and at most in a task for the threads: with
# 2**18, two threads fault in the same huge pages, and 40 million values took 50 ms
# instead of 36.
SMALL, LARGEST_TASK = 2**16, 2**22
# Values in a wide row, whose parameters stay in a first-level cache.
WIDTH = 256
# Reciprocals of scales between these bounds are normal numbers.
LEAST, LARGEST = 2.0**-1000, 2.0**1000
# float16 goes through NumPy, which rounds it from float64 at once.
_TARGETS = {np.dtype(kind): MARKERS[np.dtype(kind)] for kind in ("f8", "f4")}


class Packed:
    """A map as the kernels take it, and again for rows laid side by side."""

    def __init__(self, affine: Affine, n_features: int) -> None:
        self.parameters = _parameters(affine, n_features)
        low = affine.center is not None and affine.center[1] is not None
        short = affine.divides and affine.shift is None and not low
        self.rest = short, *(affine.clip or (-inf, inf))
        self._tiled: dict[int, Array] = {1: self.parameters}

    @cached_property
    def by_columns(self) -> Array:
        """The parameters of each feature, repeated in every lane."""
        return np.repeat(self.parameters.T[:, :, None], LANES, axis=2)

    def tiled(self, fold: int) -> Array:
        """Return the parameters for ``fold`` rows side by side."""
        if fold not in self._tiled:
            self._tiled[fold] = np.tile(self.parameters, fold)
        return self._tiled[fold]


@lru_cache(maxsize=16)
def packed(affine: Affine, n_features: int) -> Packed | None:
    """Return the map as the kernels take it; None if they cannot, once a map."""
    scale = 1.0 if affine.scale is None else np.abs(affine.scale)
    usual = (scale >= LEAST) & ((scale <= LARGEST) | (scale == inf))
    return Packed(affine, n_features) if np.all(usual) else None


def _parameters(affine: Affine, n_features: int) -> Array:
    rows = np.zeros((maps.N_PARAMETERS, n_features))
    for (high, low), offset in (
        ((maps.HIGH, maps.LOW), affine.center),
        ((maps.AFTER, maps.AFTER_LOW), affine.shift),
    ):
        for row, part in zip((high, low), offset or (), strict=False):
            rows[row] = 0.0 if part is None else part
    scale = np.ones(n_features) if affine.scale is None else affine.scale
    rows[maps.SCALE], rows[maps.FACTOR] = scale, 1.0 / scale
    rows[maps.REMAINDER] = rows[maps.FACTOR]
    if not affine.divides:
        rows[maps.SCALE], rows[maps.FACTOR] = 1.0 / scale, scale
        rows[maps.REMAINDER] = 0.0
    return rows


def write(
    X: AnyArray, affine: Affine, out: AnyArray, *, n_threads: int | None = None
) -> None:
    """Write the image of X to ``out``; see ``numpy_engine.write``."""
    source, target = X.dtype.newbyteorder("="), _TARGETS.get(out.dtype)
    map_ = packed(affine, X.shape[1])
    if source not in MARKERS or target is None or map_ is None:
        numpy_engine.write(X, affine, out, n_threads=n_threads)
        return
    if _is_small(X, out):
        parameters = map_.tiled(_fold(X.shape, WIDTH // 4))
        if maps.map_array(X, out, parameters, *map_.rest, MARKERS[source], target):
            raise InfinityInBlockError
        return
    in_place = np.may_share_memory(X, out)
    by_rows = _rows_lie_together(out) and (_is_readable(X) or not in_place)
    if not by_rows and not (_is_readable(X.T) and _rows_lie_together(out.T)):
        numpy_engine.write(X, affine, out, n_threads=n_threads)
        return
    if in_place:
        _refuse_infinity(X, n_threads)
    if by_rows:
        found = _map_rows(X, map_, out, n_threads)
    else:
        found = _map_columns(X.T, map_, out.T, n_threads)
    if found:
        raise InfinityInBlockError


def _is_small(X: AnyArray, out: AnyArray) -> bool:
    """Whether one call takes them as they are; Numba knows no arrays of float16."""
    return (
        X.size <= SMALL
        and X.dtype in _TARGETS
        and X is not out
        and X.flags.carray
        and out.flags.carray
    )


def _is_readable(X: AnyArray) -> bool:
    return X.dtype in MARKERS and X.flags.aligned and _rows_lie_together(X)


def _task(X: AnyArray) -> int:
    """Values in a task."""
    return min(LARGEST_TASK, max(SMALL, X.size // 8))


def _rows_lie_together(X: AnyArray) -> bool:
    return X.strides[1] == X.itemsize or X.shape[1] == 1


def _place(X: AnyArray) -> tuple[int, int, int]:
    """Address, pitch of the rows and size of the values of an array."""
    return X.ctypes.data, X.strides[0], X.itemsize


def _fold(shape: tuple[int, ...], width: int) -> int:
    """Rows to lay side by side, so that vectors fill and lie on cache lines."""
    n_samples, n_features = shape
    least = LANES // gcd(LANES, n_features)
    fold = least * max(1, width // (least * n_features))
    return fold if 4 * fold <= n_samples else 1


def _map_rows(X: AnyArray, map_: Packed, out: AnyArray, n_threads: int | None) -> bool:
    whole = X.flags.c_contiguous and out.flags.c_contiguous
    fold = _fold(X.shape, WIDTH) if whole else 1
    parameters = map_.tiled(fold)
    native = X.dtype.newbyteorder("=")
    markers = MARKERS[native], MARKERS[out.dtype]
    readable = _is_readable(X)

    def run(rows: slice) -> bool:
        x, y = X[rows], out[rows]
        if not readable:
            x = np.ascontiguousarray(x, dtype=native)
        return maps.map_tiled(
            *_place(x), *_place(y), *x.shape, parameters, *map_.rest,
            *markers,
        )  # fmt: skip

    # Whole wide rows, so that each task but the last has no rest.
    step = fold * max(1, _task(X) // (fold * X.shape[1]))
    tasks = [slice(i, i + step) for i in range(0, len(X), step)]
    return any(threads.run(run, tasks, n_threads))


def _map_columns(
    X: AnyArray, map_: Packed, out: AnyArray, n_threads: int | None
) -> bool:
    """The same for columns, given as rows: each has one value of a parameter."""
    markers = MARKERS[X.dtype], MARKERS[out.dtype]
    n_columns, n_samples = X.shape

    def run(task: tuple[slice, slice]) -> bool:
        x, y = X[task], out[task]
        return maps.map_columns(
            *_place(x), *_place(y), *x.shape, map_.by_columns[task[0]],
            *map_.rest, *markers,
        )  # fmt: skip

    values = _task(X)
    several = max(1, values // n_samples)
    tasks = [
        (slice(top, top + several), slice(left, left + values))
        for top in range(0, n_columns, several)
        for left in range(0, n_samples, values)
    ]
    return any(threads.run(run, tasks, n_threads))


def _refuse_infinity(X: AnyArray, n_threads: int | None) -> None:
    if X.dtype.kind != "f":
        return
    if not _rows_lie_together(X):
        X = X.T
    marker = MARKERS[X.dtype]
    step = max(1, _task(X) // X.shape[1])

    def run(rows: slice) -> bool:
        x = X[rows]
        return maps.any_infinity(*_place(x), *x.shape, marker)

    tasks = [slice(i, i + step) for i in range(0, len(X), step)]
    if any(threads.run(run, tasks, n_threads)):
        raise InfinityInBlockError
