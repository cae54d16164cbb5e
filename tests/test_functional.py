"""batch_norm: one minibatch by its own statistics."""

import numpy as np
import pytest
from exact import exact_columns, exact_image
from hypothesis import given
from hypothesis import strategies as st
from strategies import tables

import skbn
from skbn import batch_norm

H = np.random.default_rng(0).normal(size=(32, 5)) * 3 + 1


@given(tables(min_rows=2, powers=100))
def test_exact(X):
    exact = exact_columns(X)
    image = batch_norm(X)
    varies = [j for j, feature in enumerate(exact) if feature.variance]
    constant = [j for j, feature in enumerate(exact) if not feature.variance]
    assert (image[:, constant] == 0.0).all()
    if varies:
        expected = exact_image(X[:, varies], [exact[j] for j in varies])
        np.testing.assert_allclose(image[:, varies], expected, rtol=0, atol=2e-14)


@given(st.floats(1e-8, 10.0), st.integers(0, 2**32 - 1))
def test_formula(epsilon, seed):
    gamma, beta = np.random.default_rng(seed).normal(size=(2, 5))
    expected = (H - H.mean(axis=0)) / np.sqrt(H.var(axis=0) + epsilon) * gamma + beta
    image = batch_norm(H, gamma=gamma, beta=beta, epsilon=epsilon)
    np.testing.assert_allclose(image, expected, rtol=1e-11, atol=1e-11)


def test_statistics_are_taken_over_rows_and_never_over_units():
    image = batch_norm(H)
    np.testing.assert_allclose(image.mean(axis=0), 0.0, atol=1e-15)
    np.testing.assert_allclose(image.std(axis=0), 1.0)
    for unit in range(5):
        np.testing.assert_array_equal(batch_norm(H[:, [unit]]), image[:, [unit]])


def test_units_are_not_decorrelated():
    twins = batch_norm(np.c_[H[:, 0], 2 * H[:, 0] + 1])
    np.testing.assert_allclose(twins[:, 0], twins[:, 1], atol=1e-13)


def test_as_torch():
    torch = pytest.importorskip("torch")
    layer = torch.nn.BatchNorm1d(5, eps=1e-5, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(5.0) + 0.5)
        layer.bias.copy_(torch.arange(5.0) - 2.0)
        expected = layer(torch.tensor(H)).numpy()
    image = batch_norm(H, gamma=np.arange(5) + 0.5, beta=np.arange(5) - 2, epsilon=1e-5)
    np.testing.assert_allclose(image, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_dtype(dtype):
    assert batch_norm(H.astype(dtype)).dtype == dtype
    assert batch_norm(H.round().astype(int)).dtype == np.float64


def test_the_batch_is_not_changed():
    before = H.copy()
    batch_norm(H, gamma=2.0, beta=1.0)
    np.testing.assert_array_equal(H, before)


def test_an_array_whatever_the_configuration():
    pytest.importorskip("pandas")
    import sklearn

    with sklearn.config_context(transform_output="pandas"):
        assert type(batch_norm(H)) is np.ndarray


def test_missing_values_stay():
    image = batch_norm([[1.0, np.nan], [3.0, 5.0], [np.nan, 7.0]])
    np.testing.assert_array_equal(image, [[-1.0, np.nan], [1.0, -1.0], [np.nan, 1.0]])


def test_one_row():
    np.testing.assert_array_equal(batch_norm(H[:1], beta=3.0), np.full((1, 5), 3.0))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"gamma": [1.0, 2.0]}, "gamma"),
        ({"beta": "none"}, "beta"),
        ({"epsilon": -1.0}, "epsilon"),
    ],
)
def test_errors(arguments, word):
    with pytest.raises(ValueError, match=word):
        batch_norm(H, **arguments)
    with pytest.raises(ValueError, match="feature 1, row 0"):
        batch_norm([[1.0, np.inf]])


def test_public_names():
    assert set(skbn.__all__) >= {"BatchNormTransformer", "batch_norm"}
