"""Estimators between libraries and devices, and what keeps to NumPy."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.utils import _array_api
from sklearn.utils.estimator_checks import (
    check_array_api_input,
    check_array_api_input_and_values,
)
from spaces import Space, X

from skbn import BatchNormTransformer
from skbn.engines import array_api as array_api_engine

torch = pytest.importorskip("torch")
strict = pytest.importorskip("array_api_strict")

PLAIN = BatchNormTransformer().fit(X)


@pytest.fixture
def dispatch():
    with sklearn.config_context(array_api_dispatch=True):
        yield


def moved(estimator, like, device):
    xp = _array_api.get_namespace(like)[0]
    if hasattr(_array_api, "move_estimator_to"):
        return _array_api.move_estimator_to(estimator, xp, device)
    return _array_api._estimator_with_converted_arrays(
        estimator, lambda array: xp.asarray(np.asarray(array))
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "check", [check_array_api_input, check_array_api_input_and_values]
)
@pytest.mark.parametrize(
    ("library", "device"),
    [
        ("numpy", None),
        ("torch", "cpu"),
        ("array_api_strict", "CPU_DEVICE"),
        ("array_api_strict", "device1"),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_checks_of_scikit_learn(check, library, device, dtype, weighted):
    arguments = {"device_name": device, "dtype_name": dtype}
    if "check_sample_weight" in check.__code__.co_varnames:
        arguments["check_sample_weight"] = weighted
    check("BatchNormTransformer", BatchNormTransformer(), library, **arguments)


@pytest.mark.usefixtures("dispatch")
def test_numpy_goes_the_ordinary_way():
    scaler = BatchNormTransformer().fit(X)
    assert type(scaler.mean_) is type(scaler.transform(X)) is np.ndarray
    assert "_space" not in vars(scaler)
    np.testing.assert_array_equal(scaler.mean_, PLAIN.mean_)
    for other in (X.tolist(), np.asfortranarray(X), X.view(np.recarray)):
        np.testing.assert_array_equal(
            BatchNormTransformer().fit(other).mean_, PLAIN.mean_
        )


def test_without_dispatch_tensors_become_numpy_arrays():
    tensor = torch.tensor(X)
    scaler = BatchNormTransformer().fit(tensor)
    assert type(scaler.mean_) is type(scaler.transform(tensor)) is np.ndarray
    np.testing.assert_array_equal(scaler.mean_, PLAIN.mean_)
    with pytest.raises(RuntimeError, match="requires grad"):
        scaler.fit(torch.tensor(X, requires_grad=True))


@pytest.mark.usefixtures("dispatch")
def test_gradients_are_refused():
    scaler = BatchNormTransformer()
    with pytest.raises(ValueError, match=r"X\.detach\(\)"):
        scaler.fit(torch.tensor(X, requires_grad=True))
    assert not hasattr(scaler, "mean_")
    with torch.no_grad():
        scaler.fit(torch.tensor(X, requires_grad=True).detach())


@pytest.mark.usefixtures("dispatch")
def test_a_tensor_is_not_copied():
    tensor = torch.tensor(np.nan_to_num(X))
    scaler = BatchNormTransformer(copy=False)
    expected = BatchNormTransformer().fit_transform(tensor)
    image = scaler.fit_transform(tensor)
    assert image is tensor
    assert torch.equal(image, expected)
    strided = torch.tensor(np.nan_to_num(X).T).T
    assert scaler.fit(strided).transform(strided) is strided
    whole = torch.ones((4, 3), dtype=torch.int32)
    assert scaler.transform(whole).dtype == torch.float64
    assert (whole == 1).all()


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_floats_of_torch(dtype):
    tensor = torch.tensor(np.nan_to_num(X) % 100, dtype=getattr(torch, dtype))
    scaler = BatchNormTransformer().fit(tensor)
    expected = BatchNormTransformer().fit(tensor.double())
    assert scaler.mean_.dtype == torch.float64
    torch.testing.assert_close(scaler.mean_, expected.mean_, rtol=1e-13, atol=0)
    image = scaler.transform(tensor)
    assert image.dtype == tensor.dtype
    torch.testing.assert_close(
        image, expected.transform(tensor.double()).to(tensor.dtype)
    )


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("wide", [False, True])
def test_bfloat16_of_jax(wide):
    jax = pytest.importorskip("jax")
    with jax.enable_x64(wide):
        array = jax.numpy.asarray(np.nan_to_num(X) % 100, dtype="bfloat16")
        known = np.asarray(array).astype(np.float64)
        scaler = BatchNormTransformer().fit(array)
        expected = BatchNormTransformer().fit(known)
        rtol = 1e-13 if wide else 2e-6
        np.testing.assert_allclose(scaler.mean_, expected.mean_, rtol=rtol)
        np.testing.assert_allclose(scaler.var_, expected.var_, rtol=rtol)
        image = scaler.transform(array)
        assert (type(image), image.dtype) == (type(array), array.dtype)
        np.testing.assert_allclose(
            np.asarray(image, np.float64), expected.transform(known), rtol=2**-8
        )
        with pytest.raises(ValueError, match="feature 1, row 4"):
            scaler.partial_fit(array.at[4, 1].set(np.inf))


@pytest.mark.usefixtures("dispatch")
def test_there_and_back():
    tensor = torch.tensor(X)
    scaler = BatchNormTransformer().fit(tensor)
    ours = moved(scaler, X, "cpu")
    assert type(ours.mean_) is type(ours.transform(X)) is np.ndarray
    np.testing.assert_array_equal(ours.mean_, PLAIN.mean_)
    back = moved(ours, tensor, "cpu")
    assert torch.equal(back.mean_, scaler.mean_)
    assert torch.equal(
        torch.nan_to_num(back.transform(tensor)),
        torch.nan_to_num(scaler.transform(tensor)),
    )
    ours.partial_fit(X)
    assert ours.n_batches_seen_ == 2
    assert scaler.n_batches_seen_ == 1


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("other", ["numpy", "list", "device1"])
@pytest.mark.parametrize("method", ["transform", "inverse_transform", "partial_fit"])
def test_another_kind_is_refused(other, method):
    scaler = BatchNormTransformer().fit(Space("strict").array(X))
    data = {
        "numpy": lambda: X,
        "list": X.tolist,
        "device1": lambda: Space("device1").array(X),
    }
    with pytest.raises(ValueError, match=f"{method}.*same namespace.*array_api_strict"):
        getattr(scaler, method)(data[other]())
    scaler.fit(X)
    assert type(scaler.mean_) is np.ndarray


@pytest.mark.usefixtures("dispatch")
def test_statistics_of_numpy_serve_all():
    scaler = BatchNormTransformer().fit(X)
    image = scaler.transform(torch.tensor(X))
    np.testing.assert_array_equal(image.numpy(), scaler.transform(X))
    scaler.partial_fit(torch.tensor(X))
    assert type(scaler.mean_) is np.ndarray


def test_statistics_are_shown_in_their_kind_without_dispatch():
    with sklearn.config_context(array_api_dispatch=True):
        scaler = BatchNormTransformer().fit(torch.tensor(X))
    for one in (scaler, pickle.loads(pickle.dumps(scaler))):
        assert isinstance(one.mean_, torch.Tensor)
        assert type(one.transform(X)) is np.ndarray


@pytest.mark.usefixtures("dispatch")
def test_a_failed_fit_keeps_the_kind():
    scaler = BatchNormTransformer().fit(torch.tensor(X))
    with pytest.raises(ValueError, match="infinity"):
        scaler.fit(np.full((2, 2), np.inf))
    assert isinstance(scaler.mean_, torch.Tensor)


@pytest.mark.usefixtures("dispatch")
def test_accepts():
    for array in (torch.ones(2), strict.asarray([1.0])):
        assert array_api_engine.accepts(array)
    for other in (X, X.tolist(), X.view(np.recarray), None, "text", np.float64(1.0)):
        assert not array_api_engine.accepts(other)
    pa = pytest.importorskip("pyarrow")
    assert not array_api_engine.accepts(pa.array([1.0]))


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("other", ["torch", "device1"])
def test_weights_of_another_kind(other):
    weights = np.arange(50.0)
    expected = BatchNormTransformer().fit(X, sample_weight=weights)
    for data in (torch.tensor(X), X):
        scaler = BatchNormTransformer().fit(
            data, sample_weight=Space(other).array(weights)
        )
        np.testing.assert_array_equal(scaler.mean_, expected.mean_)
