"""Sparse data centred and scaled: a matrix, or an operator where zeros move."""

from __future__ import annotations

from copy import copy as shallow_copy
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from skbn import threads
from skbn.affine import Affine
from skbn.engines.base import output_dtype
from skbn.engines.numpy.maps import refuse_infinity
from skbn.engines.sparse import numpy_kernels
from skbn.engines.sparse.dispatch import kernels_for
from skbn.engines.sparse.entries import Entries, without_duplicates
from skbn.engines.sparse.linear_operator import (
    CentredOperator,
    centred,
    has_shift,
    uncentred,
)

# Entries in a task for the threads.
TASK = 2**19


def normalize(
    X: Any,
    affine: Affine,
    *,
    copy: bool = True,
    n_threads: int | None = None,
    engine: str = "auto",
) -> Any:
    """Return X transformed: a matrix like X, or a linear operator where zeros move.

    With ``copy=False`` it is X itself, where its data have the dtype of the output and
    may be written. What ``check_map`` refuses must not come here. Operators are made by
    NumPy whatever the engine, and so is what Numba does not read; see ``moments``.

    Raises
    ------
    InfinityInBlockError
        X holds an infinity, and has not been changed.
    ValueError
        X is an operator that another map has made.
    """
    if isinstance(X, CentredOperator) or has_shift(affine):
        change = uncentred if isinstance(X, CentredOperator) else centred
        return change(X, affine, partial(_transformed, "numpy", n_threads, np.float64))
    given = X
    if affine.clip is not None or X.dtype.kind != "f":  # sums of integers may wrap
        X = without_duplicates(X)
    entries = Entries(X)
    dtype = output_dtype(entries.data.dtype)
    in_place = (X is not given or not copy) and entries.data.dtype == dtype
    if in_place and entries.data.flags.writeable:
        data = entries.data
        _each_part(lambda i, j: refuse_infinity(data[i:j]), entries, n_threads)
        _write(engine, n_threads, entries, affine, data)
        return X
    return _transformed(engine, n_threads, dtype, X, affine)


def _transformed(
    engine: str, n_threads: int | None, dtype: DTypeLike, X: Any, affine: Affine
) -> Any:
    """Return a matrix like X of the entries transformed."""
    entries, transformed = Entries(X), shallow_copy(X)
    transformed.data = np.empty(entries.count, dtype)
    transformed.indices = np.empty_like(entries.indices)
    transformed.indptr = entries.indptr.copy()
    _write(engine, n_threads, entries, affine, transformed.data, transformed.indices)
    return transformed


def _each_part(function: Any, entries: Entries, n_threads: int | None) -> None:
    """Call function(first, last) for entries of all parts."""
    starts = range(0, entries.count, TASK)
    threads.run(
        lambda first: function(first, min(first + TASK, entries.count)),
        starts,
        n_threads,
    )


def _write(
    engine: str,
    n_threads: int | None,
    entries: Entries,
    affine: Affine,
    data: NDArray[Any],
    indices: NDArray[Any] | None = None,
) -> None:
    """Write the entries transformed to ``data``, and where they are to ``indices``."""
    kernels: Any = numpy_kernels
    if affine.scale is not None:
        kernels = kernels_for(engine, "map", entries)

    def part(first: int, last: int) -> None:
        kernels.scale_entries(entries, affine, data, first, last)
        if indices is not None:
            indices[first:last] = entries.indices[first:last]

    _each_part(part, entries, n_threads)
