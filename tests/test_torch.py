"""Modules of torch give what ``transform`` does, and learn on with the same numbers."""

import copy
import pickle
import sys

import numpy as np
import pytest
from fitted import fitted
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from strategies import examples, tables

from skbn import BatchNormTransformer

torch = pytest.importorskip("torch")
from skbn.torch import Normalize, from_module, to_module  # noqa: E402

RNG = np.random.default_rng(0)
AS_TORCH = {"momentum": 0.1, "zero_debias": False, "ddof": 1, "epsilon": 1e-5}


@pytest.fixture(autouse=True)
def _one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def image_of(module, X):
    return module(torch.tensor(X)).detach().numpy()


def stream(n_batches=8, offset=0.0):
    return [offset + RNG.normal(size=(16, 3)) for _ in range(n_batches)]


def learnt(transformer, batches):
    for X in batches:
        transformer.partial_fit(X)
    return transformer


def assert_bits(image, expected):
    assert image.dtype == expected.dtype
    assert image.tobytes() == expected.tobytes()


# to_module


@examples(80)
@given(fitted(dtypes=("f8", "f4", "i8")))
def test_module_equals_transform(case):
    module = to_module(case.transformer)
    if isinstance(module, Normalize):
        np.testing.assert_array_equal(image_of(module, case.X), case.image)
    else:
        image = image_of(module, case.X)
        assert image.dtype == case.image.dtype
        close = 4 * np.finfo(image.dtype).eps
        np.testing.assert_allclose(image, case.image, rtol=close, atol=close)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "u1"])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_bits_of_normalize(offset, dtype):
    X = (offset + 10 * RNG.random((3000, 4))).astype(dtype)
    scaler = BatchNormTransformer(clip=(-1.0, 1.5), engine="numpy").fit(X)
    assert_bits(image_of(to_module(scaler), X), scaler.transform(X))


@pytest.mark.parametrize(
    ("offset", "dtype", "off"), [(1e6, "f4", 0.01), (1e12, "f8", 1e-5)]
)
def test_digits_that_a_layer_loses_at_large_offsets(offset, dtype, off):
    X = (offset + RNG.normal(size=(500, 3))).astype(dtype)
    scaler = learnt(BatchNormTransformer(**AS_TORCH | {"momentum": 1.0}), [X])
    layer = torch.nn.BatchNorm1d(3, dtype=getattr(torch, f"float{8 * X.itemsize}"))
    layer.running_mean.copy_(torch.tensor(scaler.mean_))
    layer.running_var.copy_(torch.tensor(scaler.var_))
    assert np.abs(image_of(layer.eval(), X) - scaler.transform(X)).max() > off

    module = to_module(scaler, dtype=layer.running_mean.dtype)
    assert isinstance(module, Normalize)
    assert "the mean of feature" in module.reason
    assert_bits(image_of(module, X), scaler.transform(X))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"momentum": None}, "averages over batches"),
        ({"zero_debias": True}, "starts from mean 0"),
        ({"ddof": 0}, "unbiased"),
        ({"with_mean": False}, "with_mean or with_std"),
        ({"with_std": False}, "with_mean or with_std"),
        ({"clip": 2.0}, "clip"),
    ],
)
def test_options_that_no_layer_has(change, reason):
    X = RNG.normal(size=(20, 3))
    scaler = BatchNormTransformer(**AS_TORCH | change, engine="numpy").fit(X)
    module = to_module(scaler)
    assert reason in module.reason
    assert reason in repr(module)
    assert_bits(image_of(module, X), scaler.transform(X))


def test_constant_feature_needs_epsilon():
    X = np.column_stack((RNG.normal(size=20), np.full(20, 3.0)))
    still = {"momentum": 1.0, "zero_debias": False, "ddof": 1}
    module = to_module(BatchNormTransformer(**still, epsilon=0.0).fit(X))
    assert module.reason == "BatchNorm1d would scale feature 1, which is constant"
    layer = to_module(BatchNormTransformer(**still, epsilon=1e-5).fit(X))
    assert isinstance(layer, torch.nn.BatchNorm1d)


