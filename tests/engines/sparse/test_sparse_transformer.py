"""The transformer on sparse data: averages, copies, and what is refused."""

import numpy as np
import pytest
import scipy.sparse as sp
from exact import assert_exact
from sklearn.preprocessing import StandardScaler
from sparse_data import RNG, containers, large, state, stored, thinned

from skbn import BatchNormTransformer


@pytest.fixture(scope="module", params=["numpy", "numba"])
def engine(request):
    if request.param == "numba":
        pytest.importorskip("numba")
    return request.param


@containers
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_in_place(engine, dtype, container):
    X = large(container, 3000, 4).astype(dtype)
    transformer = BatchNormTransformer(with_mean=False, copy=False, engine=engine)
    expected = transformer.fit(X).transform(X, copy=True)
    data = X.data
    image = transformer.transform(X)
    assert image is X
    assert image.data is data
    np.testing.assert_array_equal(data, expected.data)
    back = transformer.inverse_transform(X)
    assert back is X


def test_not_in_place_where_that_is_not_possible(engine):
    D = thinned(RNG.normal(size=(20, 3)), 0.5)
    transformer = BatchNormTransformer(with_mean=False, copy=False, engine=engine)
    repeated = stored(D, habits={"duplicates"})
    for array in (repeated.data, repeated.indices, repeated.indptr):
        array.flags.writeable = True
    transformer.fit(sp.csr_array(D))
    for X in (stored(D), stored(D.astype(int))):
        before = state(X)
        assert transformer.transform(X) is not X
        assert state(X) == before
    before = state(repeated)
    image = transformer.set_params(clip=1.0).transform(repeated)
    assert state(repeated) == before
    np.testing.assert_allclose(
        image.toarray(), np.clip(D / transformer.scale_, -1, 1), rtol=1e-15
    )


@containers
@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("copy", [True, False])
def test_infinity(engine, copy, dtype, value, container):
    D = thinned(RNG.normal(size=(500, 3)), 0.5).astype(dtype)
    transformer = BatchNormTransformer(with_mean=False, engine=engine, copy=copy)
    transformer.partial_fit(container(D))
    running = transformer._running
    D[9, 1] = D[300, 0] = value
    D[2, 2] = np.nan
    X = container(D)
    before = state(X)
    for weights in (None, np.ones(500), np.zeros(500)):
        with pytest.raises(ValueError, match=r"infinity.*\(feature 1, row 9\)"):
            transformer.partial_fit(X, sample_weight=weights)
    for function in (transformer.transform, transformer.inverse_transform):
        with pytest.raises(ValueError, match=r"infinity.*\(feature 1, row 9\)"):
            function(X)
    assert transformer._running is running
    assert state(X) == before


AVERAGES = [{}, {"momentum": 0.3}, {"halflife": 7.0}, {"ddof": 1, "batch_size": 7}]


@containers
@pytest.mark.parametrize("parameters", AVERAGES)
@pytest.mark.parametrize("weighted", [False, True])
def test_all_averages(engine, weighted, parameters, container):
    D = thinned(RNG.normal(size=(60, 4)) + 2, 0.5)
    D[10:20, 1] = np.nan
    weights = RNG.random(60) if weighted else None
    sparse = BatchNormTransformer(with_mean=False, engine=engine, **parameters)
    dense = BatchNormTransformer(with_mean=False, **parameters)
    parts = [slice(0, 10), slice(10, 20), slice(20, 60)]
    for part in parts:
        its = None if weights is None else weights[part]
        sparse.partial_fit(stored(D[part], container), sample_weight=its)
        dense.partial_fit(D[part], sample_weight=its)
    X = stored(D, container)
    for again in (False, True):
        if again:
            sparse.fit(X, sample_weight=weights)
            dense.fit(D, sample_weight=weights)
        for name in ("mean_", "var_", "scale_", "n_samples_seen_"):
            np.testing.assert_allclose(
                getattr(sparse, name), getattr(dense, name), rtol=2e-15, atol=1e-300
            )
    np.testing.assert_allclose(
        sparse.transform(X).toarray(), dense.transform(D), rtol=1e-14
    )


def test_a_long_batch_of_a_short_halflife(engine):
    D = thinned(RNG.normal(size=(5000, 2)), 0.5)
    sparse = BatchNormTransformer(halflife=1.0, with_mean=False, engine=engine)
    dense = BatchNormTransformer(halflife=1.0, with_mean=False).fit(D)
    np.testing.assert_allclose(sparse.fit(stored(D)).var_, dense.var_, rtol=1e-14)


@containers
@pytest.mark.parametrize("first", [True, False])
def test_an_empty_column_keeps_its_statistics(engine, first, container):
    full = np.array([[1.0, 2.0], [3.0, 6.0], [0.0, 0.0]])
    gap = np.column_stack([full[:, 0], [np.nan] * 3])
    transformer = BatchNormTransformer(with_mean=False, engine=engine)
    for D in (gap, full) if first else (full, gap):
        transformer.partial_fit(stored(D, container))
    reference = BatchNormTransformer().fit(full)
    np.testing.assert_array_equal(transformer.mean_, reference.mean_)
    np.testing.assert_array_equal(transformer.var_, reference.var_)
    np.testing.assert_array_equal(transformer.n_samples_seen_, [6, 3])


