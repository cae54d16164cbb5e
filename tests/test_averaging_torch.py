"""The momentum average against torch.nn.BatchNorm1d."""

import numpy as np
import pytest
from averages import (
    MOMENTA,
    normal,
    streamed,
    streams_for_torch,
)
from hypothesis import given
from strategies import examples, tables

from skbn import BatchNormTransformer, batch_norm

EPS = np.finfo(float).eps
AS_TORCH = {"zero_debias": False, "ddof": 1, "epsilon": 1e-5}


@pytest.fixture(scope="module")
def torch():
    library = pytest.importorskip("torch")
    n_threads = library.get_num_threads()
    # On a busy machine its threads wait for each other, 20 ms a call.
    library.set_num_threads(1)
    yield library
    library.set_num_threads(n_threads)


def batch_norm_layer(torch, n_features, momentum):
    return torch.nn.BatchNorm1d(n_features, momentum=momentum, affine=False).double()


def assert_within(ours, theirs, bound):
    away = np.abs(ours - theirs)
    assert (away <= bound).all(), f"{away.max()} away: {ours} and {theirs}"


def assert_like_torch(ours, layer, X, torch):
    """Agreement to 12 digits, where torch itself has them.

    It rounds means, 1e12 to 1e-4 for example, and squares deviations from them.
    """
    rounding = 8 * EPS * np.abs(X).max(axis=0)
    mean, variance = layer.running_mean.numpy(), layer.running_var.numpy()
    assert_within(ours.mean_, mean, 1e-12 * np.abs(mean) + rounding)
    assert_within(ours.var_, variance, 1e-12 * variance + rounding**2)
    image = layer.eval()(torch.tensor(X)).numpy()
    floored = variance + 1e-5
    relative = 1e-12 + rounding**2 / floored
    bound = relative * np.abs(image) + 2 * rounding / np.sqrt(floored)
    assert_within(ours.transform(X), image, bound)


@examples(150)
@given(streams_for_torch(powers=3), MOMENTA)
def test_as_torch(torch, stream, momentum):
    layer = batch_norm_layer(torch, stream.X.shape[1], momentum)
    for X, _ in stream.batches():
        layer(torch.tensor(X))
    ours = streamed(stream.batches(), momentum=momentum, **AS_TORCH)
    assert_like_torch(ours, layer, stream.X, torch)


@examples(50)
@given(streams_for_torch(offsets=[0.0, 1.0, -1e3]), MOMENTA)
def test_as_torch_after_every_batch(torch, stream, momentum):
    layer = batch_norm_layer(torch, stream.X.shape[1], momentum)
    ours = BatchNormTransformer(momentum=momentum, **AS_TORCH)
    seen = 0
    for X, _ in stream.batches():
        seen += len(X)
        layer.train()(torch.tensor(X))
        assert_like_torch(ours.partial_fit(X), layer, stream.X[:seen], torch)


@examples(100)
@given(tables(min_rows=2, offsets=[0.0, 1.0, -1e3, 1e6], powers=3))
def test_batch_norm_is_the_training_output_of_torch(torch, X):
    theirs = batch_norm_layer(torch, X.shape[1], 0.1)(torch.tensor(X)).numpy()
    floored = X.var(axis=0) + 1e-5
    rounding = 8 * EPS * np.abs(X).max(axis=0)
    bound = (1e-12 + rounding**2 / floored) * np.abs(theirs)
    assert_within(
        batch_norm(X, epsilon=1e-5), theirs, bound + 2 * rounding / np.sqrt(floored)
    )


@pytest.mark.parametrize("unit", [1e-9, 1e-13, 1e-17])
def test_the_start_fades_to_nothing_as_in_torch(torch, unit):
    X = normal(3000) * unit
    layer = batch_norm_layer(torch, 2, 0.3)
    ours = BatchNormTransformer(momentum=0.3, **AS_TORCH)
    for rows in np.split(X, 300):
        layer(torch.tensor(rows))
        ours.partial_fit(rows)
    np.testing.assert_allclose(ours.var_, layer.running_var, rtol=1e-12)


def test_a_last_batch_of_one_row(torch):
    X = normal(33)
    layer = batch_norm_layer(torch, 2, 0.1)
    ours = BatchNormTransformer(momentum=0.1, **AS_TORCH)
    for rows in np.split(X[:32], 4):
        layer(torch.tensor(rows))
        ours.partial_fit(rows)
    with pytest.raises(ValueError, match="more than 1 value"):
        layer(torch.tensor(X[32:]))
    before = ours.mean_, ours.var_
    ours.partial_fit(X[32:])
    np.testing.assert_allclose(ours.mean_, 0.9 * before[0] + 0.1 * X[32], rtol=1e-14)
    np.testing.assert_array_equal(ours.var_, before[1])
    assert np.isfinite(ours.transform(X[32:])).all()


def test_cumulative_is_over_rows_and_none_of_torch_over_batches(torch):
    batches = [np.zeros((8, 1))] * 10 + [np.full((8, 1), 10.0)] * 90
    layer = batch_norm_layer(torch, 1, None)
    ours = BatchNormTransformer()
    for X in batches:
        layer(torch.tensor(X))
        ours.partial_fit(X)
    np.testing.assert_allclose(layer.running_mean, [9.0], rtol=1e-12)
    np.testing.assert_array_equal(layer.running_var, [0.0])
    np.testing.assert_allclose(ours.mean_, [9.0], rtol=1e-15)
    np.testing.assert_allclose(ours.var_, [9.0], rtol=1e-15)
    assert ours.n_batches_seen_ == layer.num_batches_tracked == 100


def test_a_short_batch_counts_by_its_rows_and_in_torch_as_much_as_a_full_one(torch):
    layer = batch_norm_layer(torch, 1, None)
    ours = BatchNormTransformer()
    for X in (np.zeros((98, 1)), np.full((2, 1), 100.0)):
        layer(torch.tensor(X))
        ours.partial_fit(X)
    np.testing.assert_allclose(layer.running_mean, [50.0], rtol=1e-12)
    np.testing.assert_allclose(ours.mean_, [2.0], rtol=1e-15)
