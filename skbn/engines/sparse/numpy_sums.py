"""Sums and images of sparse entries by NumPy and SciPy, in blocks of entries.

SciPy's product of a sparse matrix and a vector adds the terms of each feature, in
half the time that NumPy's ``bincount`` takes and without the interpreter lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from skbn import pairs
from skbn.affine import Affine
from skbn.engines.base import InfinityInBlockError
from skbn.engines.sparse.entries import BLOCK, AnyArray, Entries
from skbn.pairs import Pair

Array = NDArray[np.float64]

# Sums of a feature, each a pair: weight * value, weight * (value - centre)**2, the
# weight and the number of values, and the weight and number of missing ones; and how
# far off the squares may be. Weight and number of values are left out, zero, where
# rows have no weights and squares are around zero.
TOTAL, SQUARES, WEIGHT, COUNT, LOST_WEIGHT, LOST, NOISE = range(7)
N_SUMS = 7

# The sums of squares round each square, by 2**-52 of it: they may be this many times
# as large as around the mean.
LIMIT = 2.0

# Features whose squares add up to a smaller part of all are summed once more, with a
# cut of their own.
SMALL = 2.0**-22

_ONE = np.ones(1)


def add_entries(
    entries: Entries,
    first: int,
    last: int,
    weights: Array | None,
    centre: Array | None,
    shrink: NDArray[np.int64] | None = None,
) -> tuple[Array, bool]:
    """Sums of the entries from first to last.

    Parameters
    ----------
    entries : Entries
    first, last : int
    weights : ndarray of shape (n_rows,) or None
    centre : ndarray of shape (n_features,) or None
        What squares are taken around; features where it is zero are then left out.
        None for zero everywhere.
    shrink : ndarray of shape (n_features,) or None
        Powers of two that values are divided by.

    Returns
    -------
    sums : ndarray of shape (2, N_SUMS, n)
        High and low parts, for the features ``entries.columns(first, last)``.
    maybe_repeated : bool
        Whether some place may be stored twice: here never, the caller has looked.
    """
    columns = entries.columns(first, last)
    width = columns.stop - columns.start
    sums = np.zeros((2, N_SUMS, width))
    step = max(BLOCK, entries.n_features if entries.by_rows else 0)
    with np.errstate(all="ignore"):
        for start in range(first, last, step):
            stop = min(start + step, last)
            part, wide = _block(entries, start, stop, weights, centre, shrink)
            target = sums[:, :, wide.start - columns.start : wide.stop - columns.start]
            target[...] = pairs.add(tuple(target), tuple(part))
    return sums, False


def _block(
    entries: Entries,
    first: int,
    last: int,
    weights: Array | None,
    centre: Array | None,
    shrink: NDArray[np.int64] | None,
) -> tuple[Array, slice]:
    """Sums of one block, and the features they are of."""
    columns, in_order = entries.columns(first, last), not entries.by_rows
    features, _ = entries.features(first, last)
    values = entries.data[first:last].astype(np.float64)
    its = None if weights is None else weights[entries.rows(first, last)]
    if shrink is not None:
        values = np.ldexp(values, -shrink[columns][features])
    arrays: Any = values, features, its, None
    if centre is not None:
        around = centre[columns][features]
        arrays = _where(around != 0, values, features, its, around)
    sums = np.zeros((2, N_SUMS, columns.stop - columns.start))
    missing = np.isnan(arrays[0])
    if missing.any():
        _, features, its, _ = _where(missing, *arrays)
        adder = _Adder(features, sums.shape[2], in_order)
        _add_weights(adder, its, sums[:, LOST_WEIGHT:])
        arrays = _where(~missing, *arrays)
    values, features, its, around = arrays
    if values.size:
        adder = _Adder(features, sums.shape[2], in_order)
        _add_values(adder, values, its, around, sums)
    return sums, columns


def _where(mask: NDArray[np.bool_], *arrays: AnyArray | None) -> Any:
    return tuple(None if array is None else array[mask] for array in arrays)


class _Adder:
    """Adds the terms of each feature, one after another.

    Features that come one after another are added up by NumPy: SciPy would wait for
    one addition before it begins the next.
    """

    def __init__(self, features: AnyArray, n_features: int, in_order: bool) -> None:
        self.features, self.n_features = features, n_features
        if in_order:
            steps = np.flatnonzero(features[1:] != features[:-1]) + 1
            self.starts = np.concatenate(([0], steps))
        else:
            ends = np.array([0, features.size], dtype=features.dtype)
            terms = np.empty(features.size)
            # All in one column: what counts is where a term goes.
            self.table = csc_array((terms, features, ends), shape=(n_features, 1))
        self.in_order = in_order

    def __call__(self, terms: Array) -> Array:
        if not self.in_order:
            self.table.data = terms
            return self.table @ _ONE
        sums = np.zeros(self.n_features)
        sums[self.features[self.starts]] = np.add.reduceat(terms, self.starts)
        return sums

    def count(self) -> Array:
        return self(np.ones(self.features.size))

    def exact(self, terms: Array, bound: Any, error: Array | None = None) -> Pair:
        """Sums as pairs; ``bound`` is no less than any sum of absolute values.

        Rump, Ogita & Oishi (2008), algorithm 3.2; see ``_numpy_blocks``.
        """
        cut = np.where(np.isfinite(bound), np.ldexp(2.0, np.frexp(bound)[1]), np.inf)
        if cut.ndim:
            cut = cut[self.features]
        leading = (terms + cut) - cut
        rest = terms - leading
        if error is not None:
            rest += error
        return pairs.two_sum(self(leading), self(rest))


def _add_weights(adder: _Adder, weights: Array | None, sums: Array) -> None:
    """Weight and number, into the first two rows."""
    count = adder.count()
    sums[0, 1] = count
    if weights is None:
        sums[0, 0] = count
    else:
        sums[:, 0] = adder.exact(weights, weights.sum())


def _add_values(
    adder: _Adder,
    values: Array,
    weights: Array | None,
    around: Array | None,
    sums: Array,
) -> None:
    """Sums of values that are not missing."""
    if weights is not None or around is not None:
        _add_weights(adder, weights, sums[:, WEIGHT:])
    away = values if around is None else values - around
    terms, error, squares = values, None, away * away
    if weights is not None:
        terms, error = pairs.two_product(weights, values)
        squares *= weights
    bounds: tuple[Any, Any] = np.abs(terms).sum(), squares.sum()
    for again in (False, True):
        if again:
            if np.isfinite(bounds).all() and not _some_are_small(sums[0, SQUARES]):
                break
            bounds = adder(np.abs(terms)), adder(squares)
        sums[:, TOTAL] = adder.exact(terms, bounds[0], error)
        sums[:, SQUARES] = adder.exact(squares, bounds[1])


def _some_are_small(squares: Array) -> bool:
    return bool(((squares < SMALL * squares.sum()) & (squares > 0)).any())


def write_entries(
    entries: Entries, affine: Affine, out: AnyArray, first: int, last: int
) -> None:
    """Write the images of the entries from first to last to ``out``, at their places.

    Raises
    ------
    InfinityInBlockError
    """
    with np.errstate(all="ignore"):
        for start in range(first, last, BLOCK):
            _write_block(entries, affine, out, start, min(start + BLOCK, last))


def _write_block(
    entries: Entries, affine: Affine, out: AnyArray, first: int, last: int
) -> None:
    block, target = entries.data[first:last], out[first:last]
    work = target if target.dtype == np.float64 else np.empty(block.shape)
    features, start = entries.features(first, last)

    def of_each(values: Array) -> Array:
        return values[start:][features]

    source: AnyArray = affine.apply(block, work, of_each)
    refuse_infinity(block, source)
    if affine.clip is not None:
        source = np.clip(source, *affine.clip, out=work)
    if source is not target:
        np.copyto(target, source, casting="unsafe")


def refuse_infinity(block: AnyArray, image: AnyArray) -> None:
    """Raise if the block holds an infinity; its image then does, too."""
    total = np.add.reduce(image, axis=None, dtype=float)
    if not np.isfinite(total) and np.isinf(block).any():
        raise InfinityInBlockError
