"""Which features were treated as constant can be asked, and is not warned of."""

import numpy as np
import pytest
from hypothesis import given
from sklearn.base import clone
from strategies import tables

from skbn import BatchNormTransformer

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