@containers
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("with_std", [False, True])
def test_as_standard_scaler(engine, with_std, weighted, container):
    D = thinned(RNG.normal(size=(300, 6)), 0.3)
    D[:, 4], D[3, 0] = 0.0, np.nan
    if not weighted:  # where StandardScaler's variance is below zero
        D[:, 5] = 3.0
    weights = RNG.random(300) if weighted else None
    X = container(D)
    scalers = (
        BatchNormTransformer(with_mean=False, with_std=with_std, engine=engine),
        StandardScaler(with_mean=False, with_std=with_std),
    )
    ours, theirs = (scaler.fit(X, sample_weight=weights) for scaler in scalers)
    for name in ("mean_", "var_", "scale_", "n_samples_seen_"):
        our, their = getattr(ours, name), getattr(theirs, name)
        assert (our is None) == (their is None), name
        if our is not None:
            assert np.shape(our) == np.shape(their), name
            np.testing.assert_allclose(our, their, rtol=1e-13, atol=1e-15)
    image = theirs.transform(X)
    np.testing.assert_allclose(ours.transform(X).toarray(), image.toarray(), rtol=1e-13)
    np.testing.assert_allclose(
        ours.inverse_transform(image).toarray(), D, rtol=1e-13, atol=1e-15
    )


OTHER_FORMATS = [sp.coo_matrix, sp.lil_array, sp.dok_array, sp.bsr_array, sp.dia_array]


@pytest.mark.parametrize("container", OTHER_FORMATS)
def test_other_formats_become_csr(engine, container):
    D = thinned(RNG.normal(size=(12, 4)), 0.5)
    transformer = BatchNormTransformer(with_mean=False, engine=engine)
    image = transformer.fit_transform(container(D))
    assert_exact(transformer, D)
    assert image.format == "csr"
    np.testing.assert_allclose(image.toarray(), D / transformer.scale_, rtol=1e-15)


def fitted(D, **parameters):
    return BatchNormTransformer(**parameters).fit(D)


D = thinned(RNG.normal(size=(20, 3)), 0.5)


def assert_unchanged(transformer, function, X, error, match):
    before, data = transformer.__dict__.copy(), state(X)
    with pytest.raises(error, match=match):
        function(X)
    assert transformer.__dict__ == before
    assert state(X) == data


@containers
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform"])
def test_centring_is_an_error_that_says_what_to_do(method, container):
    match = r"Cannot center sparse matrices: pass `with_mean=False` instead.*operator"
    transformer = fitted(D)
    function = getattr(transformer, method)
    assert_unchanged(transformer, function, container(D), ValueError, match)


@containers
def test_uncentring_is_an_error(container):
    transformer = fitted(D)
    function = transformer.inverse_transform
    match = "Cannot uncenter sparse matrices: pass `with_mean=False`"
    assert_unchanged(transformer, function, container(D), ValueError, match)


@containers
@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"beta": 1.0}, "beta would make numbers of the zeros"),
        ({"beta": [0.0, 0.0, 1.0]}, "sparse_output='linear_operator'"),
        ({"clip": (0.5, 2.0)}, r"clip=\(0.5, 2.0\) would make numbers of the zeros"),
        ({"clip": (-3.0, -1.0)}, "0 between them"),
    ],
)
def test_zeros_that_would_move(parameters, match, container):
    transformer = fitted(D, with_mean=False, **parameters)
    function = transformer.transform
    assert_unchanged(transformer, function, container(D), ValueError, match)


@containers
def test_zeros_that_stay(container):
    X = container(D)
    dense = fitted(D, with_mean=False, gamma=[-2.0, 0.5, 1.0])
    for parameters in ({"beta": 0.0}, {"clip": (-0.5, 0.0)}, {"clip": 1.0}):
        dense.set_params(beta=None, clip=None).set_params(**parameters)
        image = dense.transform(X)
        assert type(image) is container
        np.testing.assert_allclose(image.toarray(), dense.transform(D), atol=1e-15)


def test_shape_and_type_are_checked():
    transformer = fitted(D, with_mean=False)
    match = "expecting 3 features"
    for name in ("partial_fit", "transform", "inverse_transform"):
        function = getattr(transformer, name)
        X = sp.csr_array(D[:, :2])
        assert_unchanged(transformer, function, X, ValueError, match)
        with pytest.raises(ValueError, match="Complex data"):
            function(sp.csr_array(D * 1j))
    X = sp.csr_array((0, 3))
    assert_unchanged(transformer, transformer.partial_fit, X, ValueError, "0 sample")


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_frames_hold_no_sparse_matrix(container):
    pytest.importorskip(container)
    transformer = fitted(D, with_mean=False).set_output(transform=container)
    with pytest.raises(ValueError, match="scipy sparse matrix"):
        transformer.transform(sp.csr_array(D))
    back = transformer.inverse_transform(sp.csr_array(D))
    assert back.format == "csr"


@containers
def test_what_scikit_learn_would_refuse_is_refused_on_the_short_path(container):
    D = thinned(RNG.normal(size=(20, 3)), 0.5)
    transformer = BatchNormTransformer(with_mean=False).fit(container(D))
    expected = transformer.transform(container(D)).toarray()
    ours = transformer.transform(container(D).astype(np.float32))
    np.testing.assert_allclose(ours.toarray(), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="4 features, but BatchNormTransformer is exp"):
        transformer.transform(container((20, 4)))
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        transformer.partial_fit(container((0, 3)))
    with pytest.raises(ValueError, match="Complex data not supported"):
        transformer.partial_fit(container(D + 1j))


def test_one_row_of_one_dimension_is_refused():
    row = sp.csr_array(np.ones(3))
    if row.ndim == 2:
        pytest.skip("SciPy before 1.13 makes a matrix of it")
    transformer = BatchNormTransformer(with_mean=False).fit(sp.csr_array(np.eye(3)))
    with pytest.raises(ValueError, match="2D"):
        transformer.transform(row)
