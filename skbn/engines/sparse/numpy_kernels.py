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
from skbn.engines.numpy.blocks import scratch
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

# Features share a splitter while none has a smaller part of all squares: 31 digits of
# their sums are then left.
SMALL = 2.0**-22

# Values whose squares, split, are far from the ends of the range.
LEAST, MOST = 2.0**-400, 2.0**450

# Entries that are added up together, fewer than MOST_OF_A_FEATURE. Of 2**15 two threads
# wait for the interpreter lock most of the time.
GROUP = 3 * 2**15
# Counts of so many entries and sums of their leading parts share 53 bits.
MOST_OF_A_FEATURE = 2**17

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
        Whether some place may be stored twice.
    """
    columns, unsorted = entries.columns(first, last), False
    sums = np.zeros((2, N_SUMS, columns.stop - columns.start))
    step = max(GROUP, entries.n_features if entries.by_rows else 0)
    adder = _Adder(sums.shape[2], in_order=not entries.by_rows)
    with np.errstate(all="ignore"):
        for start in range(first, last, step):
            stop = min(start + step, last)
            features, lowest = entries.features(start, stop)
            wide = entries.columns(start, stop)
            target = sums[:, :, wide.start - columns.start : wide.stop - columns.start]
            values: Array = entries.data[start:stop].astype(np.float64, copy=False)
            part = np.zeros_like(target)
            adder.set_features(features, part.shape[2])
            plain = weights is None and center is None
            if not plain or not _add_values(
                adder, values, entries.most_of_a_feature(start, stop), part
            ):
                its = None if weights is None else weights[entries.rows(start, stop)]
                around = None if center is None else center[lowest:].take(features)
                _add_block(adder, values, features, its, around, part)
            target[...] = pairs.add(tuple(target), tuple(part))
            unsorted |= entries.is_unsorted(start, stop)
    return sums, unsorted


def _add_block(
    adder: _Adder,
    values: Array,
    features: AnyArray,
    weights: Array | None,
    center: Array | None,
    sums: Array,
) -> None:
    """Add one block, whose features the adder has, to sums that are zero."""
    n_features = sums.shape[2]
    if np.isnan(values.sum()) and (missing := np.isnan(values)).any():
        adder.set_features(features[missing], n_features)
        its = np.ones(missing.sum()) if weights is None else weights[missing]
        sums[:, MISSING] = adder.exact(its, adder(its))
        present = ~missing
        values, features = values[present], features[present]
        weights = None if weights is None else weights[present]
        center = None if center is None else center[present]
        adder.set_features(features, n_features)
    if not values.size:
        return
    away = values if center is None else values - center
    squares = np.multiply(away, away, out=adder.terms(away.size)[2])
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


def _add_values(adder: _Adder, values: Array, most: int, sums: Array) -> bool:
    """Add values and their squares, both from one split of the values.

    Leading parts have so few bits that their sums, and those of their squares, are
    exact; what is left is so small that the errors of its sums do not show. False, with
    the sums as they were, where that does not hold. ``most`` is no less than the
    entries of any feature.
    """
    largest = max(values.max(), -values.min())
    if not (LEAST < largest < MOST and most < MOST_OF_A_FEATURE):
        return False
    bits = (53 - most.bit_length()) // 2
    unit = np.ldexp(1.0, np.frexp(largest)[1] - bits)
    # So much with each leading part tells how many there are, by a sum that is exact.
    one = unit * 2.0 ** (bits + most.bit_length() + 1)
    splitter = 1.5 * 2.0**52 * unit
    leading, rest, terms = adder.terms(values.size)
    np.add(values, splitter, out=leading)
    np.subtract(leading, splitter - one, out=leading)
    with_counts = adder(leading)
    counts = np.rint(with_counts / one)
    np.subtract(leading, one, out=leading)
    np.subtract(values, leading, out=rest)
    total = pairs.two_sum(with_counts - counts * one, adder(rest))
    np.add(values, leading, out=terms)
    np.multiply(terms, rest, out=terms)
    np.multiply(leading, leading, out=leading)
    squares = pairs.two_sum(adder(leading), adder(terms))
    # A term is no larger than the value times the unit, and an error than the sum of
    # their sizes, n times a rounding: a quarter of one of the squares', by Cauchy and
    # Schwarz, where this holds.
    if ((squares[0] < 16.0 * unit**2 * counts**3) & (counts > 0)).any():
        return False
    sums[:, TOTAL], sums[:, SQUARES] = total, squares
    return True


def _add_squares(adder: _Adder, squares: Array, sums: Array) -> Any:
    """Add squares under one splitter, or under several where a feature's digits suffer.

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

    def __init__(self, n_features: int, *, in_order: bool) -> None:
        self.in_order = in_order
        # All in one column: what counts is where a term goes.
        self.table = csc_array((n_features, 1))

    def terms(self, size: int) -> Array:
        """Return scratch for three terms of each entry."""
        # Not at the same place of a page each: NumPy would wait.
        return scratch((3, size + 64 + -size % 8))[:, :size]

    def set_features(self, features: AnyArray, n_features: int) -> None:
        """Say what feature each term is of."""
        self.features, self.n_features = features, n_features
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
        leading, rest = self.terms(terms.size)[:2]
        splitter = np.ldexp(2.0, np.frexp(bound)[1])
        if splitter.ndim:
            splitter = np.take(splitter, self.features, out=rest, mode="clip")
        np.add(terms, splitter, out=leading)
        np.subtract(leading, splitter, out=leading)
        np.subtract(terms, leading, out=rest)
        if error is not None:
            np.add(rest, error, out=rest)
        return pairs.two_sum(self(leading), self(rest))


def scale_entries(
    entries: Entries, affine: Affine, out: AnyArray, first: int, last: int
) -> None:
    """Write the entries from first to last, transformed, to ``out``, from ``first`` on.

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
