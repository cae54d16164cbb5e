"""Which features were treated as constant can be asked, and is not warned of."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from strategies import tables

from skbn import BatchNormTransformer, engines
from skbn.constant_features import scaling as ours

EPS = np.finfo(float).eps
NAN = np.nan
X = np.array(
    [
        [1.0, 0.1, 1e12, NAN, 5.0, NAN],
        [2.0, 0.1, 1e12 + 1, NAN, NAN, 3.0],
        [4.0, 0.1, 1e12 - 1, NAN, 5.0, NAN],
    ]
)


def test_constant():
    scaler = BatchNormTransformer().fit(X)
    expected = [False, True, False, False, True, True]
    assert scaler.constant_features_.dtype == bool
    np.testing.assert_array_equal(scaler.constant_features_, expected)
    assert (scaler.scale_[scaler.constant_features_] == 1.0).all()


def test_a_feature_ceases_to_be_constant():
    scaler = BatchNormTransformer().partial_fit([[1.0], [1.0]])
    assert scaler.constant_features_.tolist() == [True]
    assert scaler.partial_fit([[2.0]]).constant_features_.tolist() == [False]


def test_noise_of_rounding_is_constant():
    noise = np.ones((10, 1))
    noise[3] += np.finfo(float).eps
    assert BatchNormTransformer().fit(noise).constant_features_.tolist() == [True]


def test_undefined_variances_are_not_constant():
    scaler = BatchNormTransformer(ddof=1).fit([[1.0]])
    assert scaler.constant_features_.tolist() == [False]
    assert scaler.scale_ == 1.0


def test_the_parameters_of_the_moment_decide():
    scaler = BatchNormTransformer().fit(X)
    assert not scaler.set_params(epsilon=1e-5).constant_features_.any()
    assert scaler.set_params(epsilon=0.0, with_std=False).constant_features_ is None


def test_they_cannot_be_written_to():
    scaler = BatchNormTransformer().fit(X)
    for values in (scaler.scale_, scaler.constant_features_, scaler.mean_, scaler.var_):
        with pytest.raises(ValueError, match="read-only"):
            values[:] = 1


@pytest.mark.parametrize("unit", [1e-200, 1e-13, 1.0, 2e15, 1e200])
def test_weights_of_any_unit(unit):
    X = np.array([[1.0, 0.1], [2.0, 0.1], [4.0, 0.1]])
    scaler = BatchNormTransformer()
    for row in X:
        scaler.partial_fit(row[None], sample_weight=[unit])
    assert scaler.constant_features_.tolist() == [False, True]


def test_an_overflow_is_no_noise(scaling):
    mean, variance = np.zeros(2), np.array([np.inf, 1.0])
    constant, scale = scaling(mean, variance, 5, with_mean=True, epsilon=0.0)
    assert constant.tolist() == [False, False]
    np.testing.assert_array_equal(scale, [np.inf, 1.0])


def test_before_fit():
    with pytest.raises(AttributeError, match="constant_features_"):
        BatchNormTransformer().constant_features_  # noqa: B018
    assert not hasattr(clone(BatchNormTransformer().fit(X)), "constant_features_")


@given(tables(missing=True, powers=50))
def test_consistent_with_scale(X):
    scaler = BatchNormTransformer().fit(X)
    scale, constant = scaler.scale_, scaler.constant_features_
    assert (scale[constant] == 1.0).all()
    np.testing.assert_array_equal(scale[~constant], np.sqrt(scaler.var_[~constant]))


@pytest.fixture(params=["numpy", "numba"])
def scaling(request):
    pytest.importorskip(request.param)
    return engines.load(request.param).scaling if request.param == "numba" else ours


def test_epsilon_is_added_to_the_variance(scaling):
    mean, variance = np.array([1.0, 1.0, 1.0, np.nan]), np.array([0.0, 4.0, NAN, NAN])
    constant, scale = scaling(mean, variance, 5, with_mean=True, epsilon=0.0)
    np.testing.assert_array_equal(scale, [1, 2, 1, np.nan])
    np.testing.assert_array_equal(constant, [True, False, False, False])
    constant, scale = scaling(mean, variance, 5, with_mean=True, epsilon=0.25)
    np.testing.assert_array_equal(scale, [0.5, np.sqrt(4.25), np.nan, np.nan])
    assert not constant.any()


@pytest.mark.parametrize("unit", [1e-100, 1e-13, 1.0, 1e100])
@pytest.mark.parametrize("with_mean", [True, False])
@pytest.mark.parametrize("n", [1, 10, 128, 10**6])
def test_constant_is_relative_to_the_mean(scaling, n, with_mean, unit):
    reach = min(n, 128) if with_mean else n
    spreads = np.array([0.0, 0.5, 2.0]) * reach * EPS * unit
    mean = np.full(3, -unit)
    constant, _ = scaling(mean, spreads**2, n, with_mean=with_mean, epsilon=0.0)
    each = np.full(3, float(n))
    alone, _ = scaling(mean, spreads**2, each, with_mean=with_mean, epsilon=0.0)
    np.testing.assert_array_equal(alone, constant)
    np.testing.assert_array_equal(constant, [True, True, False])


def test_constant_at_zero_and_at_the_ends_of_the_range(scaling):
    mean = np.array([0.0, 0.0, 1e308, np.nan])
    variance = np.array([0.0, 1e-300, 0.0, np.nan])
    constant, _ = scaling(mean, variance, 1e300, with_mean=True, epsilon=0.0)
    np.testing.assert_array_equal(constant[[0, 2, 3]], [True, True, False])
    constant, _ = scaling(mean, variance, 10, with_mean=True, epsilon=0.0)
    np.testing.assert_array_equal(constant, [True, False, True, False])


@given(tables(missing=True, powers=50), st.integers(1, 10**9), st.booleans())
def test_engines_agree_to_the_last_bit(X, n_samples, with_mean):
    pytest.importorskip("numba")
    with np.errstate(all="ignore"):
        mean, variance = X[0], np.abs(X[-1])
    theirs = engines.load("numba").scaling
    found = theirs(mean, variance, n_samples, with_mean=with_mean, epsilon=0.0)
    expected = ours(mean, variance, n_samples, with_mean=with_mean, epsilon=0.0)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
