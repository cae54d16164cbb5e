"""Arrays of other libraries give arrays of their kind, and the same numbers."""

import pickle
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import sklearn
from exact import errors, exact_columns
from hypothesis import given
from hypothesis import strategies as st
from spaces import Space, X
from strategies import examples, streams

from skbn import BatchNormTransformer, batch_norm, engines
from skbn.engines import array_api as array_api_engine
from skbn.engines.array_api import device as _array_api_device
from skbn.engines.base import InfinityInBlockError
from skbn.moments import as_array

try:
    with sklearn.config_context(array_api_dispatch=True):
        pass
except ImportError as error:
    pytest.skip(f"no dispatch here: {error}", allow_module_level=True)

SPACES = ["torch", "jax", "strict", "device1", "float32"]
RNG = np.random.default_rng(0)


@contextmanager
def without_float64():
    """A device whose floats are short, as far as the engine can tell."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (array_api_engine, _array_api_device):
            patch.setattr(module, "widest", lambda xp, _: xp.float32)
        yield


@pytest.fixture(params=SPACES)
def space(request):
    """A library and device, with dispatch on."""
    made = Space(request.param)
    with sklearn.config_context(array_api_dispatch=True):
        if request.param == "jax":
            import jax

            with jax.enable_x64(True):
                yield made
        elif request.param == "float32":
            with without_float64():
                yield made
        else:
            yield made


@pytest.fixture
def rtol(space):
    return {"device1": 1e-13, "float32": 2e-6}.get(space.name, 1e-15)


@contextmanager
def unseen(name):
    """Where NumPy cannot look, in float64."""
    space = Space(name)
    with ExitStack() as stack:
        stack.enter_context(sklearn.config_context(array_api_dispatch=True))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(array_api_engine, "_view", lambda _: None)
        if name == "jax":
            import jax

            stack.enter_context(jax.enable_x64(True))
        yield space


devices = pytest.mark.parametrize("name", ["jax", "torch", "device1"])


def same_kind(space, ours, plain, rtol, names=("mean_", "var_", "scale_")):
    for name in names:
        shown = getattr(ours, name)
        assert space.owns(shown), name
        expected = np.asarray(getattr(plain, name))
        np.testing.assert_allclose(space.host(shown), expected, rtol=rtol, err_msg=name)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "average", [{}, {"momentum": 0.3}, {"halflife": 5.0}, {"batch_size": 7}], ids=str
)
def test_all_averages(space, rtol, average, weighted):
    rows = X if space.name != "float32" else RNG.normal([1, 5, -3], size=(50, 3))
    weights = RNG.random(50) if weighted else None
    given = None if weights is None else space.array(weights)
    plain = BatchNormTransformer(**average).fit(rows, sample_weight=weights)
    ours = BatchNormTransformer(**average).fit(space.array(rows), sample_weight=given)
    for scaler, data, its in ((plain, rows, weights), (ours, space.array(rows), given)):
        scaler.partial_fit(data * 2, sample_weight=its)
    rtol = max(rtol, 1e-14)
    same_kind(space, ours, plain, rtol)
    np.testing.assert_allclose(
        space.host(ours.n_samples_seen_), plain.n_samples_seen_, rtol=1e-6
    )
    assert ours.n_batches_seen_ == plain.n_batches_seen_
    image = ours.transform(space.array(rows))
    assert space.owns(image)
    np.testing.assert_allclose(
        space.host(image), plain.transform(rows), rtol=10 * rtol, atol=10 * rtol
    )
    back = ours.inverse_transform(image)
    assert space.owns(back)
    np.testing.assert_allclose(space.host(back), rows, rtol=10 * rtol, atol=10 * rtol)


def assert_near(moments, rows, weights, digits):
    exact = exact_columns(rows, weights)
    seen = np.array([feature.weight > 0 for feature in exact])
    weight = as_array(moments.weight[0], rows.shape[1])
    np.testing.assert_allclose(weight, [float(f.weight) for f in exact], rtol=1e-14)
    exact = [feature for feature in exact if feature.weight]
    if exact:
        means, variances = moments.mean[0][seen], moments.variance[0][seen]
        assert max(errors(means, variances, exact)) <= 10.0**-digits
    assert not moments.values[0][:, ~seen].any()


def few_shapes(**options):
    """Streams of some lengths only: JAX compiles for every shape anew."""
    lengths = st.sampled_from([1, 2, 7, 40])
    return lengths.flatmap(lambda n: streams(min_rows=n, max_rows=n, **options))


@devices
@examples(40)
@given(stream=few_shapes(missing=True, powers=100, offsets=[0.0, 1.0, -1e3, 1e6]))
def test_by_specification_to_thirteen_digits(name, stream):
    rows, weights, _ = stream
    with unseen(name) as space:
        moments = array_api_engine.moments(space.array(rows), weights)
    # What cancels in the mean or in the offset is lost here, unlike in other engines.
    exact = exact_columns(rows, weights)
    for j, feature in enumerate(exact):
        if not feature.weight:
            continue
        spread = float(feature.variance) ** 0.5
        reach = float(feature.reach)
        mean = abs(moments.mean[0][j] - float(feature.mean))
        assert mean <= 1e-13 * max(abs(float(feature.mean)), spread, 1e-3 * reach)
        if spread > 1e-7 * reach:
            assert abs(moments.variance[0][j] / spread**2 - 1) <= 1e-13


@devices
@pytest.mark.parametrize("n", [1, 2, 9, 1000, 6001])
def test_by_specification(name, n, monkeypatch):
    monkeypatch.setattr(array_api_engine, "BLOCK", 4000)
    rows = RNG.normal([0.1, 1e9, 1e-150, 1e140], [1, 1, 1e-151, 1e140], size=(n, 4))
    gaps = rows.copy()
    gaps[n // 3 :, 1] = gaps[:, 2] = np.nan
    with unseen(name) as space:
        for data in (rows, gaps):
            for weights in (None, RNG.random(n), RNG.random(n) * 1e200):
                moments = array_api_engine.moments(space.array(data), weights)
                assert_near(moments, data, weights, 13)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i4", "u1", "?"])
def test_dtypes(space, dtype):
    rows = RNG.integers(0, 2 if dtype == "?" else 100, (30, 3)).astype(dtype)
    plain = BatchNormTransformer().fit(rows)
    ours = BatchNormTransformer().fit(space.array(rows))
    same_kind(space, ours, plain, 1e-6 if space.name == "float32" else 1e-15)
    image = ours.transform(space.array(rows))
    expected = np.float32 if dtype == "f4" or space.name == "float32" else np.float64
    # No device without float64 has float64 data.
    if (space.name, dtype) != ("float32", "f8"):
        assert space.host(image).dtype == expected
    np.testing.assert_allclose(
        space.host(image), plain.transform(rows), rtol=1e-5, atol=1e-6
    )


def test_gamma_beta_clip(space, rtol):
    parameters = {"gamma": [2.0, 0.0, -1.0], "beta": 0.5, "clip": (-1.0, 1.5)}
    rows = RNG.normal([0.0, 3.0, -1.0], size=(50, 3))
    rows[3, 0] = np.nan
    ours = BatchNormTransformer(**parameters, epsilon=1e-5)
    ours.set_params(gamma=space.array(parameters["gamma"]))
    image = ours.fit_transform(space.array(rows))
    expected = BatchNormTransformer(**parameters, epsilon=1e-5).fit_transform(rows)
    np.testing.assert_allclose(space.host(image), expected, rtol=1e-5, atol=10 * rtol)


def test_float32_devices_keep_float32s_digits():
    space = Space("float32")
    rows = RNG.normal([1e4, 1e30, -1e-30], [1, 1e29, 1e-31], size=(5001, 3))
    rows = rows.astype(np.float32)
    exact = exact_columns(rows)
    with sklearn.config_context(array_api_dispatch=True), without_float64():
        data = space.array(rows)
        ours = BatchNormTransformer().fit(data)
        mean, variance = ours._running.statistics(0)
        mean_error, variance_error = errors(mean[0], variance, exact)
        image = space.host(ours.transform(data))
        assert "float32" in str(ours.mean_.dtype)
    assert mean_error <= 1e-9
    assert variance_error <= 1e-6
    expected = BatchNormTransformer().fit_transform(rows.astype(float))
    np.testing.assert_allclose(image, expected, atol=2e-6)


def test_infinity(space):
    rows = X.astype("f4")
    scaler = BatchNormTransformer().fit(space.array(rows))
    before = pickle.dumps((scaler.get_params(), scaler._running.moments.values))
    rows[4, 2] = -np.inf
    rows[5, 0] = np.inf
    for method in ("fit", "partial_fit", "transform", "inverse_transform"):
        with pytest.raises(ValueError, match=r"feature 2, row 4"):
            getattr(scaler, method)(space.array(rows))
    after = pickle.dumps((scaler.get_params(), scaler._running.moments.values))
    assert after == before
    if space.name != "jax":
        assert array_api_engine.find_infinity(space.array(X)) is None
    with pytest.raises(InfinityInBlockError):
        array_api_engine.moments(space.array(rows), np.zeros(50))


def test_wrong_data(space):
    scaler = BatchNormTransformer().fit(space.array(X))
    for method in ("partial_fit", "transform", "inverse_transform"):
        with pytest.raises(ValueError, match=r"X has 2 features.*expecting 3"):
            getattr(scaler, method)(space.array(X[:, :2]))
    for wrong, message in ((X[0], "2D"), (X[:0], "0 sample"), (X + 1j, "Complex")):
        with pytest.raises(ValueError, match=message):
            scaler.fit(space.array(wrong))
    with pytest.raises(ValueError, match="sample_weight"):
        scaler.fit(space.array(X), sample_weight=space.array(X[:, 0]))


def test_batch_norm(space, rtol):
    rows = RNG.normal(size=(9, 3))
    image = batch_norm(space.array(rows), gamma=2.0)
    assert space.owns(image)
    expected = batch_norm(rows, gamma=2.0)
    np.testing.assert_allclose(space.host(image), expected, atol=10 * rtol)


def test_constant_features(space):
    scaler = BatchNormTransformer().fit(space.array(np.c_[X[:, 0], np.ones(50)]))
    assert space.owns(scaler.constant_features_)
    assert space.host(scaler.constant_features_).tolist() == [False, True]


def test_engine_by_name(space):
    for name in ("auto", "numpy", "array_api"):
        scaler = BatchNormTransformer(engine=name).fit(space.array(X))
        assert space.owns(scaler.mean_)
    assert "array_api" in engines.containers()


def test_jax_without_float64():
    jax = pytest.importorskip("jax")
    rows = RNG.normal([1e4, -3.0], size=(50, 2))
    with sklearn.config_context(array_api_dispatch=True), jax.enable_x64(False):
        data = jax.numpy.asarray(rows.astype("f4"))
        scaler = BatchNormTransformer().fit(data)
        expected = BatchNormTransformer().fit(np.asarray(data))
        assert scaler.mean_.dtype == scaler.transform(data).dtype == np.float32
        np.testing.assert_allclose(scaler.mean_, expected.mean_, rtol=1e-7)
        whole = scaler.transform(jax.numpy.asarray([[1, 2]]))
        assert whole.dtype == np.float32
        np.testing.assert_allclose(whole, expected.transform([[1.0, 2.0]]), rtol=1e-6)
