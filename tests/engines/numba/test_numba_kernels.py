"""The kernels as plain Python, on small data and in small blocks, against fractions."""

import os
import subprocess
import sys

import numpy as np
import pytest
from exact import assert_moments
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, tables, weights_for

pytest.importorskip("numba")
if np.lib.NumpyVersion(np.__version__) < "2.0.0":
    pytest.skip(
        "in plain Python NumPy 1 makes a float of an unsigned index and an integer",
        allow_module_level=True,
    )

from skbn.engines.numba import hints, kernels, maps, pooling
from skbn.moments import Moments

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(kernels, "ROWS", 3)
    monkeypatch.setattr(kernels, "TILE", 4)
    monkeypatch.setattr(kernels, "SAMPLE", 2)
    monkeypatch.setattr(kernels, "BLOCK", 0)
    monkeypatch.setattr(kernels, "LEAST_ROWS", 8)
    # Compiled code does not warn.
    with np.errstate(all="ignore"):
        yield


def plain(function):
    """The function that was compiled, also where compiling is turned off."""
    return getattr(function, "py_func", function)


def moments(X, weights=None, *, by_columns=False):
    """Moments of an array by the kernels in Python, and their status."""
    n_rows, n_features = X.shape
    out, flat = np.zeros((2, 3, n_features)), np.ravel(X, "F" if by_columns else "C")
    layout = (1, 1, n_rows) if by_columns else (n_features,) * 3
    stride, together, apart = layout
    scale = 1.0 if weights is None else 2.0 ** np.frexp(weights.max())[1]
    status = plain(kernels.moments)(
        flat, stride, n_rows, together, apart,
        None if weights is None else weights / scale, out,
    )  # fmt: skip
    out[:, 0] *= scale
    return Moments((out[0, 0], out[1, 0]), (out[0, 1:], out[1, 1:])), status


