"""The contract: what scikit-learn's checks do not ask."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbn import BatchNormTransformer

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, -1.0]
NAMES = ["a", "b", "c"]
ATTRIBUTES = ["mean_", "var_", "scale_", "n_samples_seen_", "n_batches_seen_"]


def test_attributes():
    transformer = BatchNormTransformer().partial_fit(X[:10]).partial_fit(X[10:])
    for name in ("mean_", "var_", "scale_"):
        values = getattr(transformer, name)
        assert values.shape == (3,)
        assert values.dtype == np.float64
    np.testing.assert_allclose(transformer.mean_, X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(transformer.var_, X.var(axis=0), rtol=1e-13)
    np.testing.assert_array_equal(transformer.scale_, np.sqrt(transformer.var_))
    assert transformer.n_samples_seen_ == 40
    assert transformer.n_batches_seen_ == 2
    assert transformer.n_features_in_ == 3


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_no_attribute_before_fit(name):
    with pytest.raises(AttributeError, match=name):
        getattr(BatchNormTransformer(), name)
    with pytest.raises(NotFittedError):
        BatchNormTransformer().transform(X)


def test_attributes_that_are_switched_off():
    neither = BatchNormTransformer(with_mean=False, with_std=False).fit(X)
    assert neither.mean_ is neither.var_ is neither.scale_ is None
    np.testing.assert_array_equal(neither.transform(X), X)
    centred = BatchNormTransformer(with_std=False).fit(X)
    assert centred.var_ is centred.scale_ is None
    np.testing.assert_allclose(centred.transform(X), X - X.mean(axis=0), atol=1e-14)
    scaled = BatchNormTransformer(with_mean=False).fit(X)
    np.testing.assert_allclose(scaled.transform(X), X / X.std(axis=0))
    assert scaled.mean_ is not None


def test_fit_forgets_and_partial_fit_does_not():
    transformer = BatchNormTransformer().fit(X + 100.0)
    assert transformer.partial_fit(X).n_samples_seen_ == 80
    transformer.fit(X)
    assert transformer.n_samples_seen_ == 40
    assert transformer.n_batches_seen_ == 1
    np.testing.assert_array_equal(
        transformer.mean_, BatchNormTransformer().fit(X).mean_
    )


def test_fit_forgets_the_names_and_the_width():
    transformer = BatchNormTransformer().fit(pd.DataFrame(X, columns=NAMES))
    assert transformer.feature_names_in_.tolist() == NAMES
    transformer.fit(X[:, :2])
    assert not hasattr(transformer, "feature_names_in_")
    assert transformer.n_features_in_ == 2


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4", "i8", "u1", "?"])
def test_dtype(dtype):
    data = (X * 10).astype(dtype)
    transformer = BatchNormTransformer().fit(data)
    assert transformer.mean_.dtype == transformer.scale_.dtype == np.float64
    image = transformer.transform(data)
    assert image.dtype == (np.float32 if dtype == "f4" else np.float64)
    assert transformer.inverse_transform(image).dtype == image.dtype


@pytest.mark.parametrize("batch_size", [1, 7, 40, 100])
def test_batch_size(batch_size):
    transformer = BatchNormTransformer(batch_size=batch_size).fit(X)
    assert transformer.n_batches_seen_ == -(-40 // batch_size)
    np.testing.assert_allclose(transformer.var_, X.var(axis=0), rtol=1e-13)
    transformer.partial_fit(X)
    assert transformer.n_batches_seen_ == -(-40 // batch_size) + 1


def test_ddof():
    transformer = BatchNormTransformer(ddof=1).partial_fit(X[:1])
    np.testing.assert_array_equal(transformer.mean_, X[0])
    assert np.isnan(transformer.var_).all()
    np.testing.assert_array_equal(transformer.scale_, 1.0)
    transformer.partial_fit(X[1:])
    np.testing.assert_allclose(transformer.var_, X.var(axis=0, ddof=1), rtol=1e-13)


def test_gamma_beta_and_clip():
    parameters = {"gamma": [1.0, 2.0, -3.0], "beta": 0.5, "clip": (-1.0, 1.5)}
    image = BatchNormTransformer(**parameters, epsilon=0.1).fit_transform(X)
    expected = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0) + 0.1) * parameters["gamma"]
    np.testing.assert_allclose(image, np.clip(expected + 0.5, -1.0, 1.5), atol=1e-13)
    assert image.min() == -1.0
    assert image.max() == 1.5


def test_clip_keeps_missing_values():
    image = BatchNormTransformer(clip=1.0).fit_transform(
        [[0.0], [9.0], [np.nan], [9.0]]
    )
    np.testing.assert_array_equal(np.isnan(image[:, 0]), [False, False, True, False])
    assert np.nanmin(image) == -1.0


@pytest.mark.parametrize(
    "parameters",
    [
        {"epsilon": 0.5},
        {"gamma": 2.0},
        {"gamma": [1.0, 2.0, 3.0]},
        {"beta": -1.0},
        {"clip": 0.7},
        {"ddof": 1},
        {"with_mean": False},
        {"with_std": False},
    ],
    ids=str,
)
def test_set_params_takes_effect_at_once(parameters):
    transformer = BatchNormTransformer().fit(X)
    plain = transformer.transform(X)
    expected = BatchNormTransformer(**parameters).fit(X).transform(X)
    changed = transformer.set_params(**parameters).transform(X)
    np.testing.assert_array_equal(changed, expected)
    assert not np.array_equal(changed, plain)
    transformer.set_params(
        **{name: BatchNormTransformer().get_params()[name] for name in parameters}
    )
    np.testing.assert_array_equal(transformer.transform(X), plain)


def test_a_parameter_changed_in_place_takes_effect():
    gamma = np.ones(3)
    transformer = BatchNormTransformer(gamma=gamma).fit(X)
    plain = transformer.transform(X)
    gamma *= 2.0
    np.testing.assert_array_equal(transformer.transform(X), 2.0 * plain)


@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_copy(method, dtype):
    data = X.astype(dtype)
    transformer = BatchNormTransformer().fit(data)
    apply = getattr(transformer, method)
    expected = apply(data)
    np.testing.assert_array_equal(data, X.astype(dtype))
    assert not np.shares_memory(expected, data)
    in_place = data.copy()
    assert apply(in_place, copy=False) is in_place
    np.testing.assert_array_equal(in_place, expected)
    in_place = data.copy()
    transformer.set_params(copy=False)
    assert apply(in_place) is in_place
    assert apply(data, copy=True) is not data
    np.testing.assert_array_equal(data, X.astype(dtype))


def test_copy_false_where_there_is_no_place():
    transformer = BatchNormTransformer(copy=False).fit(X)
    whole = np.arange(6).reshape(2, 3)
    assert transformer.transform(whole).dtype == np.float64
    np.testing.assert_array_equal(whole, np.arange(6).reshape(2, 3))
    fixed = X.copy()
    fixed.flags.writeable = False
    image = transformer.transform(fixed)
    np.testing.assert_array_equal(fixed, X)
    np.testing.assert_array_equal(image, transformer.transform(X, copy=True))


def test_fit_and_partial_fit_do_not_write():
    data = X.copy()
    BatchNormTransformer(copy=False).fit(data).partial_fit(data)
    np.testing.assert_array_equal(data, X)


def test_zero_weights_are_rows_left_out():
    weights = np.arange(40.0) % 3
    transformer = BatchNormTransformer().fit(X, sample_weight=weights)
    without = BatchNormTransformer().fit(
        X[weights > 0], sample_weight=weights[weights > 0]
    )
    np.testing.assert_allclose(transformer.mean_, without.mean_, rtol=1e-15)
    np.testing.assert_allclose(transformer.var_, without.var_, rtol=1e-15)
    repeated = BatchNormTransformer().fit(np.repeat(X, weights.astype(int), axis=0))
    np.testing.assert_allclose(transformer.var_, repeated.var_, rtol=1e-15)
    assert isinstance(transformer.n_samples_seen_, float)
    assert transformer.n_samples_seen_ == weights.sum()


def test_a_batch_that_weighs_nothing_changes_no_statistic():
    transformer = BatchNormTransformer().fit(X)
    mean, var = transformer.mean_, transformer.var_
    transformer.partial_fit(X * 2, sample_weight=np.zeros(40))
    np.testing.assert_array_equal(transformer.mean_, mean)
    np.testing.assert_array_equal(transformer.var_, var)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_set_output(output):
    library = pytest.importorskip(output)
    frame = library.DataFrame(dict(zip(NAMES, X.T, strict=True)))
    transformer = BatchNormTransformer().set_output(transform=output)
    image = transformer.fit_transform(frame)
    assert isinstance(image, library.DataFrame)
    assert list(image.columns) == NAMES
    np.testing.assert_array_equal(
        np.asarray(image), BatchNormTransformer().fit_transform(X)
    )
    with sklearn.config_context(transform_output=output):
        assert isinstance(
            BatchNormTransformer().fit_transform(frame), library.DataFrame
        )


def test_pandas_output_keeps_the_index():
    frame = pd.DataFrame(X, columns=NAMES, index=np.arange(40)[::-1])
    image = BatchNormTransformer().set_output(transform="pandas").fit_transform(frame)
    assert image.index.equals(frame.index)


def test_feature_names_out():
    assert BatchNormTransformer().fit(X).get_feature_names_out().tolist() == [
        "x0",
        "x1",
        "x2",
    ]
    named = BatchNormTransformer().fit(pd.DataFrame(X, columns=NAMES))
    assert named.get_feature_names_out().tolist() == NAMES
    with pytest.raises(ValueError, match="feature_names_in_"):
        named.get_feature_names_out(["a", "c", "b"])


@pytest.mark.parametrize("requested", [True, False])
def test_metadata_routing_of_weights(requested):
    y, weights = X[:, 0] > 0, np.arange(40.0) % 4
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = BatchNormTransformer().set_fit_request(sample_weight=requested)
        classifier = LogisticRegression().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, classifier).fit(X, y, sample_weight=weights)
    expected = BatchNormTransformer().fit(
        X, sample_weight=weights if requested else None
    )
    np.testing.assert_array_equal(pipeline[0].mean_, expected.mean_)


def test_clone_forgets_and_keeps_parameters():
    transformer = BatchNormTransformer(gamma=[1.0, 2.0, 3.0], clip=(-1, 1), ddof=1).fit(
        X
    )
    copied = clone(transformer)
    assert str(copied.get_params()) == str(transformer.get_params())
    assert not hasattr(copied, "mean_")


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_pickle_goes_on_bit_for_bit(protocol):
    transformer = BatchNormTransformer(beta=1.0).fit(X + 1e12)
    copied = pickle.loads(pickle.dumps(transformer, protocol))
    for one in (transformer, copied):
        one.partial_fit(X)
    for name in ATTRIBUTES:
        np.testing.assert_array_equal(getattr(copied, name), getattr(transformer, name))
    np.testing.assert_array_equal(copied.transform(X), transformer.transform(X))


def test_transform_does_not_enlarge_the_pickle():
    transformer = BatchNormTransformer().fit(X)
    before = len(pickle.dumps(transformer))
    transformer.transform(np.ones((50_000, 3)))
    assert len(pickle.dumps(transformer)) <= before + 500


def test_representations():
    transformer = BatchNormTransformer(ddof=1)
    assert repr(transformer) == "BatchNormTransformer(ddof=1)"
    html = transformer.fit(X)._repr_html_()
    assert "BatchNormTransformer" in html
    assert "ddof" in html


def test_takes_the_place_of_the_scaler_in_a_pipeline():
    y = X[:, 0] > 0
    ours = make_pipeline(BatchNormTransformer(), LogisticRegression()).fit(X, y)
    theirs = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9
    )


def test_it_is_copied_and_pickled_in_a_frozen_estimator():
    frozen = FrozenEstimator(BatchNormTransformer().fit(X))
    again = pickle.loads(pickle.dumps(frozen))

    np.testing.assert_array_equal(again.transform(X), frozen.transform(X))


class Centred(BatchNormTransformer):
    """A subclass that takes fewer parameters, as those of others do."""

    def __init__(self):
        super().__init__(with_mean=False)


class Named(BatchNormTransformer):
    """And one with parameters of its own."""

    def __init__(self, *, name="x", _hidden=1, momentum=None):
        super().__init__(momentum=momentum)
        self.name, self._hidden = name, _hidden


@pytest.mark.parametrize("made", [Centred(), Named(momentum=0.5)])
def test_subclasses_with_other_parameters(made):
    scaler = clone(made).fit(X).partial_fit(X)
    same = BatchNormTransformer(with_mean=made.with_mean, momentum=made.momentum)
    expected = same.fit(X).partial_fit(X).transform(X)
    np.testing.assert_array_equal(scaler.transform(X), expected)
    scaler.set_params(**scaler.get_params())
    np.testing.assert_array_equal(scaler.transform(X), expected)


def test_an_overflowed_variance_has_no_inverse():
    X = np.array([[1.0, 1e160], [2.0, 3e160]])
    scaler = BatchNormTransformer().fit(X)
    image = scaler.transform(X)
    np.testing.assert_array_equal(image, [[-1.0, 0.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="feature 1, or its variance is infinite"):
        scaler.inverse_transform(image)
