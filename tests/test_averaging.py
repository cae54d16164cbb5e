"""Cumulative, momentum and half-life, against pandas and fractions."""

from decimal import Decimal, localcontext

import numpy as np
import pandas as pd
import pytest
from averages import (
    AVERAGES,
    HALFLIVES,
    MOMENTA,
    assert_alike,
    assert_digits,
    exact_statistics,
    in_batches,
    normal,
    row_weights,
    streamed,
)
from exact import assert_exact, exact_columns, exact_image
from hypothesis import given
from hypothesis import strategies as st
from strategies import OFFSETS, Stream, examples, streams

from skbn import BatchNormTransformer
from skbn.averaging import Cumulative, HalfLife, Momentum, averaging


@examples(150)
@given(streams(missing=True, powers=60), MOMENTA, st.booleans())
def test_momentum(stream, momentum, zero_debias):
    parameters = {"momentum": momentum, "zero_debias": zero_debias}
    transformer = streamed(stream.batches(), **parameters)
    assert_digits(transformer, exact_statistics(stream, **parameters), 14.5)


@examples(100)
@given(streams(missing=True, weighted=False), MOMENTA, st.booleans(), st.integers(1, 3))
def test_momentum_where_batches_have_no_variance(stream, momentum, zero_debias, ddof):
    parameters = {"momentum": momentum, "zero_debias": zero_debias, "ddof": ddof}
    transformer = streamed(stream.batches(), **parameters)
    assert_digits(transformer, exact_statistics(stream, **parameters), 14.5)


@examples(50)
@given(streams(missing=True, offsets=[1.0, -1e3]))
def test_momentum_debiased_by_the_start_that_torch_keeps(stream):
    """Kept and divided out, the start of mean 0 and variance 1 gives the same."""
    stream = Stream(np.where(np.isnan(stream.X), 1.5, stream.X), None, stream.cuts)
    biased = streamed(stream.batches(), momentum=0.1, zero_debias=False)
    ours = streamed(stream.batches(), momentum=0.1)
    start = 0.9**ours.n_batches_seen_
    np.testing.assert_allclose(ours.mean_, biased.mean_ / (1 - start), rtol=1e-13)
    np.testing.assert_allclose(
        ours.var_, (biased.var_ - start) / (1 - start), rtol=1e-13, atol=1e-13
    )


def test_momentum_1_is_the_last_batch():
    X = normal(40, offset=3.0)
    for zero_debias in (True, False):
        transformer = streamed(
            in_batches(X, 8).batches(), momentum=1, zero_debias=zero_debias
        )
        np.testing.assert_allclose(transformer.mean_, X[32:].mean(axis=0), rtol=1e-15)
        np.testing.assert_allclose(transformer.var_, X[32:].var(axis=0), rtol=1e-14)


def test_before_the_first_value():
    nothing = np.full((3, 2), np.nan)
    started = BatchNormTransformer(momentum=0.1, zero_debias=False).fit(nothing)
    np.testing.assert_array_equal(started.mean_, 0.0)
    np.testing.assert_array_equal(started.var_, 1.0)
    for parameters in ({}, {"momentum": 0.1}, {"halflife": 5}):
        transformer = BatchNormTransformer(**parameters).fit(nothing)
        assert np.isnan(transformer.mean_).all()
        assert np.isnan(transformer.var_).all()
        assert transformer.n_samples_seen_ == 0


@examples(150)
@given(
    streams(missing=True, weighted=False, offsets=[0.0, 1.0, -1e3]),
    st.sampled_from(HALFLIVES),
)
def test_halflife_as_pandas(stream, halflife):
    window = pd.DataFrame(stream.X).ewm(halflife=halflife, adjust=True)
    mean = window.mean().iloc[-1].to_numpy()
    variance = window.var(bias=True).iloc[-1].to_numpy()
    ours = streamed(stream.batches(), halflife=halflife)
    reach = np.max(np.abs(stream.X), where=~np.isnan(stream.X), initial=0.0)
    np.testing.assert_allclose(ours.mean_, mean, rtol=1e-10, atol=1e-14 * reach)
    np.testing.assert_allclose(
        ours.var_, variance, rtol=1e-10, atol=(1e-14 * reach) ** 2
    )


