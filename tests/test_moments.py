"""The laws of Moments, in rational arithmetic."""

from fractions import Fraction
from functools import reduce

import numpy as np
import pytest
from exact import CANCELLED, CONSTANT, errors, exact_columns
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from strategies import Stream, cuts, examples, streams

from skbn.engines import numpy as numpy_engine
from skbn.moments import Moments, as_array, pool, pool_stack, scaled

OPTIONS = {"missing": True, "powers": 120}


def of(X, weights=None):
    return numpy_engine.moments(X, weights, n_threads=1)


def parts_of(stream):
    return [of(X, weights) for X, weights in stream.batches()]


def errors_of(moments, stream):
    exact = [e for e in exact_columns(stream.X, stream.weights) if e.weight]
    seen = as_array(moments.weight[0], stream.X.shape[1]) > 0
    weight = as_array(moments.weight[0], stream.X.shape[1])[seen]
    np.testing.assert_allclose(weight, [float(e.weight) for e in exact], rtol=1e-15)
    if not exact:
        return 0.0
    return max(errors(moments.mean[0][seen], moments.variance[0][seen], exact))


def assert_same(left, right, X):
    """Equal to the digits that a merge keeps."""
    n_features = X.shape[1]
    np.testing.assert_allclose(
        as_array(left.weight[0], n_features), as_array(right.weight[0], n_features)
    )
    reach = np.nanmax(np.abs(X), axis=0, initial=0.0)
    for one, other, least in (
        (left.mean[0], right.mean[0], float(CANCELLED) * reach),
        (left.variance[0], right.variance[0], (float(CONSTANT) * reach) ** 2),
    ):
        assert (np.abs(one - other) <= 2e-15 * np.maximum(np.abs(other), least)).all()


def tree(parts, draw):
    """The parts merged in order, two neighbours at a time, in any order."""
    while len(parts) > 1:
        i = draw(st.integers(0, len(parts) - 2))
        parts[i : i + 2] = [pool(parts[i], parts[i + 1])]
    return parts[0]


@examples(150)
@given(streams(**OPTIONS), st.data())
def test_any_tree_is_the_whole(stream, data):
    merged = tree(parts_of(stream), data.draw)
    wrong = errors_of(merged, stream)
    theirs = "not defined"
    if wrong > 1e-15 and not np.isnan(stream.X).any():
        scaler = StandardScaler()
        for X, weights in stream.batches():
            scaler.partial_fit(X, sample_weight=weights)
        exact = exact_columns(*stream[:2])
        theirs = errors(scaler.mean_, scaler.var_, exact)
    assert wrong <= 1e-15, f"error {wrong}, StandardScaler's {theirs}"


@given(streams(**OPTIONS))
def test_stacks_are_pooled_like_one_after_the_other(stream):
    X, _, _ = stream
    rows = [of(row) for row in X[:, None]]
    n = X.shape[1]
    weight = tuple(
        np.array([as_array(row.weight[part], n) for row in rows]) for part in (0, 1)
    )
    values = tuple(
        np.stack([row.values[part] for row in rows], axis=1) for part in (0, 1)
    )
    assert_same(pool_stack(Moments(weight, values)), reduce(pool, rows), X)


@given(streams(**OPTIONS))
def test_nothing_is_the_identity(stream):
    moments, nothing = of(*stream[:2]), Moments.empty(stream.X.shape[1])
    for same in (pool(moments, nothing), pool(nothing, moments)):
        np.testing.assert_array_equal(same.values, moments.values)
        np.testing.assert_array_equal(same.weight, moments.weight)


@given(streams(**OPTIONS))
def test_rows_that_weigh_nothing_are_the_identity(stream):
    moments = of(*stream[:2])
    nothing = of(stream.X + 1.0, np.zeros(len(stream.X)))
    missing = of(np.full_like(stream.X, np.nan))
    for other in (nothing, missing):
        for same in (pool(moments, other), pool(other, moments)):
            assert_same(same, moments, stream.X)