def test_single_precision_where_it_holds_the_statistics():
    scaler = BatchNormTransformer(**AS_TORCH | {"momentum": 0.5})
    learnt(scaler, [np.array([[1.0], [3.0]])])
    layer = to_module(scaler, dtype=torch.float32)
    assert isinstance(layer, torch.nn.BatchNorm1d)
    assert layer.running_mean.dtype == torch.float32
    learnt(scaler, [np.array([[0.1], [0.7]])])
    assert "torch.float32" in to_module(scaler, dtype=torch.float32).reason
    assert isinstance(to_module(scaler), torch.nn.BatchNorm1d)


def test_layer_takes_the_precision_of_a_network():
    batches = stream()
    scaler = learnt(
        BatchNormTransformer(**AS_TORCH, gamma=2.0, engine="numpy"), batches
    )
    layer = to_module(scaler)
    X = batches[0].astype("f4")
    image = image_of(layer, X)
    np.testing.assert_allclose(image, scaler.transform(X), rtol=1e-6)
    assert image.dtype == np.float32
    assert image_of(layer, np.arange(6).reshape(2, 3)).dtype == np.float64
    network = torch.nn.Sequential(layer.train(), torch.nn.Linear(3, 1))
    network(torch.tensor(X)).sum().backward()
    assert layer.weight.grad is not None
    np.testing.assert_allclose(layer.running_mean, scaler.partial_fit(X).mean_)

    plain = torch.nn.BatchNorm1d(3, eps=layer.eps).double()
    plain.load_state_dict(layer.state_dict())
    single = layer.float()
    with pytest.raises(RuntimeError, match="dtype"):
        single(torch.tensor(batches[0]))


# Training on either side


@pytest.mark.parametrize("weights", [{}, {"gamma": [1.0, 2.0, 3.0]}, {"beta": 0.5}])
def test_training_goes_on_in_torch(weights):
    scaler = learnt(BatchNormTransformer(**AS_TORCH, **weights), stream())
    layer = to_module(scaler)
    assert isinstance(layer, torch.nn.BatchNorm1d)
    assert not layer.training
    for X in stream():
        layer.train()(torch.tensor(X))
        scaler.partial_fit(X)
    assert layer.num_batches_tracked == scaler.n_batches_seen_ == 16
    np.testing.assert_allclose(layer.running_mean, scaler.mean_, rtol=1e-13)
    np.testing.assert_allclose(layer.running_var, scaler.var_, rtol=1e-13)
    X = stream(1)[0]
    np.testing.assert_allclose(
        image_of(layer.eval(), X), scaler.transform(X), rtol=1e-12
    )


