"""Sparse data that are centred without storing their zeros."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, aslinearoperator, lsqr, svds
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from strategies import examples, tables

from skbn import BatchNormTransformer

RNG = np.random.default_rng(0)
CONTAINERS = [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.csc_matrix]
containers = pytest.mark.parametrize("container", CONTAINERS)


def counts(shape=(120, 12), offset=0.0):
    """Counts, most of them zero, and a last feature that never is."""
    D = RNG.poisson(0.3, shape) * RNG.lognormal(size=shape)
    D[:, -1] = RNG.normal(size=len(D)) + offset
    return D


def operator_of(X, **parameters):
    transformer = BatchNormTransformer(sparse_output="linear_operator", **parameters)
    return transformer, transformer.fit_transform(X)


@containers
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"with_std": False},
        {"gamma": -2.0, "beta": 3.0},
        {"with_mean": False, "beta": 0.5},
        {"momentum": 0.1, "epsilon": 1e-5},
    ],
)
def test_products_are_those_of_the_dense_image(parameters, container):
    D = counts()
    _, A = operator_of(container(D), **parameters)
    dense = BatchNormTransformer(**parameters).fit_transform(D)
    n, p = D.shape
    assert isinstance(A, LinearOperator)
    assert A.shape == (n, p)
    assert A.dtype == np.float64
    v, V, u, U = (RNG.normal(size=s) for s in (p, (p, 3), n, (n, 3)))
    for ours, theirs in (
        (A @ v, dense @ v),
        (A @ v[:, None], dense @ v[:, None]),
        (A @ V, dense @ V),
        (A.rmatvec(u), dense.T @ u),
        (A.rmatvec(u[:, None]), dense.T @ u[:, None]),
        (A.rmatmat(U), dense.T @ U),
        (A.T @ u, dense.T @ u),
        (A.T @ U, dense.T @ U),
        (A.H @ u, dense.T @ u),
        (A @ (v + 1j * v), dense @ (v + 1j * v)),
        (A.T.T @ v, dense @ v),
    ):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@examples(60)
@given(
    tables(min_rows=2),
    st.sampled_from([0.2, 0.9, 1.0]),
    st.sampled_from(CONTAINERS),
)
def test_as_exact_as_the_dense_image(D, density, container):
    """Whatever the offset, of features with zeros and of those without."""
    D[np.random.default_rng(4).random(D.shape) > density] = 0
    transformer, A = operator_of(container(D))
    image = A @ np.eye(D.shape[1])
    dense = BatchNormTransformer().fit(D)
    np.testing.assert_allclose(transformer.var_, dense.var_, rtol=1e-14)
    dense = dense.transform(D)
    np.testing.assert_allclose(image, dense, rtol=1e-13, atol=1e-13)


@containers
@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_svds(container, offset):
    D = counts(offset=offset)
    _, A = operator_of(container(D))
    dense = BatchNormTransformer().fit_transform(D)
    u, s, vt = svds(A, k=3, random_state=0)
    np.testing.assert_allclose(
        np.sort(s)[::-1], np.linalg.svd(dense)[1][:3], rtol=1e-12
    )
    np.testing.assert_allclose(dense @ vt.T, u * s, atol=1e-10)
    np.testing.assert_allclose(
        np.sort(s**2)[::-1] / (len(D) - 1),
        PCA(3).fit(dense).explained_variance_,
        rtol=1e-10,
    )


@containers
def test_lsqr(container):
    D = counts()
    _, A = operator_of(container(D))
    dense = BatchNormTransformer().fit_transform(D)
    y = dense @ RNG.normal(size=D.shape[1]) + RNG.normal(size=len(D))
    expected = np.linalg.lstsq(dense, y, rcond=None)[0]
    np.testing.assert_allclose(lsqr(A, y, atol=1e-14, btol=1e-14)[0], expected)


@containers
@pytest.mark.parametrize("parameters", [{}, {"gamma": 2.0, "beta": [1.0] * 12}])
def test_there_and_back(parameters, container):
    X = container(counts(offset=1e6))
    transformer, A = operator_of(X, **parameters)
    back = transformer.inverse_transform(A)
    assert type(back) is container
    np.testing.assert_allclose(back.toarray(), X.toarray(), rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(back.indices, X.indices)


def test_other_statistics_do_not_lead_back():
    X = sp.csr_array(counts())
    transformer, A = operator_of(X)
    transformer.partial_fit(X[:50])
    with pytest.raises(ValueError, match="other statistics or parameters"):
        transformer.inverse_transform(A)
    with pytest.raises(ValueError, match="expecting 11 features"):
        operator_of(X[:, :11])[0].inverse_transform(A)


def test_the_inverse_of_a_matrix_is_an_operator():
    """Zero stands for the mean, which is not zero."""
    D = counts()
    transformer, _ = operator_of(sp.csr_array(D))
    Z = np.where(D > 1, D, 0.0)
    back = transformer.inverse_transform(sp.csr_array(Z))
    expected = Z * transformer.scale_ + transformer.mean_
    np.testing.assert_allclose(back @ np.eye(12), expected, rtol=1e-13, atol=1e-13)


def test_operators_are_not_data():
    transformer, A = operator_of(sp.csr_array(counts()))
    before = transformer.__dict__.copy()
    for operator in (A, A.T, aslinearoperator(np.eye(12))):
        for method in (transformer.fit, transformer.partial_fit, transformer.transform):
            with pytest.raises(TypeError, match="no entries to read"):
                method(operator)
    with pytest.raises(TypeError, match="what transform has returned"):
        transformer.inverse_transform(aslinearoperator(np.eye(12)))
    assert transformer.__dict__ == before


@containers
def test_the_operator_shares_nothing(container):
    X = container(counts())
    data = X.data.copy()
    transformer, A = operator_of(X, copy=False)
    np.testing.assert_array_equal(X.data, data)
    before = A @ np.ones(12)
    X.data[:], X.indices[:] = 7.0, 0
    transformer.partial_fit(counts())
    np.testing.assert_array_equal(A @ np.ones(12), before)


def test_missing_values_stay():
    D = counts()
    D[3, 2] = np.nan
    _, A = operator_of(sp.csr_array(D))
    image = A @ np.ones(12)
    assert np.isnan(image[3])
    assert np.isfinite(np.delete(image, 3)).all()


def test_duplicates_are_summed():
    X = sp.csr_array((np.ones(4), [0, 0, 1, 1], [0, 2, 3, 4]), shape=(3, 2))
    _, A = operator_of(X)
    dense = BatchNormTransformer().fit_transform(X.toarray())
    np.testing.assert_allclose(A @ np.eye(2), dense, rtol=1e-14)
    assert X.nnz == 4


def test_infinity_is_an_error():
    X = sp.csr_array(counts())
    transformer, _ = operator_of(X)
    X.data[0] = np.inf
    with pytest.raises(ValueError, match=r"infinity.*row 0"):
        transformer.transform(X)


def test_what_an_operator_cannot_do():
    X = sp.csr_array(counts())
    transformer, _ = operator_of(X)
    with pytest.raises(ValueError, match="operator cannot be clipped"):
        transformer.set_params(clip=2.0).transform(X)
    transformer.set_params(clip=None).set_output(transform="pandas")
    with pytest.raises(ValueError, match="linear operator, which no data frame holds"):
        transformer.transform(X)
    with pytest.raises(ValueError, match="'sparse_output' parameter"):
        transformer.set_params(sparse_output="dense").transform(X)


def test_what_need_not_be_an_operator_is_none():
    D = counts()
    X = sp.csr_array(D)
    _, image = operator_of(X, with_mean=False, beta=0.0)
    assert type(image) is sp.csr_array
    assert isinstance(operator_of(D)[1], np.ndarray)


def test_pickle():
    transformer, A = operator_of(sp.csr_array(counts()))
    again = pickle.loads(pickle.dumps(A))
    np.testing.assert_array_equal(again @ np.ones(12), A @ np.ones(12))
    assert sp.issparse(transformer.inverse_transform(again))


def test_in_a_pipeline():
    pipeline = make_pipeline(
        BatchNormTransformer(with_mean=False),
        BatchNormTransformer(sparse_output="linear_operator"),
    )
    assert isinstance(pipeline.fit_transform(sp.csr_array(counts())), LinearOperator)


def test_tags_say_what_is_taken():
    def takes_sparse(**parameters):
        return get_tags(BatchNormTransformer(**parameters)).input_tags.sparse

    assert not takes_sparse()
    assert takes_sparse(with_mean=False)
    assert takes_sparse(sparse_output="linear_operator")