@examples(60)
@given(
    tables(missing=True, powers=100),
    st.booleans(),
    st.sampled_from([1, 4, 12]),
    st.data(),
)
def test_any_rows(X, by_columns, n_lanes, data):
    weights = data.draw(st.none() | weights_for(len(X)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "LANES", n_lanes)
        found, status = moments(X, weights, by_columns=by_columns)
    assert_moments(found, X, weights)
    assert status in (pooling.DONE, pooling.MISSING)


@pytest.mark.parametrize("seed", [1310, 2828])
def test_most_of_the_weight_is_of_missing_values(seed, monkeypatch):
    random = np.random.default_rng(seed)
    X = random.normal(-1000.0, 1.0, size=(21, 1))
    X[random.random((21, 1)) < 0.2] = np.nan
    n, weights = random.integers(1, 5), np.zeros(21)
    some = random.choice([1.0, 4.0, 1e-3], n)
    weights[random.choice(21, n, replace=False)] = some
    monkeypatch.undo()  # one block
    monkeypatch.setattr(kernels, "LANES", 1)
    found, _ = moments(X, weights)
    assert_moments(found, X, weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("trend", ["sorted", "steps", "late", "outlier", "equal"])
def test_centers_and_bounds_that_are_poor(trend, weighted):
    x = RNG.normal(size=60)
    x = {
        "sorted": np.sort(x) + 1e9,
        "steps": x + np.repeat([0.0, 1e12, -3.0], 20),
        "late": np.where(np.arange(60) < 30, 0.0, x + 1e7),
        "outlier": np.where(np.arange(60) == 55, 1e15, x),
        "equal": np.full(60, 0.1),
    }[trend]
    weights = RNG.random(60) if weighted else None
    found, status = moments(x[:, None], weights)
    assert status == pooling.DONE
    assert_moments(found, x[:, None], weights)


def test_weights_differ_where_values_are_missing():
    X = RNG.normal(size=(20, 2))
    assert moments(X)[1] == pooling.DONE
    X[3, 1] = np.nan
    assert moments(X)[1] == pooling.MISSING


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("row", [0, -1])
@pytest.mark.parametrize("weighted", [False, True])
def test_out_of_range(value, row, weighted):
    X = RNG.normal(size=(20, 2))
    X[row, 0] = value
    weights = np.ones(20) if weighted else None
    assert moments(X, weights)[1] == pooling.OUT_OF_RANGE


def test_parts_pool():
    X = RNG.normal(size=(30, 3)) + 1e6
    X[:10, 0] = np.nan
    whole = np.zeros((2, 3, 3))
    for part in (X[:10], X[10:25], X[25:]):
        found, _ = moments(part)
        stacked = np.stack(
            [np.vstack((w, v)) for w, v in zip(found.weight, found.values, strict=True)]
        )
        status = plain(pooling.pool_into)(whole, stacked)
    assert status == pooling.MISSING
    high, low = whole
    assert_moments(Moments((high[0], low[0]), (high[1:], low[1:])), X)


def test_a_constant_feature_of_weights_that_are_missing(monkeypatch):
    monkeypatch.setattr(kernels, "LANES", 1)
    # Of the second feature so much is missing in the last block that it is read again,
    # and the blocks before are pooled apart.
    X, weights = np.zeros((19, 2)), np.zeros(19)
    weights[[0, 6, 7, 18]] = 10.0, 1.0, 1e-3, 1.0
    X[:, 0] = 0.5
    X[[6, 7], 0] = X[18, 1] = np.nan
    X[[0, 6, 7], 1] = 50.0, 100.0, -50.0
    found, _ = moments(X, weights)
    assert found.variance[0][0] == 0.0
    assert_moments(found, X, weights)


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("weights", [(2.0, 5.0), (5.0, 2.0)])
def test_combine_in_python_is_the_one_of_numpy(between, weights, monkeypatch):
    left, right = (
        Moments((w, 0.0), (RNG.random((2, 4)), np.zeros((2, 4)))) for w in weights
    )
    expected = pooling.combine_by_numpy(left, right, between=between)
    monkeypatch.setattr(pooling, "_combine", plain(pooling._combine))
    found = pooling.combine(left, right, between=between)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.weight == expected.weight


@pytest.mark.parametrize("side_by_side", [1, 3])
@pytest.mark.parametrize("in_place", [False, True])
def test_map(side_by_side, in_place):
    X = RNG.normal(size=(10, 4))
    X[2, 1] = np.nan
    expected = np.clip((X - 1.0 - 1e-3) / 3.0 + 0.25 + 1.0, -1.0, 1.5)
    parameters = np.array([1.0, 1e-3, 1 / 3, 3.0, 1 / 3, 0.25, 1.0])
    parameters = np.repeat(parameters[:, None], 4, axis=1)
    out = X.ravel() if in_place else np.empty(40)
    found = plain(maps.map_rows)(
        X.ravel(), out, 4, 4, 10, 4, 4, 4, side_by_side, parameters, -1.0, 1.5
    )
    assert not found
    np.testing.assert_allclose(out.reshape(10, 4), expected, rtol=1e-15, atol=5e-16)


def test_map_finds_an_infinity():
    X = np.array([1.0, -np.inf, 2.0])
    parameters, out = np.ones((7, 1)), np.empty(3)
    arguments = 1, 1, 3, 1, 1, 1, 2, parameters, -np.inf, np.inf
    assert plain(maps.map_rows)(X, out, *arguments)
    assert plain(maps.any_infinity)(X, 1, 3, 1)
    assert not plain(maps.any_infinity)(X[:1], 1, 1, 1)


def test_scales():
    mean, variance = (
        np.array([1.0, 1.0, 1.0, np.nan]),
        np.array([4.0, 0, np.nan, np.nan]),
    )
    constant, scale = np.empty(4, dtype=bool), np.empty(4)
    plain(maps.scales)(mean, variance, 5.0, 5.0, constant, scale)
    np.testing.assert_array_equal(constant, [False, True, False, False])
    np.testing.assert_array_equal(scale, [2.0, 1.0, 1.0, np.nan])


def test_hints_say_nothing_in_python():
    assert hints.fma(2.0, 3.0, 4.0) == 10.0
    assert hints.prefetch(np.empty(1), 99) is None
    assert hints.wide_vectors() is None


def test_the_engine_without_a_compiler():
    code = (
        "import numpy as np\n"
        "from skbn import BatchNormTransformer\n"
        "X = np.arange(60.0).reshape(20, 3) ** 2\n"
        "ours, theirs = (BatchNormTransformer(engine=e) for e in ('numba', 'numpy'))\n"
        "image = ours.fit_transform(X)\n"
        "np.testing.assert_allclose(image, theirs.fit_transform(X), rtol=1e-14)\n"
        "np.testing.assert_allclose(ours.var_, theirs.var_, rtol=1e-15)\n"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
