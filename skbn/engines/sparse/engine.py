"""The engine for SciPy's sparse matrices and arrays: CSR and CSC, as they are.

Entries that are not stored are zeros, and count. The grid of tasks depends on the
matrix alone, and tasks are added up in order: the bits of a result do not depend on
the number of threads.
"""

from __future__ import annotations

from copy import copy as shallow_copy
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from skbn import pairs, threads
from skbn.affine import Affine
from skbn.engines.base import InfinityInBlockError, is_sparse_frame, output_dtype
from skbn.engines.choice import use_numba
from skbn.engines.sparse import numpy_sums as _sparse_numpy
from skbn.engines.sparse.checks import check, check_map
from skbn.engines.sparse.entries import BLOCK, Entries, without_duplicates
from skbn.engines.sparse.numpy_sums import N_SUMS, SQUARES, refuse_infinity
from skbn.engines.sparse.operator import CentredOperator, centred, has_shift, uncentred
from skbn.engines.sparse.statistics import RowWeights, from_sums, in_units
from skbn.moments import UNIT, Moments

Array = NDArray[np.float64]

CONTAINER = True

__all__ = [
    "accepts",
    "check",
    "check_map",
    "find_infinity",
    "moments",
    "normalize",
    "rows",
]

# Entries that repay the compiler: it takes two seconds for them, and NumPy's code as
# long (27 ms) as for half of ``engines.LARGE`` dense values.
LARGE = 2**21
# Entries in a task for the threads.
TASK = 2**19
# Tasks, whose sums are all kept, and features times tasks.
MOST_TASKS, MOST_SUMS = 64, 2**20

# Sums that can still be split in halves to be multiplied.
REACH = 2.0**900


def accepts(X: object) -> bool:
    """Whether X is sparse, or a linear operator: that may have come from here."""
    return issparse(X) or isinstance(X, LinearOperator) or is_sparse_frame(X)


def rows(X: Any, start: int, stop: int) -> Any:
    """Return the rows from start to stop."""
    return X[start:stop]


def find_infinity(X: Any) -> tuple[int, int] | None:
    """Row and column of the first infinity, row by row."""
    entries, found = Entries(without_duplicates(X)), []
    for first in range(0, entries.count, BLOCK):
        last = min(first + BLOCK, entries.count)
        here = np.flatnonzero(np.isinf(entries.data[first:last]))
        if here.size:
            features, start = entries.features(first, last)
            columns = features[here] + start
            its_rows = entries.rows(first, last)[here]
            found.append(min(zip(its_rows.tolist(), columns.tolist(), strict=True)))
    return min(found, default=None)


