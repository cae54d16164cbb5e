"""Fifteen significant digits, against exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from exact import assert_exact, errors, exact_columns, exact_image
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from strategies import OFFSETS, examples, streams, tables

from skbn import BatchNormTransformer

ONE_ROW, ALL_ROWS = 1, None
SIZES = [ONE_ROW, 2, 7, 64, ALL_ROWS]
HEAVIEST = 2.0**960  # the limit that the error names


def streamed(batches, **parameters):
    transformer = BatchNormTransformer(**parameters)
    for X, weights in batches:
        transformer.partial_fit(X, sample_weight=weights)
    return transformer


def cut(X, size, weights=None):
    size = size or len(X)
    for start in range(0, len(X), size):
        part = slice(start, start + size)
        yield X[part], None if weights is None else weights[part]


def normal(n, spread=1.0, offset=0.0, features=2):
    random = np.random.default_rng(0)
    return random.normal(size=(n, features)) * spread + offset


@examples(200)
@given(streams(missing=True, powers=150, weighted=False))
def test_any_cut_of_any_rows(stream):
    assert_exact(streamed(stream.batches()), *stream[:2])


@examples(200)
@given(streams(missing=True, powers=120, weighted=True))
def test_any_cut_of_any_weighted_rows(stream):
    assert_exact(streamed(stream.batches()), *stream[:2])


@examples(50)
@given(streams(min_rows=3, weighted=False), st.integers(1, 2))
def test_ddof(stream, ddof):
    assert_exact(streamed(stream.batches(), ddof=ddof), stream.X)


@examples(50)
@given(tables(missing=True, powers=150), st.integers(1, 12))
def test_fit_in_batches(X, size):
    assert_exact(BatchNormTransformer(batch_size=size).fit(X), X)


@examples(50)
@given(tables(powers=15))
def test_float32(X):
    X = X.astype(np.float32)
    assert_exact(BatchNormTransformer().fit(X), X)
    assert_exact(streamed(cut(X, ONE_ROW)), X)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("offset", OFFSETS)
def test_offset(offset, size):
    X = normal(1000, offset=offset)
    assert_exact(streamed(cut(X, size)), X)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize("outlier", [1e15, -1e15, 1e100])
def test_outlier(outlier, first, size):
    X = normal(500)
    X[0 if first else -1] = outlier
    assert_exact(streamed(cut(X, size)), X)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shift", [10.0, 1e8, 1e15, 1e100])
def test_level_shifts(shift, size):
    X = normal(900)
    X[300:600] += shift
    X[600:] -= shift / 3
    assert_exact(streamed(cut(X, size)), X)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("power", [-150, -100, -13, 13, 100, 150])
def test_magnitude(power, size):
    X = normal(300, offset=np.array([0.0, 1e6])) * 10.0**power
    assert_exact(streamed(cut(X, size)), X)


def test_magnitudes_side_by_side():
    X = normal(500, features=7) * 10.0 ** np.arange(-150, 151, 50)
    for size in SIZES:
        assert_exact(streamed(cut(X, size)), X)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "weights",
    [
        np.arange(400.0) % 4,
        10.0 ** (np.arange(400) % 40 - 20),
        np.r_[1e15, np.ones(399)],
        np.r_[np.zeros(399), 1e-200],
        np.full(400, 1e270),
        np.full(400, 1e-270),
    ],
    ids=["counts", "powers", "heavy", "light", "huge", "tiny"],
)
def test_weights(weights, size):
    X = normal(400, offset=1e6)
    assert_exact(streamed(cut(X, size, weights), epsilon=1.0), X, weights)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("weight", [1e-305, 1e-290, 1e280, HEAVIEST])
def test_extreme_weights_are_used(weight, size):
    X, weights = normal(400, offset=1e9), np.full(400, weight)
    assert_exact(streamed(cut(X, size, weights), epsilon=1.0), X, weights)


@pytest.mark.parametrize("weight", [np.nextafter(HEAVIEST, np.inf), 1e290, 1e305])
def test_weights_whose_sum_may_not_be_a_number_are_refused(weight):
    X, weights = normal(400), np.full(400, 1.0)
    weights[17] = weight
    with pytest.raises(ValueError, match=r"sample_weight.*row 17 is too large"):
        BatchNormTransformer().fit(X, sample_weight=weights)


@pytest.mark.parametrize("shape", [(200_000, 1), (20_000, 3), (300, 1500)])
@pytest.mark.parametrize("offset", [0.0, 1e12])
def test_arrays_of_many_blocks(shape, offset):
    X = normal(shape[0], features=shape[1], offset=offset)
    assert_exact(BatchNormTransformer().fit(X), X)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_many_blocks_with_gaps_and_weights(order):
    X = np.asarray(normal(20_000, offset=1e6), order=order)
    X[::3, 0] = np.nan
    weights = np.arange(20_000.0) % 5
    assert_exact(BatchNormTransformer().fit(X, sample_weight=weights), X, weights)


def test_long_stream_of_single_rows():
    X = normal(20_000, offset=1e12, features=1)
    assert_exact(streamed(cut(X, ONE_ROW)), X)


@pytest.mark.parametrize("value", [0.1, -1e15 / 3, 1e-150, 1e300])
def test_constant_feature_has_no_variance(value):
    X = np.full((1000, 1), value)
    for size in SIZES:
        transformer = streamed(cut(X, size))
        np.testing.assert_array_equal(transformer.mean_, value)
        np.testing.assert_array_equal(transformer.var_, 0.0)


@pytest.mark.parametrize("size", SIZES)
def test_means_near_the_largest_float(size):
    X = np.full((500, 2), np.finfo(float).max / 100) * [1.0, -1.0]
    transformer = streamed(cut(X, size))
    np.testing.assert_array_equal(transformer.mean_, X[0])
    np.testing.assert_array_equal(transformer.var_, 0.0)
    np.testing.assert_array_equal(transformer.transform(X), 0.0)


@pytest.mark.parametrize("size", SIZES)
def test_opposite_values_near_the_largest_float(size):
    X = np.full((500, 1), np.finfo(float).max)
    X[::2] *= -1
    transformer = streamed(cut(X, size))
    # The mean cancels to nothing: it can be right to the digits of a pair only.
    assert abs(transformer.mean_[0]) <= 1e-22 * X.max()
    np.testing.assert_array_equal(transformer.var_, np.inf)


def image_error(image, X, exact):
    """Largest error of a standardised value, relative to the spread."""
    return np.abs(np.asarray(image, dtype=float) - exact_image(X, exact)).max()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("offset", [0.0, 1e6, -1e12])
def test_transform_at_an_offset(offset, size):
    X = normal(300, offset=offset)
    exact = exact_columns(X)
    ours = image_error(streamed(cut(X, size)).transform(X), X, exact)
    theirs = image_error(StandardScaler().fit_transform(X), X, exact)
    assert ours <= 1e-14, f"error {ours}, StandardScaler's {theirs}"


@examples(100)
@given(streams(min_rows=2, weighted=False, powers=140))
def test_transform_of_any_rows(stream):
    transformer = streamed(stream.batches())
    exact = exact_columns(stream.X)
    varies = np.array([feature.variance > 0 for feature in exact])
    image = transformer.transform(stream.X)
    X, exact = stream.X[:, varies], [f for f in exact if f.variance > 0]
    if exact:
        assert image_error(image[:, varies], X, exact) <= 2e-14
    assert (image[:, ~varies] == 0.0).all()


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_transform_of_float32_is_rounded_once(offset):
    X = normal(300, offset=offset).astype(np.float32)
    image = BatchNormTransformer().fit_transform(X)
    assert image.dtype == np.float32
    exact = exact_image(X, exact_columns(X))
    np.testing.assert_allclose(image, exact, rtol=2.0**-24 * 1.0001, atol=1e-14)


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_inverse_transform(offset):
    X = normal(300, offset=offset)
    transformer = BatchNormTransformer().fit(X)
    back = transformer.inverse_transform(transformer.transform(X))
    np.testing.assert_allclose(back, X, rtol=2.0**-51, atol=1e-14)


def test_standard_scaler_is_measured_as_wrong():
    X = normal(1000, offset=1e12)
    exact = exact_columns(X)
    whole = StandardScaler().fit(X)
    assert image_error(whole.transform(X), X, exact) > 1e-6
    parts = StandardScaler()
    for batch, _ in cut(X, 10):
        parts.partial_fit(batch)
    assert errors(parts.mean_, parts.var_, exact)[1] > 1e-12


def test_a_wrong_digit_is_an_error():
    X = normal(10, offset=1e3)
    transformer = BatchNormTransformer().fit(X)
    assert_exact(transformer, X)
    with pytest.raises(AssertionError, match="StandardScaler's"):
        assert_exact(transformer, X + 1e-11)
    assert exact_columns(X)[0].mean == sum(map(Fraction, X[:, 0].tolist())) / 10


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("powers", [5, 20])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_weights_far_apart_at_an_offset(engine, powers, missing):
    """The mean of few rows by weight, and a spread of a few of its last bits."""
    if engine != "numpy":
        pytest.importorskip(engine)
    for seed in range(10):
        random = np.random.default_rng(seed)
        X = random.normal(size=(2500, 2)) * 1e-2 + 1e12
        X[random.random(X.shape) < missing] = np.nan
        weights = 10.0 ** random.uniform(-powers, powers, len(X))
        assert_exact(
            BatchNormTransformer(engine=engine).fit(X, sample_weight=weights),
            X,
            weights,
        )
