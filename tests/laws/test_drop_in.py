"""With its defaults, StandardScaler in all but its errors."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
from exact import exact_column
from hypothesis import given
from scikit_learn_tests import cases_of, load_with, needs_hardware
from scipy.sparse import issparse
from sklearn.preprocessing import StandardScaler
from strategies import examples, streams

from skbn import BatchNormTransformer

SWITCHES = [(True, True), (True, False), (False, True), (False, False)]
switches = pytest.mark.parametrize(("with_mean", "with_std"), SWITCHES)


def is_sparse(value):
    if isinstance(value, str):
        return value.startswith("sparse_")
    return issparse(value) or "scipy.sparse" in str(getattr(value, "__module__", ""))


def is_skipped(arguments):
    """scikit-learn skips sparse data with a mean itself."""
    centred = arguments.get("with_mean") is True
    return centred and is_sparse(arguments.get("sparse_container"))


def scikit_learn_cases():
    counts = {}
    for name, function, arguments in cases_of(load_with(BatchNormTransformer)):
        if needs_hardware(*arguments.values()) or is_skipped(arguments):
            continue
        counts[name] = counts.get(name, -1) + 1
        yield pytest.param(function, arguments, id=f"{name}-{counts[name]}")


CASES = list(scikit_learn_cases())


@pytest.mark.parametrize(("function", "arguments"), CASES)
def test_of_scikit_learn(function, arguments):
    function(**arguments)


def test_scikit_learn_has_tests():
    assert len([case for case in CASES if not case.marks]) >= 40


def both(X, weights=None, **parameters):
    ours = BatchNormTransformer(**parameters).fit(X, sample_weight=weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        theirs = StandardScaler(**parameters).fit(X, sample_weight=weights)
    return ours, theirs


def assert_alike(ours, theirs, rtol=1e-9):
    names = ["mean_", "var_", "scale_"]
    if ours.with_mean or ours.with_std:  # StandardScaler else counts without weights
        names.append("n_samples_seen_")
    for name in names:
        our, their = getattr(ours, name), getattr(theirs, name)
        assert (our is None) == (their is None), name
        if their is not None:
            assert np.shape(our) == np.shape(their), name
            np.testing.assert_allclose(our, their, rtol=rtol, atol=1e-13, err_msg=name)


# StandardScaler is right to nine digits where offsets are small.
tame = streams(missing=True, min_rows=2, powers=6, offsets=[0.0, 1.0, -30.0])


@switches
@examples(40)
@given(stream=tame)
def test_random_data(with_mean, with_std, stream):
    X, weights, _ = stream
    seen = ~np.isnan(X) if weights is None else ~np.isnan(X) * weights[:, None] > 0
    X = X[:, seen.any(axis=0)]
    if not X.size:
        return
    ours, theirs = both(X, weights, with_mean=with_mean, with_std=with_std)
    assert_alike(ours, theirs)
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-7)
    image = theirs.transform(X)
    np.testing.assert_allclose(
        ours.inverse_transform(image), theirs.inverse_transform(image), atol=1e-7
    )


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, -1e10, 1e-13, 1e13])
@pytest.mark.parametrize("n_samples", [1, 2, 10, 1000])
def test_constant_features(value, n_samples):
    X = np.full((n_samples, 2), value)
    ours, theirs = both(X)
    np.testing.assert_array_equal(ours.scale_, 1.0)
    np.testing.assert_array_equal(theirs.scale_, 1.0)
    np.testing.assert_array_equal(ours.transform(X), 0.0)


@pytest.mark.parametrize("unit", [1e-13, 1.0, 1e13])
@pytest.mark.parametrize("n_samples", [3, 10, 100])
@pytest.mark.parametrize(
    "ulps", [1, 3, 10, 30, 100, 300, 1000, 3000, "last constant", "first varying"]
)
@pytest.mark.parametrize("with_mean", [True, False])
def test_near_constant_features(ulps, n_samples, unit, with_mean):
    last = int(n_samples**2 / np.sqrt(n_samples - 1))
    ulps = {"last constant": last, "first varying": last + 1}.get(ulps, ulps)
    X = np.ones((n_samples, 1))
    X[-1] += ulps * np.finfo(float).eps
    X *= unit
    ours, theirs = both(X, with_mean=with_mean)
    exact, noise = exact_column(X[:, 0]), n_samples * Fraction(np.finfo(float).eps)
    is_constant = exact.variance <= noise * exact.variance + (noise * exact.mean) ** 2
    assert ours.scale_ == (1.0 if is_constant else np.sqrt(ours.var_))
    # Near the bound the two variances, of which only ours is exact, may differ.
    bound = n_samples * np.finfo(float).eps * unit
    if not 0.5 < np.sqrt(ours.var_) / bound < 2:
        assert (theirs.scale_ == 1.0) == is_constant


@pytest.mark.parametrize("n_samples", [1000, 200_000])
def test_many_rows_do_not_make_a_feature_constant(n_samples):
    X = np.random.default_rng(0).normal(size=(n_samples, 1)) + 1e12
    ours, _ = both(X)
    np.testing.assert_allclose(ours.scale_, 1.0, rtol=0.1)
    assert ours.scale_ != 1.0


@pytest.mark.parametrize("unit", [1e-150, 1e-13, 1e13, 1e150])
def test_units_do_not_matter(unit):
    X = np.random.default_rng(0).normal([0.0, 1.0, 1e6], size=(50, 3))
    image = BatchNormTransformer().fit_transform(X * unit)
    plain = BatchNormTransformer().fit_transform(X)
    np.testing.assert_allclose(image, plain, rtol=1e-9, atol=1e-9)


NAN = np.nan
GAPS = np.array([[1.0, NAN, 3.0], [2.0, 5.0, NAN], [4.0, NAN, 8.0]])


def test_number_of_samples_is_an_integer():
    for X in (GAPS[:, :1], np.ones((3, 2)), np.where(np.eye(3) > 0, NAN, 1.0)):
        ours, theirs = both(X)
        assert isinstance(ours.n_samples_seen_, (int, np.integer))
        assert ours.n_samples_seen_ == theirs.n_samples_seen_


def test_number_of_samples_is_an_array_of_integers():
    ours, theirs = both(GAPS)
    assert ours.n_samples_seen_.dtype == np.int64
    np.testing.assert_array_equal(ours.n_samples_seen_, [3, 1, 2])
    np.testing.assert_array_equal(theirs.n_samples_seen_, [3, 1, 2])


def test_number_of_samples_is_the_weight():
    ours, theirs = both(GAPS, np.array([0.5, 0.25, 2.0]))
    assert ours.n_samples_seen_.dtype == theirs.n_samples_seen_.dtype == np.float64
    np.testing.assert_array_equal(ours.n_samples_seen_, [2.75, 0.25, 2.5])
    ours, theirs = both(np.ones((3, 2)), np.array([0.5, 0.25, 2.0]))
    assert ours.n_samples_seen_ == theirs.n_samples_seen_ == 2.75


def test_number_of_samples_is_not_shared():
    transformer = BatchNormTransformer().fit(GAPS)
    transformer.n_samples_seen_[:] = 0
    transformer.partial_fit(GAPS)
    np.testing.assert_array_equal(transformer.n_samples_seen_, [6, 2, 4])


@pytest.mark.parametrize("first", [True, False])
def test_an_empty_column_keeps_its_statistics_where_scikit_learn_loses_them(first):
    full, gap = np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([[1.0, NAN], [3.0, NAN]])
    transformer = BatchNormTransformer()
    for X in (gap, full) if first else (full, gap):
        transformer.partial_fit(X)
    np.testing.assert_array_equal(transformer.mean_, [2.0, 4.0])
    np.testing.assert_array_equal(transformer.var_, [1.0, 4.0])
    np.testing.assert_array_equal(transformer.n_samples_seen_, [4, 2])


def test_a_column_without_values_is_not_a_number():
    X = np.array([[1.0, NAN], [3.0, NAN]])
    ours, theirs = both(X)
    assert_alike(ours, theirs)
    np.testing.assert_array_equal(ours.transform(X), [[-1.0, NAN], [1.0, NAN]])


def test_missing_values_stay():
    image = BatchNormTransformer().fit_transform(GAPS)
    np.testing.assert_array_equal(np.isnan(image), np.isnan(GAPS))
