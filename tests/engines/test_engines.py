"""Every engine in the folder gives the numbers of exact arithmetic."""

import tracemalloc

import numpy as np
import pytest
from exact import assert_moments, exact_columns, exact_image
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, tables, weights_for

from skbn import BatchNormTransformer, engines
from skbn.affine import affine
from skbn.engines.base import InfinityInBlockError

# Those that read NumPy arrays; the others have tests of their own.
ENGINES = [name for name in engines.names() if name not in engines.containers()]
# Numba compiles for five of them: the others are copied to one of these, or seen so.
DTYPES = ["f8", "f4", "f2", "i8", "i4", "u1", "?", ">f8", ">f4", ">i4"]
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    if request.param != "numpy":
        pytest.importorskip(request.param)
    return engines.load(request.param)


def same(X):
    return X


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def gaps(X):
    wide = np.zeros((X.shape[0] * 2, X.shape[1] * 3), dtype=X.dtype)
    wide[1::2, ::3] = X
    return wide[1::2, ::3]


def backwards(X):
    return X[::-1, ::-1].copy()[::-1, ::-1]


def unaligned(X):
    """The same values, one byte off their places."""
    room = np.zeros(X.nbytes + 1, dtype=np.uint8)
    moved = room[1:].view(X.dtype).reshape(X.shape)
    moved[:] = X
    return moved


LAYOUTS = [same, np.asfortranarray, read_only, gaps, backwards, unaligned]
layouts = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)


def test_the_folder_is_the_list():
    assert "numpy" in ENGINES
    for name in ENGINES:
        for function in ("accepts", "moments", "normalize", "find_infinity", "write"):
            assert callable(getattr(engines.load(name), function))


def test_unknown_engine():
    with pytest.raises(ValueError, match=r"'abacus' is unknown.*numpy"):
        engines.choose("abacus", np.ones((2, 2)))


def test_accepts(engine):
    assert engine.accepts(np.ones((2, 2)))
    assert not engine.accepts([[1.0]])


@layouts
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 3), (37, 3), (2, 1500)])
def test_moments_of_any_array(engine, shape, dtype, layout):
    X = layout(RNG.integers(0, 2 if dtype == "?" else 100, shape).astype(dtype))
    before = X.copy()
    assert_moments(engine.moments(X), X)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("kind", ["f8", ">f8", "i4"])
def test_moments_of_large_arrays_with_gaps(engine, kind):
    X = RNG.integers(0, 100, size=(60_000, 24)).astype(kind)[::2, ::3]
    assert_moments(engine.moments(X), X)
    assert_moments(engine.moments(X.T[:, :3000]), X.T[:, :3000])


@examples(60)
@given(tables(missing=True, powers=100), st.sampled_from(LAYOUTS), st.data())
def test_moments_of_generated_data(engine, X, layout, data):
    weights = data.draw(st.none() | weights_for(len(X)))
    X = layout(X)
    assert_moments(engine.moments(X, weights), X, weights)


@examples(60)
@given(tables(missing=True), st.integers(-400, 480), st.integers(-900, 900), st.data())
def test_moments_near_the_ends_of_the_range(engine, X, power, weight, data):
    """Where sums of squares, and squares times weights, leave the range."""
    weights = data.draw(st.none() | weights_for(len(X)))
    if weights is not None:
        weights = np.ldexp(weights, weight)
        weights *= weights < 2.0**960
    X = np.ldexp(X, power)
    assert_moments(engine.moments(X, weights), X, weights)