def test_a_missing_row_ages_the_others():
    X = np.array([[0.0, 0.0], [np.nan, 0.0], [8.0, 8.0]])
    transformer = BatchNormTransformer(halflife=1).fit(X)
    np.testing.assert_allclose(transformer.mean_, [6.4, 8 / 1.75], rtol=1e-15)
    np.testing.assert_allclose(transformer.var_, [64 * 0.16, 64 * 12 / 49], rtol=1e-15)


@examples(150)
@given(streams(missing=True, powers=60), st.sampled_from([0.25, 0.5, 1.0]))
def test_halflife(stream, halflife):
    weights = row_weights(len(stream.X), halflife, stream.weights)
    assert_exact(streamed(stream.batches(), halflife=halflife), stream.X, weights)


@examples(50)
@given(streams(missing=True, weighted=False))
def test_halflife_with_ddof(stream):
    transformer = streamed(stream.batches(), halflife=1, ddof=1)
    assert_exact(transformer, stream.X, row_weights(len(stream.X), 1))


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_a_missing_value_of_next_to_no_weight_is_not_counted(engine):
    if engine == "numba":
        pytest.importorskip("numba")
    X = np.arange(6000.0).reshape(3000, 2)
    X[0, 0] = np.nan
    transformer = BatchNormTransformer(engine=engine, halflife=20).fit(X)
    np.testing.assert_array_equal(transformer.n_samples_seen_, [2999, 3000])


@pytest.mark.parametrize("zero_debias", [True, False])
@pytest.mark.parametrize("ddof", [0, 1])
def test_momentum_near_the_ends_of_the_range(zero_debias, ddof):
    parameters = {"momentum": 0.25, "zero_debias": zero_debias, "ddof": ddof}
    X = normal(30)
    small = streamed(in_batches(X, 3).batches(), **parameters)
    for power in 508, -300:
        large = streamed(in_batches(np.ldexp(X, power), 3).batches(), **parameters)
        np.testing.assert_allclose(large.mean_, np.ldexp(small.mean_, power))
        if zero_debias:  # else it began at 1
            expected = np.ldexp(small.var_, 2 * power)
            np.testing.assert_allclose(large.var_, expected, rtol=1e-14)
    largest = BatchNormTransformer(**parameters).fit(np.full((2, 1), 1.7e308))
    share = 1.0 if zero_debias else 0.25
    np.testing.assert_allclose(largest.mean_, 1.7e308 * share, rtol=1e-15)


def test_weights_that_are_hardly_more_than_ddof():
    X, weights = normal(40, 2), np.full(40, 0.1 + 2.5e-9)
    transformer = BatchNormTransformer(ddof=4).fit(X, sample_weight=weights)
    assert_exact(transformer, X, weights)


def test_a_halflife_beyond_every_float_forgets_nothing():
    X = normal(40)
    never = BatchNormTransformer(halflife=10**400, batch_size=7).fit(X)
    assert_exact(never, X)


@examples(150)
@given(streams(missing=True, powers=60), st.sampled_from(HALFLIVES), st.data())
def test_halflife_does_not_depend_on_the_cut(stream, halflife, data):
    some = streamed(stream.batches(), halflife=halflife)
    size = data.draw(st.integers(1, len(stream.X)))
    whole = BatchNormTransformer(halflife=halflife, batch_size=size)
    whole.partial_fit(stream.X, sample_weight=stream.weights)
    assert_alike(some, whole, stream.X, 13)
    # fit refuses weights that are all zero
    if stream.weights is None or stream.weights.any():
        whole.fit(stream.X, sample_weight=stream.weights)
        assert_alike(some, whole, stream.X, 13)


