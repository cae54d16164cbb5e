"""Averages that forget, in rational arithmetic, and streams to try them on."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from exact import Exact, errors, exact_column, exact_columns
from hypothesis import strategies as st
from strategies import Stream, tables

from skbn import BatchNormTransformer

AVERAGES = {
    "cumulative": {},
    "cumulative, ddof": {"ddof": 1},
    "momentum": {"momentum": 0.1},
    "momentum, as torch": {"momentum": 0.3, "zero_debias": False, "ddof": 1},
    "momentum 1": {"momentum": 1.0},
    "half-life 1": {"halflife": 1.0},
    "half-life 20": {"halflife": 20.0},
}
MOMENTA = st.one_of(st.sampled_from([1e-9, 0.01, 0.1, 0.5, 1.0]), st.floats(1e-6, 1.0))
HALFLIVES = [0.05, 0.3, 1.0, 2.5, 10.0, 1000.0, 1e9]


def streamed(batches, **parameters):
    transformer = BatchNormTransformer(**parameters)
    for X, weights in batches:
        transformer.partial_fit(X, sample_weight=weights)
    return transformer


@st.composite
def streams_for_torch(draw, **options):
    """Streams whose batches have two rows or more, none missing."""
    sizes = draw(st.lists(st.integers(2, 9), min_size=1, max_size=12))
    X = draw(tables(min_rows=sum(sizes), max_rows=sum(sizes), **options))
    return Stream(X, None, np.cumsum(sizes)[:-1].tolist())


def row_weights(n_rows, halflife, weights=None):
    """Weights of rows by age, exact where ``1 / halflife`` is an integer."""
    aged = np.exp2(np.arange(1 - n_rows, 1) / halflife)
    return aged if weights is None else aged * weights


def exact_statistics(
    stream: Stream,
    *,
    momentum: float | None = None,
    halflife: float | None = None,
    zero_debias: bool = True,
    ddof: int = 0,
) -> list[Exact]:
    """Statistics of each feature, as the definition of its averaging says."""
    if momentum is None:
        weights = stream.weights
        if halflife is not None:
            weights = row_weights(len(stream.X), halflife, weights)
        return exact_columns(stream.X, weights, ddof)
    batches = list(stream.batches())
    return [
        _exact_momentum(
            [exact_column(X[:, j], weights, ddof) for X, weights in batches],
            Fraction(momentum),
            zero_debias,
        )
        for j in range(stream.X.shape[1])
    ]


def _exact_momentum(batches: list[Exact], momentum: Any, zero_debias: bool) -> Exact:
    means = [batch.mean for batch in batches if batch.weight]
    variances = [batch.variance for batch in batches if batch.variance is not None]
    mean = _faded_average(means, momentum, None if zero_debias else 0)
    variance = _faded_average(variances, momentum, None if zero_debias else 1)
    reach = max(batch.reach for batch in batches)
    return Exact(Fraction(mean is not None), mean or Fraction(0), variance, reach)


def _faded_average(
    values: list[Fraction], momentum: Fraction, start: int | None
) -> Fraction | None:
    weights = [momentum * (1 - momentum) ** age for age in range(len(values))]
    total = sum(
        (w * x for w, x in zip(weights, reversed(values), strict=True)), Fraction(0)
    )
    if start is not None:
        return total + start * (1 - momentum) ** len(values)
    return total / sum(weights) if values else None


def assert_digits(transformer: Any, exact: list[Exact], digits: float = 15) -> None:
    """The running statistics have so many digits right."""
    wrong = errors(transformer.mean_, transformer.var_, exact)
    assert max(wrong) <= 10.0**-digits, f"relative errors of mean and variance: {wrong}"


def assert_alike(one: Any, other: Any, X: Any, digits: int) -> None:
    """Means agree to so many digits of the spread, variances of themselves."""
    gaps = np.isnan(X)
    spread = np.max(X, axis=0, where=~gaps, initial=-np.inf)
    spread -= np.min(X, axis=0, where=~gaps, initial=np.inf)
    unknown = gaps.all(axis=0)
    spread[unknown] = 0.0
    reach = np.max(np.abs(X), axis=0, where=~gaps, initial=0.0)
    for name, rtol, atol in (
        ("mean_", 2.0**-52, 10.0**-digits * spread),
        ("var_", 10.0**-digits, (1e-15 * reach) ** 2),
    ):
        ours, theirs = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
        known = ~np.isnan(ours)
        bound = (atol + rtol * np.abs(theirs))[known]
        away = np.abs(ours - theirs)[known]
        assert (away <= bound).all(), f"{name}: {ours} and {theirs}"


def in_batches(X, size, weights=None):
    return Stream(X, weights, list(range(size, len(X), size)))


def normal(n, features=2, offset=0.0):
    return np.random.default_rng(0).normal(size=(n, features)) + offset
