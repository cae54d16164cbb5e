"""Sums and maps of sparse entries by NumPy and SciPy, in blocks of entries.

SciPy's product of a sparse matrix and a vector adds the terms of each feature, in half
the time that NumPy's ``bincount`` takes and without the interpreter lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from skbn import pairs
from skbn.affine import Affine
from skbn.engines.numpy.maps import write_block
from skbn.engines.sparse.entries import BLOCK, AnyArray, Entries
from skbn.pairs import Pair

Array = NDArray[np.float64]

# Sums of a feature, each a pair: weight * value, weight * (value - center)**2, the
# weight of the values and that of the missing ones. Where rows have no weights, that of
# the values is left out, zero.
TOTAL, SQUARES, WEIGHT, MISSING = range(4)
N_SUMS = 4

# Each square is rounded, by 2**-53 of it: their sum may be this many times as large as
# around the mean.
LIMIT = 2.0

# Features share a cut while none has a smaller part of all squares: 31 digits of their
# sums are then left.
SMALL = 2.0**-22

_ONE = np.ones(1)


def add_entries(
    entries: Entries,
    first: int,
    last: int,
    weights: Array | None,
    center: Array | None,
) -> tuple[Array, bool]:
    """Sums of the entries from first to last.

    Parameters
    ----------
    entries : Entries
    first, last : int
    weights : ndarray of shape (n_rows,) or None
    center : ndarray of shape (n_features,) or None
        What squares are taken around, None for zero.

    Returns
    -------
    sums : ndarray of shape (2, N_SUMS, n)
        High and low parts, for the features ``entries.columns(first, last)``.
    unsorted : bool
        Whether some place may be stored twice: here never, the caller has looked.
    """
    columns = entries.columns(first, last)
    sums = np.zeros((2, N_SUMS, columns.stop - columns.start))
    step = max(BLOCK, entries.n_features if entries.by_rows else 0)
    size = min(step, last - first)
    adder = _Adder(size, sums.shape[2], in_order=not entries.by_rows)
    with np.errstate(all="ignore"):
        for start in range(first, last, step):
            stop = min(start + step, last)
            features, lowest = entries.features(start, stop)
            wide = entries.columns(start, stop)
            target = sums[:, :, wide.start - columns.start : wide.stop - columns.start]
            values: Array = entries.data[start:stop].astype(np.float64, copy=False)
            its = None if weights is None else weights[entries.rows(start, stop)]
            around = None if center is None else center[lowest:].take(features)
            part = np.zeros_like(target)
            _add_block(adder, values, features, its, around, part)
            target[...] = pairs.add(tuple(target), tuple(part))
    return sums, False


def _add_block(
    adder: _Adder,
    values: Array,
    features: AnyArray,
    weights: Array | None,
    center: Array | None,
    sums: Array,
) -> None:
    """Add one block to sums that are zero."""
    n_features = sums.shape[2]
    if np.isnan(values.sum()) and (missing := np.isnan(values)).any():
        adder.set_features(features[missing], n_features)
        its = np.ones(adder.size) if weights is None else weights[missing]
        sums[:, MISSING] = adder.exact(its, adder(its))
        present = ~missing
        values, features = values[present], features[present]
        weights = None if weights is None else weights[present]
        center = None if center is None else center[present]
    adder.set_features(features, n_features)
    if not values.size:
        return
    away = values if center is None else values - center
    squares = np.multiply(away, away, out=adder.work[2, : away.size])
    if weights is None:
        bound = _add_squares(adder, squares, sums)
        if center is None:  # by Cauchy and Schwarz
            sums[:, TOTAL] = adder.exact(values, np.sqrt(bound) * values.size**0.5)
        return
    squares *= weights
    terms, error = pairs.two_product(weights, values)
    sums[:, TOTAL] = adder.exact(terms, adder(np.abs(terms)), error)
    sums[:, SQUARES] = adder.exact(squares, adder(squares))
    sums[:, WEIGHT] = adder.exact(weights, adder(weights))


def _add_squares(adder: _Adder, squares: Array, sums: Array) -> Any:
    """Add squares under one cut, or under several where a feature's digits suffer.

    Returns a bound of the sums, one for all features or one for each.
    """
    bound: Any = squares.sum()
    sums[:, SQUARES] = adder.exact(squares, bound)
    found = sums[0, SQUARES]
    if not np.isfinite(bound) or ((found < SMALL * bound) & (found > 0)).any():
        bound = adder(squares)
        sums[:, SQUARES] = adder.exact(squares, bound)
    return bound


class _Adder:
    """Adds the terms of each feature, one after another.

    Features that come one after another are added up by NumPy: SciPy would wait for
    one addition before it begins the next.
    """

    def __init__(self, size: int, n_features: int, *, in_order: bool) -> None:
        self.in_order = in_order
        # All in one column: what counts is where a term goes.
        self.table = csc_array((n_features, 1))
        # Rows that do not begin at the same place of a page: NumPy would wait.
        self.work = np.empty((3, size + 64))

    def set_features(self, features: AnyArray, n_features: int) -> None:
        """Say what feature each term is of."""
        self.features, self.n_features, self.size = features, n_features, features.size
        if self.in_order:
            steps = np.flatnonzero(features[1:] != features[:-1]) + 1
            self.starts = np.concatenate(([0], steps))
        else:
            # SciPy would look through arrays that it is given as arguments.
            self.table.indices = features
            self.table.indptr = np.array([0, features.size], dtype=features.dtype)

    def __call__(self, terms: Array) -> Array:
        if not self.in_order:
            self.table.data = terms
            return self.table @ _ONE
        sums = np.zeros(self.n_features)
        sums[self.features[self.starts]] = np.add.reduceat(terms, self.starts)
        return sums

    def exact(self, terms: Array, bound: Any, error: Array | None = None) -> Pair:
        """Sums as pairs; ``bound`` is no less than any sum of absolute values.

        Rump, Ogita & Oishi (2008), algorithm 3.2; see ``skbn.engines.numpy.blocks``.
        """
        leading, rest = self.work[:2, : terms.size]
        cut = np.ldexp(2.0, np.frexp(bound)[1])
        if cut.ndim:
            cut = np.take(cut, self.features, out=rest, mode="clip")
        np.add(terms, cut, out=leading)
        np.subtract(leading, cut, out=leading)
        np.subtract(terms, leading, out=rest)
        if error is not None:
            np.add(rest, error, out=rest)
        return pairs.two_sum(self(leading), self(rest))


def scale_entries(
    entries: Entries, affine: Affine, out: AnyArray, first: int, last: int
) -> None:
    """Write the images of the entries from first to last to ``out``, at their places.

    Raises
    ------
    InfinityInBlockError
    """
    with np.errstate(all="ignore"):
        for start in range(first, last, BLOCK):
            _scale_block(entries, affine, out, start, min(start + BLOCK, last))


def _scale_block(
    entries: Entries, affine: Affine, out: AnyArray, first: int, last: int
) -> None:
    features, start = entries.features(first, last)
    block, target = entries.data[first:last], out[first:last]
    write_block(block, affine, target, lambda values: values[start:].take(features))
