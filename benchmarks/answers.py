"""Right answers, and how far a contender is from them.

Small data are summed as fractions; large ones in blocks around a shift, the blocks in
``np.longdouble``.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse

from benchmarks.contenders import Contender
from benchmarks.errors import WrongAnswerError

# Values that are summed as fractions in milliseconds.
SMALL = 2**12
# Values that are worked on at once, and rows that are added in float64: the rounding
# of so few is lost in what is allowed to contenders.
CHUNK, BLOCK = 2**18, 256

Statistics = tuple[Any, Any]  # mean and variance of each feature


def statistics(X: Any, weights: Any = None) -> Statistics:
    """Mean and variance of each feature, NaN left out."""
    if scipy.sparse.issparse(X):
        return _of_sparse(X)
    small = X.size <= SMALL and weights is None
    return _by_fractions(X) if small else _by_long_doubles(X, weights)


def averages(each: list[Statistics], n_rows: int) -> Statistics:
    """Averages over batches of n rows: of means, and of variances over n - 1."""
    means, variances = (np.stack(part).mean(axis=0) for part in zip(*each, strict=True))
    n = np.longdouble(n_rows)
    return means, variances * (n / (n - 1))


def errors(found: Statistics, right: Statistics) -> tuple[float, float]:
    """Largest error of means, against the root mean square, and of variances."""
    mean, variance = (np.asarray(part, dtype=np.longdouble) for part in found)
    right_mean, right_variance = right
    mean_error = np.abs(mean - right_mean) / np.hypot(right_mean, right_variance**0.5)
    variance_error = np.abs(variance - right_variance) / right_variance
    return _largest(mean_error), _largest(variance_error)


def check_statistics(
    contender: Contender, found: Statistics, right: Statistics, dtype: Any
) -> float:
    """Hold statistics to the contender's tolerance; return their largest error.

    Raises
    ------
    WrongAnswerError
        They are further off.
    """
    mean, variance = right
    distance = float(np.max(np.abs(mean) / np.sqrt(variance)))
    tolerance = contender.tolerance(str(dtype), distance)
    for what, error in zip(("mean", "variance"), errors(found, right), strict=True):
        _hold(contender, what, error, tolerance)
    return max(errors(found, right))


def check_map(
    contender: Contender, what: str, X: Any, image: Any, found: Statistics
) -> float:
    """Hold X and its normalised image to the contender's own statistics.

    The error that is returned is in standard deviations, relative to far values.

    Raises
    ------
    WrongAnswerError
        One is not the other, normalised.
    """
    if np.shape(image) != np.shape(X):
        raise WrongAnswerError(f"{contender.name}, {what}: shape {np.shape(image)}")
    kinds = [array.dtype for array in (X, image) if array.dtype.kind == "f"]
    rounding = max(4.0 * np.finfo(kind).eps for kind in kinds)
    tolerance = max(rounding, contender.tolerance(str(X.dtype), 1.0))
    if scipy.sparse.issparse(X):
        deviation = np.sqrt(np.asarray(found[1], dtype=np.longdouble))
        worst = _largest_gap(*_entries(X, image, deviation))
    else:
        gaps = (_map_gap(X[r], image[r], found, tolerance) for r in _chunks(X))
        worst = max(gaps)
    _hold(contender, what, worst, tolerance)
    return worst


def image(X: Any) -> Any:
    """Small data, normalised with fractions."""
    columns = [
        [
            float(Fraction(value) - mean) / np.sqrt(_rounded(variance))
            for value in column
        ]
        for column, (mean, variance) in zip(X.T.tolist(), _fractions(X), strict=True)
    ]
    return np.array(columns).T


def digits(error: float) -> float:
    """Correct decimal digits to a tenth, 16 at most."""
    return 16.0 if error <= 1e-16 else round(max(0.0, -float(np.log10(error))), 1)


def _hold(contender: Contender, what: str, error: float, tolerance: float) -> None:
    if not error <= tolerance:
        raise WrongAnswerError(
            f"{contender.name}, {what}: error {error:.1e}, allowed {tolerance:.0e}"
        )


def _largest(errors: Any) -> float:
    """The largest; infinity if one is not a number."""
    return float(np.max(np.where(np.isnan(errors), np.inf, errors)))


def _largest_gap(found: Any, right: Any) -> float:
    """The largest distance; infinity where NaN is in one of them only."""
    gap = np.abs(found - right) / (1 + np.abs(right))
    worst = float(np.max(gap))
    if worst == worst:
        return worst
    return _largest(np.where(np.isnan(found) & np.isnan(right), 0.0, gap))


def _chunks(X: Any) -> Iterator[slice]:
    step = max(1, CHUNK // X.shape[1])
    return (slice(top, top + step) for top in range(0, len(X), step))


def _by_fractions(X: Any) -> Statistics:
    each = [(_rounded(mean), _rounded(variance)) for mean, variance in _fractions(X)]
    means, variances = np.array(each).T
    return means, variances


def _fractions(X: Any) -> Iterator[tuple[Fraction, Fraction]]:
    """Mean and variance of each column."""
    for column in X.T.tolist():
        values = [Fraction(value) for value in column if value == value]
        mean = sum(values, Fraction()) / len(values)
        squares = sum(((value - mean) ** 2 for value in values), Fraction())
        yield mean, squares / len(values)


def _rounded(fraction: Fraction) -> np.longdouble:
    """To the digits that a long double has."""
    high = float(fraction)
    return np.longdouble(high) + np.longdouble(float(fraction - Fraction(high)))


def _of_sparse(X: Any) -> Statistics:
    """What is not stored is zero."""
    n_rows, X = X.shape[0], X.tocsc()
    each = []
    for start, stop in pairwise(X.indptr):
        values = X.data[start:stop].astype(np.longdouble)
        mean = values.sum() / n_rows
        squares = ((values - mean) ** 2).sum() + (n_rows - values.size) * mean**2
        each.append((mean, squares / n_rows))
    means, variances = np.array(each).T
    return means, variances


def _map_gap(X: Any, image: Any, found: Statistics, tolerance: float) -> float:
    """The largest gap of some rows; in long doubles if float64 leaves a doubt."""
    for kind in (np.float64, np.longdouble):
        mean, variance = (np.asarray(part, dtype=kind) for part in found)
        deviation = np.sqrt(variance)
        gap = _largest_gap(image, (X - mean) / deviation)
        distance = float(np.max(np.abs(mean) / deviation))
        # The map's own rounding is less than this.
        if gap + (4 + distance) * np.finfo(np.float64).eps <= tolerance:
            break
    return gap


def _entries(X: Any, image: Any, deviation: Any) -> tuple[Any, Any]:
    """What a scaled sparse matrix stores, and what it should; infinity elsewhere."""
    found, given = image.tocsr(), X.tocsr()
    found.sort_indices()
    given.sort_indices()
    same = np.array_equal(found.indptr, given.indptr) and np.array_equal(
        found.indices, given.indices
    )
    right = given.data / deviation[given.indices]
    return (found.data if same else np.full_like(right, np.inf)), right


def _by_long_doubles(X: Any, weights: Any) -> Statistics:
    """Two passes: blocks in float64 around a shift, their sums in long doubles."""
    some = X[:CHUNK].astype(np.float64)
    shift = some[np.argmin(np.isnan(some), axis=0), np.arange(X.shape[1])]
    mean = shift + _mean(X, weights, lambda rows: rows - shift)
    centre = mean.astype(np.float64)
    variance = _mean(X, weights, lambda rows: (rows - centre) ** 2)
    return mean, variance - (mean - centre) ** 2


def _mean(X: Any, weights: Any, value: Callable[[Any], Any]) -> Any:
    """Mean of some function of the rows, NaN left out."""
    weight, total = np.zeros((2, X.shape[1]), dtype=np.longdouble)
    for rows in _chunks(X):
        values = value(X[rows])
        there = ~np.isnan(values)
        if not there.all():
            values = np.where(there, values, 0.0)
        if weights is None:
            weight += there.sum(axis=0)
        else:
            values = values * weights[rows, None]
            weight += _sum(there * weights[rows, None])
        total += _sum(values)
    return total / weight


def _sum(values: Any) -> Any:
    starts = np.arange(0, len(values), BLOCK)
    return np.add.reduceat(values, starts, axis=0).sum(axis=0, dtype=np.longdouble)
