"""Sums and maps of sparse entries by NumPy and SciPy, in blocks of entries.

SciPy's product of a sparse matrix and a vector adds the terms of each feature, in half
the time that NumPy's ``bincount`` takes and without the interpreter lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What SciPy's products call. The way there takes a third of the time of 2**15 entries,
# and other threads wait.
from scipy.sparse._sparsetools import csc_matvec

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

# Entries that are split at the same power of two, at least and at most: what is done
# once for them are many small operations, and at each of them threads wait for the
# interpreter lock. With 2**17, two threads take 1.3 times as long as with 2**19 (Xeon,
# family 6, model 207, 2026-11).
SMALL_GROUP, GROUP = 3 * 2**15, 2**19
# Entries of one feature in a group of more.
OF_A_FEATURE = 2**16
# Entries that are added up at once. Half as many stay in a second-level cache, and are
# added by one thread in nine tenths of the time, but two threads wait for one another.
PIECE = 2**17
# Bits that leading parts need for what is left to be small.
LEAST_BITS = 14

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
    columns, adder = entries.columns(first, last), _Adder(entries)
    sums = np.zeros((2, N_SUMS, columns.stop - columns.start))
    with np.errstate(all="ignore"):
        for start, stop in _cut(first, last, _group(entries)):
            part = None
            if weights is None and center is None:
                part = _plain_sums(adder, start, stop)
            if part is None:
                part = _careful_sums(adder, start, stop, weights, center)
            target = sums[:, : part.shape[1], _within(columns, entries, start, stop)]
            add_pairs(target, part, nothing_yet=start == first)
    return sums, adder.unsorted


def add_pairs(sums: Array, part: Array, *, nothing_yet: bool) -> None:
    """Add some sums, pairs along the first axis, to sums that may be zero yet.

    The low parts of what is added may be larger than roundings of the high ones.
    """
    its: Any = tuple(part)
    sums[...] = pairs.two_sum(*its) if nothing_yet else pairs.add(tuple(sums), its)


def _group(entries: Entries) -> int:
    """Number of entries to split alike, which are not too many of one feature."""
    number: float = SMALL_GROUP
    if entries.by_rows:
        number = min(OF_A_FEATURE * entries.count / entries.n_rows, GROUP)
    elif entries.count < OF_A_FEATURE * entries.n_features:
        number = GROUP
    return max(int(number), SMALL_GROUP, entries.n_features if entries.by_rows else 0)


def _cut(first: int, last: int, step: int) -> Iterator[tuple[int, int]]:
    for start in range(first, last, step):
        yield start, min(start + step, last)


def _within(columns: slice, entries: Entries, first: int, last: int) -> slice:
    """Features of some entries, counted from the first one of all."""
    its = entries.columns(first, last)
    return slice(its.start - columns.start, its.stop - columns.start)


def _careful_sums(
    adder: _Adder,
    first: int,
    last: int,
    weights: Array | None,
    center: Array | None,
) -> Array:
    """Sums of any entries: weighted, missing, around a center, of all magnitudes."""
    entries = adder.entries
    columns = entries.columns(first, last)
    sums = np.zeros((2, N_SUMS, columns.stop - columns.start))
    least = entries.n_features if entries.by_rows else 0
    for start, stop in _cut(first, last, max(BLOCK, least)):
        features, lowest = adder.read(start, stop)
        values = entries.data[start:stop].astype(np.float64, copy=False)
        target = sums[:, :, _within(columns, entries, start, stop)]
        part = np.zeros_like(target)
        its = None if weights is None else weights[entries.rows(start, stop)]
        around = None if center is None else center[lowest:].take(features)
        _add_block(adder, values, features, its, around, part)
        add_pairs(target, part, nothing_yet=start == first)
    return sums


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


def _plain_sums(adder: _Adder, first: int, last: int) -> Array | None:
    """Sums of values and of their squares, both from one split of the values.

    Leading parts have so few bits that their sums, and those of their squares, are
    exact; what is left is so small that the errors of its sums do not show. None where
    that does not hold.

    Returns
    -------
    sums : ndarray of shape (2, 2, n) or None
        High and low parts, TOTAL and SQUARES.
    """
    entries, raw = adder.entries, None
    values = entries.data[first:last]
    most = entries.most_of_a_feature(first, last).bit_length()
    bits = min((53 - most) // 2, 52 - 2 * most)
    if bits < LEAST_BITS:
        return None
    # The first values tell how large the others are, as a rule. To look at all of them
    # before they are split, a piece in cache after another, takes a third of the time.
    for part in values[:PIECE], values:
        if raw is None:
            largest = _largest(part)
            if not LEAST < largest < MOST:
                return None
            unit = np.ldexp(1.0, np.frexp(largest)[1] - bits)
            # With each leading part, it tells their number, by a sum that is exact.
            one = unit * 2.0 ** (bits + most + 1)
            raw = _split_sums(adder, (first, last), (unit, bits, one))
    if raw is None:
        return None
    counts = np.rint(raw[0] / one)
    total = pairs.two_sum(raw[0] - counts * one, raw[1])
    squares = pairs.two_sum(raw[2], raw[3])
    # A term is no larger than the value times the unit, and an error than the sum of
    # their sizes, n times a rounding: one of the squares', by Cauchy and Schwarz, where
    # this holds.
    if ((squares[0] < unit**2 * counts * counts * counts) & (counts > 0)).any():
        return None
    return np.array((total, squares)).swapaxes(0, 1)


def _split_sums(
    adder: _Adder, part: tuple[int, int], split: tuple[float, int, float]
) -> Array | None:
    """Sums of the parts of values; None where one has more than the bits of the split.

    ``split`` is the unit of leading parts, their bits and the one that counts them.
    Sums are of leading parts, each with ``one``, of rests, of squares of leading parts,
    and of what is left of the squares.
    """
    (unit, bits, one), entries = split, adder.entries
    columns, splitter = entries.columns(*part), 1.5 * 2.0**52 * unit
    sums = np.zeros((4, columns.stop - columns.start))
    lines = adder.terms(min(PIECE, part[1] - part[0]))
    for start, stop in _cut(*part, PIECE):
        target = sums[:, _within(columns, entries, start, stop)]
        adder.read(start, stop)
        values, leading, rest, terms = lines[:, : stop - start]
        if entries.data.dtype == np.float64:
            values = entries.data[start:stop]
        else:
            np.copyto(values, entries.data[start:stop], casting="unsafe")
        np.add(values, splitter, out=leading)
        np.subtract(leading, splitter - one, out=leading)
        adder.add(leading, target[0])
        np.subtract(leading, one, out=leading)
        np.subtract(values, leading, out=rest)
        adder.add(rest, target[1])
        np.add(values, leading, out=terms)
        np.multiply(leading, leading, out=leading)
        if not leading.max() <= (unit * 2.0**bits) ** 2:
            return None
        adder.add(leading, target[2])
        np.multiply(terms, rest, out=terms)
        adder.add(terms, target[3])
    return sums


def _largest(values: AnyArray) -> float:
    """The largest absolute value, NaN where one is."""
    return max(float(values.max()), -float(values.min()))


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

    def __init__(self, entries: Entries) -> None:
        self.entries, self.unsorted = entries, False

    def terms(self, size: int) -> Array:
        """Return scratch for four terms of each entry."""
        # Not at the same place of a page each: NumPy would wait.
        return scratch((4, size + 64 + -size % 8))[:, :size]

    def read(self, first: int, last: int) -> tuple[AnyArray, int]:
        """Take over the features of some entries; return them, and the lowest.

        They are counted from that. Looks, too, for a place that may be stored twice.
        """
        features, lowest = self.entries.features(first, last)
        columns = self.entries.columns(first, last)
        self.set_features(features, columns.stop - columns.start)
        self.unsorted |= self.entries.is_unsorted(first, last)
        return features, lowest

    def set_features(self, features: AnyArray, n_features: int) -> None:
        """Say what feature each term is of."""
        self.features, self.n_features = features, n_features
        if not self.entries.by_rows:
            steps = np.flatnonzero(features[1:] != features[:-1]) + 1
            self.starts = np.concatenate(([0], steps))
        else:
            # All in one column: what counts is where a term goes.
            self.column = np.array([0, features.size], dtype=features.dtype)

    def __call__(self, terms: Array) -> Array:
        sums = np.zeros(self.n_features)
        self.add(terms, sums)
        return sums

    def add(self, terms: Array, sums: Array) -> None:
        """Add the terms to the sums of their features."""
        if not self.entries.by_rows:
            its = self.features[self.starts]
            sums[its] += np.add.reduceat(terms, self.starts)
        else:
            csc_matvec(sums.size, 1, self.column, self.features, terms, _ONE, sums)

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
