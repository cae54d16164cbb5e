"""Sparse data give the numbers of exact arithmetic, however they are stored."""

import math
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from exact import assert_exact, assert_moments
from hypothesis import example, given
from hypothesis import strategies as st
from sparse_data import (
    CONTAINERS,
    HABITS,
    INDICES,
    RNG,
    containers,
    large,
    state,
    stored,
    thinned,
)
from strategies import examples, tables, weights_for

from skbn import BatchNormTransformer
from skbn.affine import affine
from skbn.engines import auto
from skbn.engines import sparse as sparse_engine
from skbn.engines.base import InfinityInBlockError
from skbn.engines.sparse import dispatch, numpy_kernels
from skbn.engines.sparse.entries import without_duplicates
from skbn.moments import Moments

# Not attributes of the package: those are its functions of the same names.
sparse_sums = import_module("skbn.engines.sparse.sums")
sparse_maps = import_module("skbn.engines.sparse.maps")

DTYPES = ["f8", "f4", "i8", "u1", "?", "g"]


@pytest.fixture(autouse=True)
def _nothing_compiled():
    auto.forget_compiled()


@pytest.fixture(scope="module", params=["numpy", "numba"])
def engine(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    return request.param


@st.composite
def samples(draw):
    """Data, and the weights of its rows or None."""
    D = draw(tables(missing=True, powers=100))
    return D, draw(st.none() | weights_for(len(D)))


def column(n_rows, **values):
    """A column of NaN but for some values, written in hexadecimal."""
    its = np.full(n_rows, np.nan)
    for name, value in values.items():
        its[int(name[1:])] = float.fromhex(value)
    return its


# Found before features had cuts of their own: the last one took digits from the first.
UNEQUAL = np.column_stack(
    [
        column(
            24,
            _1="-0x1.dcd65001f1aa0p+29",
            _8="-0x1.dcd650079374cp+29",
            _15="-0x1.dcd64ffd9374cp+29",
            _23="-0x1.dcd64ff918937p+29",
        ),
        column(
            24,
            _5="-0x1.e7ef9db22d0e5p-1",
            _9="-0x1.90e5604189375p-1",
            _18="0x1.1a9fbe76c8b44p-4",
        ),
        column(24, _23="-0x1.3da329b633647p+82"),
    ]
)


@examples(150)
@given(
    samples(),
    st.sampled_from([0.0, 0.05, 0.5, 0.9, 1.0]),
    st.sampled_from(CONTAINERS),
    INDICES,
    HABITS,
)
@example((UNEQUAL, None), 1.0, sp.csr_array, np.int32, set())
@example((UNEQUAL, None), 1.0, sp.csc_array, np.int32, set())
@example((UNEQUAL, np.ones(24)), 1.0, sp.csr_array, np.int32, set())
def test_moments_of_generated_data(engine, sample, density, container, index, habits):
    D, weights = sample
    D = thinned(D, density, np.random.default_rng(2))
    X = stored(D, container, index, habits)
    before = state(X)
    assert_moments(sparse_engine.moments(X, weights, engine=engine), D, weights)
    assert state(X) == before


@examples(60)
@given(
    samples(),
    st.sampled_from([0.0, 0.1, 1.0]),
    st.sampled_from(CONTAINERS),
    INDICES,
    HABITS,
    st.randoms(use_true_random=False),
)
def test_features_of_which_nothing_is_stored(
    engine, sample, density, container, index, habits, random
):
    """They change nothing for the others, and their every row is a zero."""
    D, weights = sample
    D = thinned(D, density, np.random.default_rng(2))
    features = sorted(random.sample(range(5000), D.shape[1]))
    wide = np.zeros((len(D), 5000))
    wide[:, features] = D
    X = stored(wide, container, index, habits - {"zeros"})
    before = state(X)
    found = sparse_engine.moments(X, weights, engine=engine)
    weight = [np.broadcast_to(part, 5000)[features] for part in found.weight]
    values = [part[:, features] for part in found.values]
    assert_moments(Moments(tuple(weight), tuple(values)), D, weights)
    total = len(D) if weights is None else math.fsum(weights)
    rest = np.delete(np.broadcast_to(found.weight[0], 5000), features)
    np.testing.assert_allclose(rest, total, rtol=1e-15)
    for part in found.values:
        assert not np.delete(part, features, axis=1).any()
    assert state(X) == before


@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_done_for_a_feature_is_done_for_those_with_entries(
    monkeypatch, weighted
):
    seen = []

    def spy(entries, *arguments):
        seen.append(entries.n_features)
        return numpy_kernels.add_entries(entries, *arguments)

    kernels = SimpleNamespace(add_entries=spy, LIMIT=numpy_kernels.LIMIT)
    monkeypatch.setattr(
        "skbn.engines.sparse.sums.kernels_for", lambda *_, **__: kernels
    )
    places = RNG.integers(0, 32, 200), RNG.integers(0, 2**16, 200)
    X = sp.csr_array((RNG.normal(size=200), places), shape=(32, 2**16))
    sparse_engine.moments(X, np.ones(32) if weighted else None, engine="numpy")
    assert {*seen} == {np.unique(X.indices).size}


@containers
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 3), (37, 3), (3000, 40), (2, 1500)])
def test_moments_of_any_dtype(engine, shape, dtype, container):
    D = RNG.integers(0, 2 if dtype == "?" else 100, shape).astype(dtype)
    D = thinned(D, 0.4)
    X = stored(D, container)
    assert_moments(sparse_engine.moments(X, engine=engine), D)