def moments(
    X: Any,
    weights: Array | None = None,
    *,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Moments:
    """Moments of the rows of X, zeros included and NaN left out.

    Parameters
    ----------
    X : CSR or CSC, matrix or array, of shape (n_samples, n_features)
    weights : ndarray of shape (n_samples,), float64, finite and >= 0, or None
    n_threads : int or None
    engine : str
        "numpy", "numba", or anything else for Numba where it is compiled already or
        there are entries enough to repay its compiler.

    Raises
    ------
    InfinityInBlockError
    """
    entries = Entries(X)
    kernels = _kernels(engine, "sums", entries, weights is not None)
    if kernels is _sparse_numpy:
        X = without_duplicates(X)
        entries = Entries(X)
    row_weights = RowWeights(weights, X.shape[0])
    add = partial(_all_sums, kernels.add_entries, entries, row_weights, n_threads)
    sums, doubtful = add()
    if doubtful and (summed := without_duplicates(X)) is not X:
        return moments(summed, weights, n_threads=n_threads, engine=engine)
    with np.errstate(all="ignore"):
        if not _in_range(sums).all():
            return _in_larger_units(X, row_weights, n_threads, sums)
        return from_sums(X, sums, row_weights, kernels.LIMIT, lambda c: add(c)[0])


def normalize(
    X: Any,
    affine: Affine,
    *,
    copy: bool = True,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Any:
    """Return the image of X: a matrix like X, or a linear operator where zeros move.

    With ``copy=False`` it is X itself, where its data have the dtype of the output
    and may be written. What ``check_map`` refuses must not come here.

    Raises
    ------
    InfinityInBlockError
        X holds an infinity, and has not been changed.
    ValueError
        X is an operator that another map has made.
    """
    if isinstance(X, CentredOperator):
        return uncentred(X, affine, partial(_write, "numpy", n_threads))
    if has_shift(affine):
        return centred(X, affine, partial(_write, "numpy", n_threads))
    given = X
    if affine.clip is not None or X.dtype.kind != "f":  # sums of integers may wrap
        X = without_duplicates(X)
    entries = Entries(X)
    dtype = output_dtype(entries.data.dtype)
    in_place = (X is not given or not copy) and entries.data.dtype == dtype
    if in_place and entries.data.flags.writeable:
        _each_part(partial(_refuse_infinity, entries), entries, n_threads)
        _write(engine, n_threads, entries, affine, entries.data)
        return X
    image = shallow_copy(X)
    image.data = np.empty(entries.count, dtype)
    image.indices = np.empty_like(entries.indices)
    image.indptr = entries.indptr.copy()
    _write(engine, n_threads, entries, affine, image.data, image.indices)
    return image


def _kernels(engine: str, use: str, entries: Entries, weighted: bool = False) -> Any:
    """Return the module that adds up, or scales, such entries."""
    if engine == "numpy":
        return _sparse_numpy
    kind = use, weighted, entries.by_rows, entries.data.dtype, entries.indices.dtype
    if not use_numba(engine, kind, entries.count, LARGE):
        return _sparse_numpy
    numba: Any = import_module("skbn.engines.sparse.numba_sums")
    if not numba.reads(entries):
        return _sparse_numpy
    return numba


def _all_sums(
    add_entries: Any,
    entries: Entries,
    rows: RowWeights,
    n_threads: int | None,
    centre: Array | None = None,
) -> tuple[Array, bool]:
    """Sums of all entries, and whether some place may be stored twice."""
    starts = range(0, entries.count, per := _entries_in_task(entries))

    def task(first: int) -> tuple[Array, bool]:
        last = min(first + per, entries.count)
        return add_entries(entries, first, last, rows.values, centre)

    whole, doubtful = np.zeros((2, N_SUMS, entries.n_features)), False
    # Without weights the sums that follow are small integers.
    in_pairs = SQUARES + 1 if rows.values is None else N_SUMS
    parts = threads.run(task, starts, n_threads)
    with np.errstate(all="ignore"):
        for first, (part, doubt) in zip(starts, parts, strict=True):
            columns = entries.columns(first, min(first + per, entries.count))
            target = whole[:, :, columns]
            exact, rest = target[:, :in_pairs], target[:, in_pairs:]
            exact[...] = pairs.add(tuple(exact), tuple(part[:, :in_pairs]))
            rest += part[:, in_pairs:]
            doubtful = doubtful or doubt
    return whole, doubtful


def _entries_in_task(entries: Entries) -> int:
    n_tasks = min(-(-entries.count // TASK), MOST_TASKS)
    if entries.by_rows:
        n_tasks = min(n_tasks, max(MOST_SUMS // entries.n_features, 4))
        n_tasks = min(n_tasks, entries.count // (4 * entries.n_features))
    return -(-entries.count // max(n_tasks, 1)) or 1


def _in_range(sums: Array) -> NDArray[np.bool_]:
    """Whether the sums of a feature are finite, and so are products of pairs."""
    inside: NDArray[np.bool_] = np.abs(sums) < REACH
    return np.logical_and.reduce(inside, axis=(0, 1))


def _in_larger_units(
    X: Any, rows: RowWeights, n_threads: int | None, sums: Array
) -> Moments:
    """Moments where sums of some features left the range, or met an infinity."""
    if find_infinity(X) is not None:
        raise InfinityInBlockError
    power = np.where(_in_range(sums), 0, UNIT)
    add_entries = partial(_sparse_numpy.add_entries, shrink=power)
    add = partial(_all_sums, add_entries, Entries(X), rows, n_threads)
    small = from_sums(X, add()[0], rows, _sparse_numpy.LIMIT, lambda c: add(c)[0])
    return in_units(small, power)


def _each_part(function: Any, entries: Entries, n_threads: int | None) -> None:
    """Call function(first, last) for entries of all parts."""
    starts = range(0, entries.count, TASK)
    threads.run(
        lambda first: function(first, min(first + TASK, entries.count)),
        starts,
        n_threads,
    )


def _refuse_infinity(entries: Entries, first: int, last: int) -> None:
    with np.errstate(all="ignore"):
        for start in range(first, last, BLOCK):
            block = entries.data[start : min(start + BLOCK, last)]
            refuse_infinity(block, block)


def _write(
    engine: str,
    n_threads: int | None,
    entries: Entries,
    affine: Affine,
    data: NDArray[Any],
    indices: NDArray[Any] | None = None,
) -> None:
    """Write the image of the entries to ``data``, and where they are to ``indices``."""
    kernels: Any = _sparse_numpy
    if affine.scale is not None:
        kernels = _kernels(engine, "image", entries)

    def part(first: int, last: int) -> None:
        kernels.write_entries(entries, affine, data, first, last)
        if indices is not None:
            indices[first:last] = entries.indices[first:last]

    _each_part(part, entries, n_threads)