@pytest.mark.parametrize("n_samples", [1000, 100_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_sum_of_squares_is_out_of_range(engine, n_samples, weighted):
    X = RNG.normal(size=(n_samples, 2))
    weights = RNG.random(n_samples) if weighted else None
    small, large = (engine.moments(X * unit, weights) for unit in (1.0, 2.0**508))
    np.testing.assert_allclose(
        large.variance[0], np.ldexp(small.variance[0], 1016), rtol=1e-15
    )
    np.testing.assert_allclose(large.mean[0], np.ldexp(small.mean[0], 508), rtol=1e-15)


def test_most_of_the_weight_is_missing(engine):
    X = RNG.normal(size=(40, 2)) + 1e9
    X[0, 0] = X[25, 1] = np.nan
    weights = np.ones(40)
    weights[[0, 25]] = 1e14
    assert_moments(engine.moments(X, weights), X, weights)


@layouts
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 3), (37, 3), (3000, 2), (2, 1500)])
def test_image_of_any_array(engine, shape, dtype, layout):
    X = layout(RNG.integers(0, 2 if dtype == "?" else 100, shape).astype(dtype))
    before = X.copy()
    statistics = RNG.normal(size=(3, shape[1]))
    map_ = affine(
        (statistics[0], np.zeros(shape[1])), np.exp(statistics[1]), beta=statistics[2]
    )
    out = np.full(shape, np.nan)
    engine.write(X, map_, out)
    expected = (X - statistics[0]) / np.exp(statistics[1]) + statistics[2]
    np.testing.assert_allclose(out, expected, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("layout", [same, np.asfortranarray, gaps, unaligned])
def test_image_in_place(engine, dtype, layout):
    X = layout(RNG.normal(size=(3000, 3)).astype(dtype))
    map_ = affine((np.ones(3), np.zeros(3)), np.full(3, 2.0), clip=(-1.0, 0.5))
    expected = np.clip((X.astype(float) - 1.0) / 2.0, -1.0, 0.5).astype(dtype)
    engine.write(X, map_, X)
    np.testing.assert_array_equal(X, expected)


@given(tables(min_rows=2, powers=100))
def test_image_is_exact(engine, X):
    exact = exact_columns(X)
    varies = [j for j, feature in enumerate(exact) if feature.variance]
    if not varies:
        return
    X, moments = X[:, varies], engine.moments(X[:, varies])
    out = np.empty_like(X)
    engine.write(X, affine(moments.mean, np.sqrt(moments.variance[0])), out)
    wrong = np.abs(out - exact_image(X, [exact[j] for j in varies])).max()
    assert wrong <= 1e-14


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("missing", [False, True])
# Several tasks for compiled kernels; NumPy's have more values, so that its own tests
# make them small.
@pytest.mark.parametrize("shape", [(800_000, 3), (800, 3000)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_bits_do_not_depend_on_threads(engine, shape, order, missing, weighted):
    X = np.asarray(RNG.normal(size=shape) * 1e3 + 1e6, order=order)
    if missing:
        X[RNG.random(len(X)) < 0.1, 0] = np.nan
    weights = RNG.random(len(X)) if weighted else None
    one, many = (engine.moments(X, weights, n_threads=n) for n in (1, 3))
    np.testing.assert_array_equal(one.values, many.values)
    np.testing.assert_array_equal(one.weight, many.weight)
    map_ = affine(one.mean, np.sqrt(one.variance[0]))
    images = np.empty_like(X), np.empty_like(X)
    for out, n in zip(images, (1, 3), strict=True):
        engine.write(X, map_, out, n_threads=n)
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize("n", [200_000])
def test_a_first_block_without_values(engine, n):
    X = RNG.normal(size=(n, 2)) + 1e9
    X[: n // 2, 0] = np.nan
    assert_moments(engine.moments(X), X)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (-1, -1)])
@pytest.mark.parametrize("shape", [(1, 3), (10, 3), (200_000, 2), (3, 2000)])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_infinity(engine, dtype, shape, place, value):
    X = RNG.normal(size=shape).astype(dtype)
    X[-1, 0] = np.nan
    X[place] = value
    before = X.copy()
    for weights in (None, np.ones(len(X)), np.zeros(len(X))):
        with pytest.raises(InfinityInBlockError):
            engine.moments(X, weights)
    map_ = affine((np.ones(shape[1]),) * 2, np.ones(shape[1]), clip=(-1.0, 1.0))
    for out in (X, np.empty_like(X)):
        with pytest.raises(InfinityInBlockError):
            engine.write(X, map_, out)
    np.testing.assert_array_equal(X, before)


def peak(function):
    function()
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["f8", "f4", "F", "missing", "weighted"])
def test_memory_of_fit_does_not_grow(engine, kind):
    name = engine.__name__.rpartition(".")[2]
    peaks = []
    for n in (200_000, 1_600_000):
        X = np.ones((n, 4), dtype="f4" if kind == "f4" else "f8")
        X[::7] = 3.0
        if kind == "F":
            X = np.asfortranarray(X)
        if kind == "missing":
            X[::5, 1] = np.nan
        weights = np.ones(n) if kind == "weighted" else None
        fitted = BatchNormTransformer(engine=name, n_threads=1)
        peaks.append(peak(lambda X=X, w=weights, f=fitted: f.fit(X, sample_weight=w)))
    # A quarter of one column of the larger array.
    assert peaks[1] - peaks[0] < 1_600_000 * 8 / 4, peaks