@pytest.mark.parametrize("size", [1, 7, 64, 3000])
def test_a_value_of_long_ago_is_still_the_last_one(size):
    X = np.full((3000, 3), np.nan)
    X[:2, 0] = 4.0, 6.0
    X[1500, 1] = 7.0
    X[-1, 2] = 1.0
    window = pd.DataFrame(X).ewm(halflife=1)
    mean = window.mean().iloc[-1].to_numpy()
    transformer = streamed(in_batches(X, size).batches(), halflife=1)
    np.testing.assert_allclose(transformer.mean_, mean, rtol=1e-14)
    np.testing.assert_allclose(transformer.var_, [8 / 9, 0.0, 0.0], rtol=1e-14)
    np.testing.assert_array_equal(transformer.n_samples_seen_, [2, 1, 1])


def test_a_halflife_far_below_a_row_is_the_last_value():
    X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, np.nan], [6.0, np.nan]])
    for size in (1, 3, 4):
        transformer = streamed(in_batches(X, size).batches(), halflife=1e-3)
        np.testing.assert_array_equal(transformer.mean_, [6.0, 4.0])
        # The row before weighs next to nothing.
        np.testing.assert_allclose(transformer.var_, 0.0, atol=1e-280)


def test_an_endless_halflife_is_cumulative():
    X = normal(500, offset=np.array([0.0, 1e6]))
    transformer = streamed(in_batches(X, 7).batches(), halflife=1e18)
    np.testing.assert_allclose(transformer.mean_, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(transformer.var_, X.var(axis=0), rtol=1e-9)
    assert_alike(transformer, BatchNormTransformer().fit(X), X, 14)


def test_names_that_others_give_to_a_halflife():
    stats = pytest.importorskip("river.stats")
    X = normal(4000, features=1, offset=2.0)
    alpha = 0.02
    mean = stats.EWMean(fading_factor=alpha)
    for (x,) in X.tolist():
        mean.update(x)
    frame = pd.DataFrame(X)
    ours = BatchNormTransformer(halflife=-1 / np.log2(1 - alpha)).fit(X)
    np.testing.assert_allclose(ours.mean_, [mean.get()], rtol=1e-12)
    for name in ({"alpha": alpha}, {"span": 2 / alpha - 1}):
        window = frame.ewm(**name)
        np.testing.assert_allclose(ours.mean_, window.mean().iloc[-1], rtol=1e-12)
        np.testing.assert_allclose(
            ours.var_, window.var(bias=True).iloc[-1], rtol=1e-12
        )


@pytest.mark.parametrize("size", [2, 7, 64, 200])
@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize(
    "parameters",
    [{"momentum": 0.1}, {"momentum": 0.01, "ddof": 1}, {"halflife": 1.0}],
    ids=str,
)
def test_offset(parameters, offset, size):
    stream = in_batches(normal(200, offset=offset), size)
    transformer = streamed(stream.batches(), **parameters)
    exact = exact_statistics(stream, **parameters)
    assert_digits(transformer, exact)
    rows = stream.X[-10:]
    away = np.abs(transformer.transform(rows) - exact_image(rows, exact))
    assert away.max() <= 1e-14


@pytest.mark.parametrize("offset", [0.0, 1e12])
def test_one_row_a_batch_at_an_offset(offset):
    stream = in_batches(normal(300, offset=offset), 1)
    for parameters in ({"momentum": 0.1}, {"halflife": 1.0}, {"halflife": 0.5}):
        transformer = streamed(stream.batches(), **parameters)
        assert_digits(transformer, exact_statistics(stream, **parameters))


def test_a_long_memory_keeps_its_digits():
    """A factor rounded to 53 bits would be off by 1e-12 after so many batches."""
    n, momentum = 20_000, 1e-4
    X = normal(n, features=1) + np.linspace(0.0, 3.0, n)[:, None]
    ours = BatchNormTransformer(momentum=momentum, zero_debias=False)
    by_rows = BatchNormTransformer(halflife=1e4)
    with localcontext() as context:
        context.prec = 60
        mean, kept = Decimal(0), 1 - Decimal(momentum)
        for row in X:
            ours.partial_fit(row[None])
            by_rows.partial_fit(row[None])
            mean = kept * mean + Decimal(momentum) * Decimal(row[0])
    np.testing.assert_allclose(ours.mean_, [float(mean)], rtol=1e-15)
    # Here the reference has weights of 53 bits, whose errors are not all one way.
    assert_digits(by_rows, exact_columns(X, row_weights(n, 1e4)), 14.5)


@pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)
@pytest.mark.parametrize("rest", ["missing", "weightless"])
def test_a_feature_without_values_keeps_its_statistics(parameters, rest):
    X = normal(20, offset=np.array([5.0, -2.0]))
    transformer = BatchNormTransformer(**parameters).fit(X)
    before = transformer.mean_, transformer.var_
    if rest == "missing":
        transformer.partial_fit(np.full((3, 2), np.nan))
    else:
        transformer.partial_fit(X + 7.0, sample_weight=np.zeros(20))
    assert transformer.n_batches_seen_ == 2
    assert transformer.n_samples_seen_ == 20
    np.testing.assert_array_equal(transformer.mean_, before[0])
    np.testing.assert_array_equal(transformer.var_, before[1])


@pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)
def test_a_feature_with_values_of_weight_zero_keeps_its_statistics(parameters):
    X = normal(20, offset=np.array([5.0, -2.0]))
    transformer = BatchNormTransformer(**parameters).fit(X)
    before = transformer.mean_, transformer.var_
    gappy = np.array([[1.0, 9.0], [np.nan, 3.0], [np.nan, 4.0]])
    transformer.partial_fit(gappy, sample_weight=np.array([0.0, 1.0, 1.0]))
    for ours, old in zip((transformer.mean_, transformer.var_), before, strict=True):
        assert ours[0] == old[0]
        assert ours[1] != old[1]
    np.testing.assert_array_equal(transformer.n_samples_seen_, [20.0, 22.0])


@pytest.mark.parametrize("zero_debias", [True, False])
@pytest.mark.parametrize("ddof", [1, 2, 3])
def test_batches_of_no_more_than_ddof_rows_move_the_mean_alone(ddof, zero_debias):
    transformer = BatchNormTransformer(momentum=0.25, ddof=ddof).set_params(
        zero_debias=zero_debias
    )
    X = normal(12)
    transformer.partial_fit(X)
    mean, variance = transformer.mean_, transformer.var_
    transformer.partial_fit(X[:ddof])
    assert (transformer.mean_ != mean).all()
    np.testing.assert_array_equal(transformer.var_, variance)
    transformer.partial_fit(X[: ddof + 1])
    assert (transformer.var_ != variance).all()


@pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)
def test_samples_and_batches_seen(parameters):
    X = normal(30, features=3)
    X[[1, 5, 20], 1] = np.nan
    X[:, 2] = np.nan
    stream = in_batches(X, 8)
    transformer = streamed(stream.batches(), **parameters)
    assert transformer.n_batches_seen_ == 4
    np.testing.assert_array_equal(transformer.n_samples_seen_, [30, 27, 0])
    assert transformer.n_samples_seen_.dtype == np.int64
    weights = np.arange(30) / 8
    transformer = streamed(in_batches(X, 8, weights).batches(), **parameters)
    np.testing.assert_allclose(
        transformer.n_samples_seen_, weights @ ~np.isnan(X), rtol=1e-15
    )
    plain = streamed(in_batches(X[:, :1], 8).batches(), **parameters)
    assert plain.n_samples_seen_ == 30
    assert isinstance(plain.n_samples_seen_, int)


@pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)
def test_fit_cuts_by_batch_size(parameters):
    X = normal(50, offset=1e6)
    stream = in_batches(X, 8)
    transformer = BatchNormTransformer(**parameters, batch_size=8).fit(X)
    assert transformer.n_batches_seen_ == 7
    other = streamed(stream.batches(), **parameters)
    np.testing.assert_array_equal(transformer.mean_, other.mean_)
    np.testing.assert_array_equal(transformer.var_, other.var_)


@pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)
def test_float32_is_averaged_in_float64(parameters):
    X = normal(50, offset=1e3).astype(np.float32)
    stream = in_batches(X, 8)
    one = streamed(stream.batches(), **parameters)
    other = streamed(in_batches(X.astype(float), 8).batches(), **parameters)
    np.testing.assert_array_equal(one.mean_, other.mean_)
    np.testing.assert_array_equal(one.var_, other.var_)


def test_sample_weights_multiply_the_weights_of_age():
    X = normal(20)
    weights = np.arange(20.0) % 4
    # A batch whose rows weigh zero is as old as the others.
    weights[8:12] = 0.0
    for size in (1, 4, 20):
        transformer = streamed(
            in_batches(X, size, weights).batches(), halflife=1.0, epsilon=0.5
        )
        assert_exact(transformer, X, weights * 2.0 ** np.arange(-19, 1))


@pytest.mark.parametrize("factor", [1e-3, 1e6])
@pytest.mark.parametrize(
    "parameters", [{}, {"momentum": 0.1}, {"halflife": 3.0}], ids=str
)
def test_the_unit_of_the_weights_does_not_matter(parameters, factor):
    X = normal(30, offset=10.0)
    weights = np.arange(30.0) % 7
    one = streamed(in_batches(X, 5, weights).batches(), **parameters)
    other = streamed(in_batches(X, 5, weights * factor).batches(), **parameters)
    assert_alike(one, other, X, 14)


def test_momentum_does_not_care_how_much_a_batch_weighs():
    X = normal(30)
    by_batch = np.repeat([1.0, 50.0, 0.02], 10)
    one = streamed(in_batches(X, 10, by_batch).batches(), momentum=0.3)
    other = streamed(in_batches(X, 10).batches(), momentum=0.3)
    assert_alike(one, other, X, 14)


def test_which_averaging_the_parameters_ask_for():
    rest = {"zero_debias": True, "ddof": 1}
    assert averaging(None, None, **rest) == Cumulative()
    assert averaging(None, 2, **rest) == HalfLife(2.0)
    assert averaging(1, None, **rest) == Momentum(1.0, zero_debias=True, ddof=1)
    with pytest.raises(ValueError, match=r"momentum=0.1 and halflife=5 .*drop"):
        averaging(0.1, 5, **rest)


@pytest.mark.parametrize(
    "parameters",
    [
        {"momentum": 0.0},
        {"momentum": 1.5},
        {"momentum": -0.1},
        {"momentum": np.nan},
        {"halflife": 0.0},
        {"halflife": -1.0},
        {"halflife": np.inf},
        {"halflife": np.nan},
    ],
    ids=str,
)
def test_bounds(parameters):
    for method in ("fit", "partial_fit"):
        transformer = BatchNormTransformer(**parameters)
        with pytest.raises(ValueError, match=next(iter(parameters))):
            getattr(transformer, method)(np.ones((2, 2)))
        assert not hasattr(transformer, "n_features_in_")


@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_halflife_counts_the_valid_rows_of_a_single_feature(engine):
    if engine != "numpy":
        pytest.importorskip(engine)
    scaler = BatchNormTransformer(halflife=10, engine=engine)
    assert scaler.fit([[1.0], [np.nan], [3.0]]).n_samples_seen_ == 2
    scaler.fit([[1.0], [np.nan], [3.0]], sample_weight=[1, 5, 2])
    assert scaler.n_samples_seen_ == 3