@examples(60)
@given(
    st.floats(0.01, 1.0),
    st.booleans(),
    st.lists(tables(min_rows=2, offsets=[0.0, -1.0, 7.0]), min_size=0, max_size=3),
    tables(min_rows=2, offsets=[0.0, -1.0, 7.0]),
)
def test_training_goes_on_in_scikit_learn(momentum, affine, earlier, later):
    n_features = later.shape[1]
    layer = torch.nn.BatchNorm1d(n_features, momentum=momentum, affine=affine).double()
    for X in earlier:
        layer(torch.tensor(np.resize(X, (len(X), n_features))))
    if affine:
        torch.nn.init.normal_(layer.weight)
    scaler = from_module(layer)
    np.testing.assert_array_equal(scaler.mean_, layer.running_mean)
    np.testing.assert_array_equal(scaler.var_, layer.running_var)
    assert scaler.n_batches_seen_ == len(earlier)

    layer(torch.tensor(later))
    scaler.partial_fit(later)
    assert scaler.n_batches_seen_ == layer.num_batches_tracked
    np.testing.assert_allclose(scaler.mean_, layer.running_mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(scaler.var_, layer.running_var, rtol=1e-12)
    image = image_of(layer.eval(), later)
    np.testing.assert_allclose(scaler.transform(later), image, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_there_and_back(dtype):
    layer = torch.nn.BatchNorm1d(3, momentum=0.2, dtype=dtype)
    for X in stream(3):
        layer(torch.tensor(X, dtype=dtype))
    again = to_module(from_module(layer), dtype=dtype)
    assert isinstance(again, torch.nn.BatchNorm1d)
    assert (again.momentum, again.eps) == (layer.momentum, layer.eps)
    for name, values in layer.state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name


def test_momentum_of_one_forgets_all():
    layer = torch.nn.BatchNorm1d(3, momentum=1.0).double()
    X = stream(1)[0]
    scaler = from_module(layer).partial_fit(X)
    np.testing.assert_allclose(scaler.mean_, X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(scaler.var_, X.var(axis=0, ddof=1), rtol=1e-13)


@pytest.mark.parametrize(
    ("layer", "error", "match"),
    [
        (torch.nn.BatchNorm1d(2, momentum=None), ValueError, "momentum=None"),
        (torch.nn.BatchNorm1d(2, momentum=0.0), ValueError, "momentum=0.0"),
        (torch.nn.BatchNorm1d(2, track_running_stats=False), ValueError, "keeps no"),
        (torch.nn.BatchNorm2d(2), TypeError, "BatchNorm2d"),
        (torch.nn.Linear(2, 2), TypeError, "Linear"),
    ],
)
def test_layers_without_an_equal(layer, error, match):
    with pytest.raises(error, match=match):
        from_module(layer)


@pytest.mark.parametrize(
    ("name", "value"), [("running_mean", np.nan), ("running_var", -1)]
)
def test_statistics_that_are_none(name, value):
    layer = torch.nn.BatchNorm1d(3)
    getattr(layer, name)[1] = value
    with pytest.raises(ValueError, match="Feature 1 has the mean"):
        from_module(layer)


# As a part of networks


@pytest.mark.parametrize("clip", [None, 1.0])
def test_export(clip):
    X = torch.tensor(1e6 + RNG.normal(size=(8, 3)), dtype=torch.float32)
    scaler = BatchNormTransformer(clip=clip, engine="numpy").fit(X.numpy())
    rows = {0: torch.export.Dim("rows")}
    exported = torch.export.export(to_module(scaler), (X,), dynamic_shapes=(rows,))
    assert_bits(exported.module()(X[:5]).numpy(), scaler.transform(X[:5].numpy()))


def test_export_of_a_layer():
    layer = to_module(learnt(BatchNormTransformer(**AS_TORCH), stream()))
    X = torch.tensor(stream(1)[0])
    exported = torch.export.export(layer, (X,))
    assert torch.equal(exported.module()(X), layer(X))


def test_network_in_half_precision_keeps_the_digits():
    X = (1e6 + RNG.normal(size=(8, 3))).astype("f4")
    scaler = BatchNormTransformer(engine="numpy").fit(X)
    network = torch.nn.Sequential(to_module(scaler), torch.nn.Linear(3, 1)).half()
    assert network[1].weight.dtype == torch.float16
    assert_bits(image_of(network[0], X), scaler.transform(X))


def test_copies_pickles_and_states():
    X = stream(1)[0]
    scaler = BatchNormTransformer(engine="numpy", beta=0.3).fit(X)
    module = to_module(scaler)
    empty = to_module(BatchNormTransformer().fit(X + 1))
    empty.load_state_dict(module.state_dict())
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), empty):
        assert_bits(image_of(other, X), scaler.transform(X))


def test_gradients_pass():
    scaler = BatchNormTransformer().fit(np.array([[1.0], [3.0], [8.0]]))
    X = torch.tensor([[2.0]], requires_grad=True)
    to_module(scaler)(X).sum().backward()
    np.testing.assert_allclose(X.grad, 1 / scaler.scale_[None], rtol=1e-7)


def test_wrong_arguments_of_to_module():
    with pytest.raises(NotFittedError):
        to_module(BatchNormTransformer())
    with pytest.raises(TypeError, match="got a Linear"):
        to_module(torch.nn.Linear(2, 2))


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "skbn.torch")
    with pytest.raises(ImportError, match=r"pip install 'skbn\[torch\]'"):
        import skbn.torch  # noqa: F401