@containers
def test_integers_wrap_as_those_of_scipy(engine, container):
    D = np.array([[200, 0], [3, 100]], dtype=np.uint8)
    X = stored(D, container, habits={"duplicates"})
    transformer = BatchNormTransformer(with_mean=False, engine=engine).fit(X)
    assert_exact(transformer, X.toarray())
    image = transformer.transform(X).toarray()
    np.testing.assert_allclose(image, X.toarray() / transformer.scale_, rtol=1e-15)


@containers
@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i8", "f2", ">f2"])
def test_dtypes_that_scipy_does_not_add_up(engine, dtype, container):
    D = thinned(RNG.integers(0, 100, (50, 4)), 0.5).astype(dtype)
    X = stored(D.astype(D.dtype.newbyteorder("=").str.replace("f2", "f4")), container)
    X.data = X.data.astype(dtype)
    transformer = BatchNormTransformer(with_mean=False, engine=engine)
    image = transformer.fit_transform(X)
    assert_exact(transformer, D)
    assert image.dtype == (np.float32 if dtype in (">f4", "f2", ">f2") else np.float64)
    assert X.data.dtype == dtype


@containers
@pytest.mark.parametrize("offset", [0.0, 1.0, 1e9, -1e12])
@pytest.mark.parametrize("density", [0.01, 0.9, 0.999, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_offset_among_zeros(engine, weighted, density, offset, container):
    D = thinned(RNG.normal(size=(2000, 3)) + offset, density)
    D[5, 2] = np.nan
    weights = RNG.random(2000) * (RNG.random(2000) < 0.8) if weighted else None
    X = stored(D, container)
    assert_moments(sparse_engine.moments(X, weights, engine=engine), D, weights)


@containers
def test_features_of_every_magnitude(engine, container):
    D = thinned(RNG.normal(size=(3000, 9)), 0.4) * 10.0 ** np.arange(-120, 150, 30)
    X = stored(D, container)
    assert_moments(sparse_engine.moments(X, engine=engine), D)
    assert_moments(sparse_engine.moments(X, D[:, 0] ** 0, engine=engine), D)


@containers
@pytest.mark.parametrize("weight", [1e-280, 1e280])
def test_weights_of_any_magnitude(engine, weight, container):
    D = thinned(RNG.normal(size=(300, 3)), 0.4)
    weights = weight * RNG.random(300)
    moments = sparse_engine.moments(stored(D, container), weights, engine=engine)
    assert_moments(moments, D, weights)


@containers
@pytest.mark.parametrize("rest", [0.0, 1e-30, 1e-14])
def test_zeros_of_next_to_no_weight(engine, rest, container):
    """What is left of a sum of weights has no digits, and is added up anew."""
    D = RNG.normal(size=(200, 20)) + 1e12
    D[np.arange(20), np.arange(20)] = 0.0
    weights = RNG.random(200) * 1e-3 + 0.1
    weights[:20] = rest
    moments = sparse_engine.moments(stored(D, container), weights, engine=engine)
    assert_moments(moments, D, weights)


@containers
def test_room_behind_the_entries(engine, container):
    # Rows of next to no weight have the only zeros: columns are then taken of X, where
    # SciPy would write what is in the room past the end of an array.
    D, weights = np.ones((50, 3)) + np.arange(50)[:, None], np.ones(50)
    D[7], weights[7] = 0.0, 1e-30
    X = container(D)
    X.data = np.append(X.data, np.ones(100_000))
    X.indices = np.append(X.indices, np.zeros(100_000, X.indices.dtype))
    assert_moments(sparse_engine.moments(X, weights, engine=engine), D, weights)
    assert len(X.data) > 100_000


@containers
def test_values_too_large_to_square(engine, container):
    D = thinned(RNG.normal(size=(300, 3)), 0.5) * [1e200, 1.0, 1e-100]
    X = stored(D, container)
    moments = sparse_engine.moments(X, engine=engine)
    mean, variance = moments.mean[0], moments.variance[0]
    assert variance[0] == np.inf
    np.testing.assert_allclose(mean, D.mean(axis=0), rtol=1e-12)
    assert_moments(sparse_engine.moments(X[:, 1:], engine=engine), D[:, 1:])
    X = stored(D / [1e48, 1.0, 1.0], container)
    assert_moments(sparse_engine.moments(X, engine=engine), D / [1e48, 1.0, 1.0])


@containers
def test_duplicates_whose_sum_is_infinite(engine, container):
    D = np.array([[1e308, 0.0], [0.0, 1.0]])
    X = stored(D, container, habits={"duplicates"})
    X.data = X.data * 3
    with pytest.raises(InfinityInBlockError):
        sparse_engine.moments(X, engine=engine)
    assert sparse_engine.find_infinity(X) == (0, 0)


@containers
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("trouble", ["none", "missing", "offset"])
def test_bits_do_not_depend_on_threads(engine, trouble, weighted, container):
    X = large(container)
    X.data = X.data * 1e3
    if trouble == "missing":
        X.data[::1000] = np.nan
    if trouble == "offset":  # a feature that is looked at twice
        column = container(1e9 + X.data[: X.shape[0], None])
        X = container(sp.hstack([X, column]))
    weights = RNG.random(X.shape[0]) if weighted else None
    one, many = (
        sparse_engine.moments(X, weights, n_threads=n, engine=engine) for n in (1, 3)
    )
    np.testing.assert_array_equal(one.values, many.values)
    np.testing.assert_array_equal(one.weight, many.weight)
    map_ = affine(None, np.sqrt(one.variance[0]))
    images = (
        sparse_engine.normalize(X, map_, n_threads=n, engine=engine) for n in (1, 3)
    )
    np.testing.assert_array_equal(*(image.data for image in images))


@containers
def test_several_tasks(engine, container, monkeypatch):
    monkeypatch.setattr(sparse_sums, "TASK", 130)
    monkeypatch.setattr(sparse_maps, "TASK", 130)
    D = thinned(RNG.normal(size=(700, 5)) + 3, 0.7)
    D[:, 3] = RNG.normal(size=700) + 1e9
    weights = RNG.random(700)
    for habits in (set(), {"unsorted", "duplicates"}):
        X = stored(D, container, habits=habits)
        assert_moments(sparse_engine.moments(X, engine=engine), D)
        assert_moments(sparse_engine.moments(X, weights, engine=engine), D, weights)
    map_ = affine(None, np.arange(1.0, 6.0))
    image = sparse_engine.normalize(X, map_, engine=engine).toarray()
    np.testing.assert_allclose(image, D / np.arange(1.0, 6.0), rtol=1e-15)


@containers
def test_empty_rows_and_columns(engine, container):
    D = np.zeros((40, 30))
    D[7, 11], D[7, 12], D[30, 3] = 5.0, 6.0, 7.0
    assert_moments(sparse_engine.moments(stored(D, container), engine=engine), D)
    D[:] = 0.0
    X = stored(D, container)
    transformer = BatchNormTransformer(with_mean=False, engine=engine).fit(X)
    np.testing.assert_array_equal(transformer.mean_, 0.0)
    np.testing.assert_array_equal(transformer.var_, 0.0)
    np.testing.assert_array_equal(transformer.scale_, 1.0)
    assert transformer.transform(X).nnz == 0


@examples(60)
@given(
    tables(missing=True),
    st.sampled_from(CONTAINERS),
    INDICES,
    HABITS,
    st.sampled_from(["f8", "f4"]),
    st.sampled_from([None, (-1.0, 0.5)]),
    st.booleans(),
)
def test_image(engine, D, container, index, habits, dtype, clip, divides):
    D = thinned(D, 0.5, np.random.default_rng(3)).astype(dtype)
    X = stored(D, container, index, habits)
    before = state(X)
    scale = np.exp(np.random.default_rng(4).normal(size=D.shape[1]))
    map_ = affine(None, scale, clip=clip)
    if not divides:
        map_ = map_.inverse
    image = sparse_engine.normalize(X, map_, engine=engine)
    step = np.divide if divides else np.multiply
    expected = step(D.astype(float), map_.scale)
    if clip is not None and divides:
        expected = np.clip(expected, *clip)
    np.testing.assert_allclose(
        image.toarray(), expected, rtol=1e-14 if dtype == "f8" else 1e-6
    )
    assert type(image) is container
    assert image.dtype == dtype
    assert image.indices.dtype == image.indptr.dtype == index
    for name in ("data", "indices", "indptr"):
        assert not np.shares_memory(getattr(image, name), getattr(X, name))
        assert getattr(image, name).flags.writeable
    assert state(X) == before


@containers
def test_image_without_scale(engine, container):
    X = stored(thinned(RNG.normal(size=(20, 3)), 0.5), container)
    image = sparse_engine.normalize(X, affine(None, None), engine=engine)
    np.testing.assert_array_equal(image.toarray(), X.toarray())
    assert not np.shares_memory(image.data, X.data)


@containers
@pytest.mark.parametrize("duplicates", [True, False])
def test_duplicates_are_found_across_blocks(container, duplicates, monkeypatch):
    monkeypatch.setattr("skbn.engines.sparse.entries.BLOCK", 10)
    D = thinned(RNG.normal(size=(100, 30)), 0.3)
    habits = {"unsorted", "duplicates"} if duplicates else {"unsorted"}
    X = stored(D, container, habits=habits)
    summed = without_duplicates(X)
    assert (summed is X) == (not duplicates)
    np.testing.assert_allclose(summed.toarray(), D, rtol=1e-15)


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize("bad", [-1, 5000, 2**30])
def test_an_index_out_of_many(engine, bad, method):
    X = sp.csr_array(([1.0, 2.0], ([0, 1], [3, 4])), shape=(2, 5000))
    transformer = BatchNormTransformer(with_mean=False, engine=engine).fit(X)
    X.indices[1] = bad
    with pytest.raises(ValueError, match=r"index that is not in \[0, 5000\)"):
        getattr(transformer, method)(X)


@containers
@pytest.mark.parametrize("bad", [-1, 5, 2**30])
def test_an_index_out_of_bounds(engine, bad, container):
    X = container(thinned(RNG.normal(size=(5, 5)), 0.9))
    X.indices[3] = bad
    with pytest.raises(ValueError, match=r"index that is not in \[0, 5\)"):
        sparse_engine.moments(X, np.ones(5), engine=engine)
    if X.format == "csr":
        with pytest.raises(ValueError, match=r"index that is not in \[0, 5\)"):
            sparse_engine.normalize(X, affine(None, np.ones(5)), engine=engine)


def test_auto_takes_numba_once_it_is_compiled(monkeypatch):
    pytest.importorskip("numba")
    used = []

    def spy(*arguments, **options):
        kernels = choose(*arguments, **options)
        used.append(kernels.__name__.rpartition(".")[2].removesuffix("_kernels"))
        return kernels

    choose = dispatch.kernels_for
    for module in (sparse_sums, sparse_maps):
        monkeypatch.setattr(module, "kernels_for", spy)
    auto = BatchNormTransformer(with_mean=False)
    X = sp.csr_array(thinned(RNG.normal(size=(20, 3)), 0.5))
    auto.fit(X)
    BatchNormTransformer(with_mean=False, engine="numba").fit(X)
    auto.fit(X)
    auto.fit(X.tocsc())
    auto.fit(X.astype("f4"))
    auto.fit(X, sample_weight=np.ones(20))
    auto.transform(X)
    monkeypatch.setattr(dispatch, "LARGE", 10)
    auto.fit(X.tocsc())
    expected = ["numpy", "numba", "numba", "numpy", "numpy", "numpy", "numpy", "numba"]
    assert used == expected


def test_without_numba_the_error_tells_how_to_get_it():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import scipy.sparse as sp\n"
        "from skbn import BatchNormTransformer\n"
        "X = sp.csr_array([[1.0, 0.0], [0.0, 2.0]])\n"
        "BatchNormTransformer(with_mean=False).fit_transform(X)\n"
        "BatchNormTransformer(with_mean=False, engine='numba').fit(X)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'skbn[numba]'" in done.stderr.splitlines()[-1]


def test_arrays_that_numba_does_not_read_go_to_numpy(engine):
    X = sp.csr_array(thinned(RNG.normal(size=(30, 3)), 0.5))
    wide = np.zeros(2 * X.nnz)
    wide[::2] = X.data
    expected = X.toarray()
    X.data = wide[::2]
    transformer = BatchNormTransformer(with_mean=False, engine=engine).fit(X)
    assert_exact(transformer, expected)
    image = transformer.transform(X).toarray()
    np.testing.assert_allclose(image, expected / transformer.scale_, rtol=1e-15)


def test_the_sum_of_weights_is_exact():
    weights = RNG.random(200_000) * 10.0 ** RNG.integers(-6, 6, 200_000)
    high, low = sparse_sums.exact_sum(weights)
    exact = sum(map(Fraction, weights.tolist()))
    assert abs(Fraction(high) + Fraction(low) - exact) / exact < Fraction(1, 10**28)


def peak(function):
    function()
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("kind", ["f8", "f4", "missing", "weighted", "offset"])
def test_memory_of_fit_does_not_grow(engine, kind, container):
    peaks = []
    for n in (200_000, 1_600_000):
        X = sp.csr_array(
            (np.ones(n), np.tile(np.arange(4, dtype="i4"), n // 4), np.arange(n + 1)),
            shape=(n, 4),
        )
        if kind == "offset":
            X = sp.csr_array((X.data, X.indices // 9, X.indptr), shape=(n, 1))
        X.data[::7] = np.nan if kind == "missing" else 3.0
        X = container(X.astype("f4") if kind == "f4" else X)
        weights = np.ones(n) if kind == "weighted" else None
        fit = BatchNormTransformer(with_mean=False, engine=engine, n_threads=1).fit
        peaks.append(peak(lambda X=X, w=weights, f=fit: f(X, sample_weight=w)))
    # A quarter of the data of the larger matrix.
    assert peaks[1] - peaks[0] < 1_600_000 * 8 / 4, peaks


@pytest.mark.parametrize("container", [sp.csr_array, sp.csc_array])
def test_memory_of_transform_is_that_of_the_output(engine, container):
    X = large(container, 50_000, 100)
    transformer = BatchNormTransformer(with_mean=False, engine=engine, n_threads=1)
    transformer.fit(X)
    output = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    used = peak(lambda: transformer.transform(X))
    assert used < output + X.data.nbytes / 4
    used = peak(lambda: transformer.transform(X, copy=False))
    assert used < X.data.nbytes / 4