@given(streams(**OPTIONS), st.data())
def test_associative(stream, data):
    cut = Stream(*stream[:2], data.draw(cuts(len(stream.X), max_cuts=2)))
    a, b, c = (parts_of(cut) + [Moments.empty(cut.X.shape[1])] * 2)[:3]
    assert_same(pool(pool(a, b), c), pool(a, pool(b, c)), cut.X)


@given(streams(**OPTIONS), st.data())
def test_commutative(stream, data):
    cut = Stream(*stream[:2], data.draw(cuts(len(stream.X), max_cuts=1)))
    a, b = [*parts_of(cut), Moments.empty(cut.X.shape[1])][:2]
    assert_same(pool(a, b), pool(b, a), cut.X)


@given(streams(missing=True, powers=100), st.integers(-100, 100))
def test_units_do_not_matter(stream, power):
    X, weights, _ = stream
    moments, other = of(X, weights), of(np.ldexp(X, power), weights)
    in_units = Moments(moments.weight, scaled(moments.values, power))
    assert_same(in_units, other, np.ldexp(X, power))


@pytest.mark.parametrize("n", [3, 64, 1000])
def test_a_state_merged_with_itself(n):
    X = np.random.default_rng(0).normal(size=(n, 2)) + 1e12
    moments, exact = of(X), exact_columns(X)
    for _ in range(40):
        moments = pool(moments, moments)
    assert moments.weight[0] == n * 2.0**40
    assert max(errors(moments.mean[0], moments.variance[0], exact)) <= 1e-15


@pytest.mark.parametrize("count", [1, 2, 3, 17])
def test_a_large_state_and_a_small_one(count):
    """A merge in either order, with most of the weight on either side."""
    random = np.random.default_rng(count)
    X = np.r_[random.normal(size=(2000, 2)), random.normal(size=(count, 2)) + 5.0]
    exact = exact_columns(X)
    big, small = of(X[:2000]), of(X[2000:])
    for moments in (pool(big, small), pool(small, big)):
        assert max(errors(moments.mean[0], moments.variance[0], exact)) <= 1e-15


@pytest.mark.parametrize("weight", [38.0, 1e6, 1e12])
def test_the_heavier_side_comes_last(weight):
    X, weights = np.array([[-0.5], [0.5], [0.5]]), np.array([0.5, 1.0, weight])
    exact = exact_columns(X, weights)
    moments = pool(of(X[:2], weights[:2]), of(X[2:], weights[2:]))
    assert max(errors(moments.mean[0], moments.variance[0], exact)) <= 1e-15


@pytest.mark.parametrize("value", [1.0, np.finfo(float).max / 100, np.finfo(float).max])
def test_one_row_batches_of_large_values(value):
    rows = [of(np.array([[value, -value]]))] * 500
    merged = reduce(pool, rows)
    np.testing.assert_array_equal(merged.mean[0], [value, -value])
    np.testing.assert_array_equal(merged.variance[0], 0.0)


def test_what_is_not_in_range_is_infinite():
    largest = np.finfo(float).max
    merged = pool(of(np.array([[largest, 1.0]])), of(np.array([[-largest, 3.0]])))
    np.testing.assert_array_equal(merged.mean[0], [0.0, 2.0])
    np.testing.assert_array_equal(merged.variance[0], [np.inf, 1.0])
    more = pool(merged, of(np.array([[0.0, 2.0]])))
    np.testing.assert_array_equal(more.mean[0], [0.0, 2.0])
    assert more.variance[0][0] == np.inf
    assert Fraction(more.variance[0][1]) == Fraction(2.0 / 3)


def test_merging_changes_neither():
    a, b = of(np.eye(3)), of(np.arange(6.0).reshape(2, 3))
    before = [part.copy() for one in (a, b) for part in one.values]
    pool(a, b)
    pool(b, a)
    for part, was in zip([*a.values, *b.values], before, strict=True):
        np.testing.assert_array_equal(part, was)
