"""Means and variances in rational arithmetic, and how far others are from them."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt
from typing import Any, NamedTuple

import numpy as np
from sklearn.preprocessing import StandardScaler

from skbn.moments import as_array

# A merge is right to 24 digits, so a mean is where no more than these cancel, as
# they do in the mean of 1e9, -1e9 and 1e-9.
CANCELLED = Fraction(1, 10**8)
# And a variance where the spread is no less than this part of the values: float64 data
# have less only where weights make it so.
CONSTANT = Fraction(1, 10**15)


class Exact(NamedTuple):
    """Statistics of one feature."""

    weight: Fraction
    mean: Fraction
    variance: Fraction | None  # divided by the weight - ddof, None if that is not > 0
    reach: Fraction  # the largest absolute value


def exact_column(values: Any, weights: Any = None, ddof: int = 0) -> Exact:
    """Statistics of the values that are not NaN and do not weigh zero."""
    values = np.asarray(values, dtype=float)
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, float)
    pairs = zip(values.tolist(), weights.tolist(), strict=True)
    pairs = [(x, w) for x, w in pairs if x == x and w]
    if not pairs:
        return Exact(Fraction(0), Fraction(0), None, Fraction(0))
    xs, x_unit = _as_integers([x for x, _ in pairs])
    ws, w_unit = _as_integers([w for _, w in pairs])
    total = sum(ws)
    first = sum(w * x for x, w in zip(xs, ws, strict=True))
    second = sum(w * x * x for x, w in zip(xs, ws, strict=True))
    weight = Fraction(total, w_unit)
    variance = None
    if weight > ddof:
        variance = Fraction(total * second - first * first, (total * x_unit) ** 2)
        variance *= weight / (weight - ddof)
    mean = Fraction(first, total * x_unit)
    return Exact(weight, mean, variance, Fraction(max(map(abs, xs)), x_unit))


def exact_columns(X: Any, weights: Any = None, ddof: int = 0) -> list[Exact]:
    """Statistics of each feature of X."""
    return [exact_column(column, weights, ddof) for column in np.asarray(X).T]


def _as_integers(values: list[float]) -> tuple[list[int], int]:
    """Numerators over one common denominator, a power of two."""
    ratios = [value.as_integer_ratio() for value in values]
    unit = max(denominator for _, denominator in ratios)
    return [
        numerator * (unit // denominator) for numerator, denominator in ratios
    ], unit


def mean_error(mean: float, exact: Exact) -> float:
    """Relative error of a mean."""
    if not exact.weight:
        return 0.0 if np.isnan(mean) else np.inf
    return _error(mean, exact.mean, CANCELLED * exact.reach)


def variance_error(variance: float, exact: Exact) -> float:
    """Relative error of a variance."""
    if exact.variance is None:
        return 0.0 if np.isnan(variance) else np.inf
    return _error(variance, exact.variance, (CONSTANT * exact.reach) ** 2)


def _error(got: float, exact: Fraction, least: Fraction) -> float:
    if not np.isfinite(got):
        return np.inf
    wrong = abs(Fraction(float(got)) - exact)
    return float(wrong / max(abs(exact), least)) if wrong else 0.0


def errors(mean: Any, variance: Any, exact: list[Exact]) -> tuple[float, float]:
    """Largest relative error of the means and of the variances."""
    return (
        max(mean_error(m, e) for m, e in zip(mean, exact, strict=True)),
        max(variance_error(v, e) for v, e in zip(variance, exact, strict=True)),
    )


def assert_exact(
    transformer: Any, X: Any, weights: Any = None, digits: int = 15
) -> None:
    """The transformer has seen the rows of X, and knows their statistics."""
    exact = exact_columns(X, weights, transformer.ddof)
    ours = errors(transformer.mean_, transformer.var_, exact)
    if max(ours) <= 10.0**-digits:
        return
    with np.errstate(all="ignore"):
        theirs = StandardScaler().fit(X, sample_weight=weights)
        error = errors(theirs.mean_, theirs.var_, exact)
    raise AssertionError(
        f"relative errors of mean and variance {ours}, StandardScaler's {error}"
    )


def assert_moments(moments: Any, X: Any, weights: Any = None) -> None:
    """Moments that an engine found are those of the rows of X."""
    exact = exact_columns(X.astype(float), weights)
    seen = np.array([feature.weight > 0 for feature in exact])
    weight = as_array(moments.weight[0], X.shape[1])
    np.testing.assert_allclose(weight, [float(f.weight) for f in exact], rtol=1e-15)
    exact = [feature for feature in exact if feature.weight]
    if exact:
        wrong = errors(moments.mean[0][seen], moments.variance[0][seen], exact)
        assert max(wrong) <= 1e-15, wrong


def exact_image(X: Any, exact: list[Exact]) -> np.ndarray:
    """``(x - mean) / standard deviation``, rounded at the end."""
    image = np.empty(np.shape(X))
    for j, feature in enumerate(exact):
        deviation = exact_root(feature.variance)
        for i, x in enumerate(np.asarray(X)[:, j].tolist()):
            image[i, j] = float((Fraction(x) - feature.mean) / deviation)
    return image


def exact_root(square: Fraction) -> Fraction:
    """Square root to 40 digits."""
    unit = 10**40
    while square * unit * unit < unit:
        unit *= unit
    return Fraction(isqrt(int(square * unit * unit)), unit)
