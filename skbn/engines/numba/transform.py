"""Normalising an array by the kernels of ``maps``: what runs where."""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn import threads
from skbn.affine import Affine
from skbn.constant_features import rounding_counts
from skbn.constant_features import scaling as scaling_by_numpy
from skbn.engines import numpy as numpy_engine
from skbn.engines.base import AnyArray, InfinityInBlockError, output
from skbn.engines.numba import maps
from skbn.engines.numba.engine import (
    DTYPES,
    Array,
    by_columns,
    by_rows,
    flat,
    is_readable,
    native,
)
from skbn.engines.numba.kernels import WIDTH

# Values that one call maps without help, and at most in a task for the threads: with
# 2**18, two threads fault in the same huge pages, and 40 million values took 50 ms
# instead of 36.
SMALL, LARGEST_TASK = 2**16, 2**22
# float16 goes through NumPy, which rounds it from float64 at once.
TARGETS = frozenset({np.dtype(np.float64), np.dtype(np.float32)})
# Reciprocals of scales between these bounds are normal numbers.
LEAST, LARGEST = 2.0**-1000, 2.0**1000
# Values in a wide row, and in one of a small array: each costs 70 ns beside its values.
ROW, SMALL_ROW = WIDTH // 2, WIDTH
ROWS, COLUMNS = "rows", "columns"


def normalize(
    X: AnyArray, affine: Affine, *, copy: bool = True, n_threads: int | None = None
) -> AnyArray:
    """Return X mapped; see ``skbn.engines.numpy``."""
    out = output(X, copy)
    if out is X or not _map_at_once(X, affine, out):
        write(X, affine, out, n_threads=n_threads)
    return out


def write(
    X: AnyArray, affine: Affine, out: AnyArray, *, n_threads: int | None = None
) -> None:
    """Write X mapped by ``affine`` to ``out``; see ``skbn.engines.numpy``."""
    parameters = _parameters(affine, X.shape[1])
    clip = affine.clip or (-inf, inf)
    layout = _layout(X, out)
    if parameters is None or layout is None:
        numpy_engine.write(X, affine, out, n_threads=n_threads)
        return
    by_columns = layout == COLUMNS
    if np.may_share_memory(X, out):
        _refuse_infinity(X.T if by_columns else X, n_threads)
    if X.size <= SMALL:
        found = _map(X, out, parameters, clip, by_columns)
    else:

        def run(task: tuple[slice, slice]) -> bool:
            part = np.ascontiguousarray(parameters[:, task[1]])
            return _map(X[task], out[task], part, clip, by_columns)

        found = any(threads.run(run, _grid(X, by_columns), n_threads))
    if found:
        raise InfinityInBlockError


def _map_at_once(X: AnyArray, affine: Affine, out: AnyArray) -> bool:
    """Map a small array to a new one; False where that takes more than one call."""
    n_samples, n_features = X.shape
    if X.size > SMALL or n_features > WIDTH or X.dtype not in DTYPES:
        return False
    parameters = _parameters(affine, n_features)
    if parameters is None or not (X.flags.carray and out.flags.c_contiguous):
        return False
    low, high = affine.clip or (-inf, inf)
    side_by_side = min(n_samples, max(1, SMALL_ROW // n_features))
    if maps.map_rows(
        flat(X), out.reshape(-1), n_features, n_features, n_samples, n_features,
        n_features, n_features, side_by_side, parameters, low, high,
    ):  # fmt: skip
        raise InfinityInBlockError
    return True


def _layout(X: AnyArray, out: AnyArray) -> str | None:
    """How the kernels go through both; None where they cannot."""
    if out.dtype not in TARGETS or not is_readable(out):
        return None
    readable = is_readable(X)
    if by_rows(out) and ((readable and by_rows(X)) or not np.may_share_memory(X, out)):
        return ROWS
    return COLUMNS if by_columns(out) and readable and by_columns(X) else None


def _grid(X: AnyArray, columns: bool) -> list[tuple[slice, slice]]:
    values = min(LARGEST_TASK, max(SMALL, X.size // 8))
    if not (columns or (is_readable(X) and by_rows(X))):
        values = SMALL
    n_samples, n_features = X.shape
    width = max(1, values // n_samples) if columns else n_features
    n_rows = max(1, values // width)
    return [
        (slice(top, top + n_rows), slice(left, left + width))
        for left in range(0, n_features, width)
        for top in range(0, n_samples, n_rows)
    ]


def _map(
    x: AnyArray,
    out: AnyArray,
    parameters: Array,
    clip: tuple[float, float],
    columns: bool,
) -> bool:
    """Map a task; whether there was an infinity."""
    if not columns and not (is_readable(x) and by_rows(x)):
        with np.errstate(all="ignore"):
            x = np.ascontiguousarray(x, dtype=native(x.dtype))
    n_samples, n_features = x.shape
    strides = [array.strides[int(columns)] // array.itemsize for array in (x, out)]
    if columns:
        # A column is so many rows of one value.
        return maps.map_rows(
            flat(x), flat(out), 1, 1, n_samples, 1, *strides, min(ROW, n_samples),
            parameters, *clip,
        )  # fmt: skip
    whole = all(n_samples == 1 or stride == n_features for stride in strides)
    side_by_side = min(n_samples, max(1, ROW // n_features)) if whole else 1
    together = min(n_features, WIDTH)
    return maps.map_rows(
        flat(x), flat(out), *strides, n_samples, together, together, together,
        side_by_side, parameters, *clip,
    )  # fmt: skip


def scaling(
    mean: Array, variance: Array, n_samples: Any, *, with_mean: bool, epsilon: float
) -> tuple[NDArray[np.bool_], Array]:
    """``skbn.constant_features.scaling``, to the same bits.

    With a transform after each batch of 256 rows of 64, it took 9 µs of 81 by NumPy
    (Xeon, family 6, model 207, 2026-11).
    """
    if epsilon or isinstance(n_samples, np.ndarray):
        return scaling_by_numpy(
            mean, variance, n_samples, with_mean=with_mean, epsilon=epsilon
        )
    constant, scale = np.empty(len(mean), dtype=bool), np.empty(len(mean))
    n, n_rounded = rounding_counts(n_samples, with_mean=with_mean)
    maps.scales(mean, variance, n, n_rounded, constant, scale)
    return constant, scale


@lru_cache(maxsize=16)
def _parameters(affine: Affine, n_features: int) -> Array | None:
    """The map as the kernels take it; None if they cannot, once a map."""
    rows = np.zeros((maps.N_PARAMETERS, n_features))
    rows[3] = 1.0 if affine.scale is None else affine.scale
    for high, low, offset in ((0, 1, affine.center), (6, 5, affine.shift)):
        if offset is not None:
            rows[high] = offset[0]
            if offset[1] is not None:
                rows[low] = offset[1]
    return rows if maps.complete(rows, affine.divides, LEAST, LARGEST) else None


def _refuse_infinity(X: AnyArray, n_threads: int | None) -> None:
    if X.dtype.kind != "f":
        return
    n_rows = max(1, min(LARGEST_TASK, max(SMALL, X.size // 8)) // X.shape[1])

    def run(first: int) -> bool:
        x = X[first : first + n_rows]
        return maps.any_infinity(flat(x), x.strides[0] // x.itemsize, *x.shape)

    if any(threads.run(run, range(0, len(X), n_rows), n_threads)):
        raise InfinityInBlockError
