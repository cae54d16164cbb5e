"""What is not data is refused with a clear error, and nothing has changed."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest

from skbn import BatchNormTransformer

RNG = np.random.default_rng(0)
GOOD = RNG.normal(size=(20, 3)) + 5.0
BATCH = RNG.normal(size=(6, 3))
NAMES = ["height", "weight", "age"]


def spoilt(row, column, value, shape=(6, 3)):
    X = np.arange(np.prod(shape), dtype=float).reshape(shape)
    X[row, column] = value
    return X


def table(**columns):
    return pd.DataFrame({name: BATCH[:, i] for i, name in enumerate(NAMES)} | columns)


def rows_of(value):
    return [0.1, value, 0.3, 0.4, 0.5, 0.6]


# name: (X, sample_weight, parts that the message has)
BAD_BATCHES = {
    "too few features": (BATCH[:, :2], None, ["2 features", "expecting 3"]),
    "too many features": (np.ones((2, 4)), None, ["4 features", "expecting 3"]),
    "infinity": (spoilt(4, 1, np.inf), None, ["infinity", "feature 1", "row 4"]),
    "minus infinity": (spoilt(0, 2, -np.inf), None, ["infinity", "feature 2", "row 0"]),
    "infinity beside a gap": (
        np.where(np.eye(6, 3) > 0, [np.nan, np.inf, 1.0], 1.0),
        None,
        ["infinity", "feature 1", "row 1"],
    ),
    "infinity far down": (
        spoilt(77_777, 2, np.inf, shape=(100_000, 3)),
        None,
        ["infinity", "feature 2", "row 77777"],
    ),
    "float32 infinity": (
        spoilt(3, 0, np.inf).astype(np.float32),
        None,
        ["infinity", "feature 0", "row 3"],
    ),
    "infinity, weighted": (spoilt(2, 2, np.inf), np.ones(6), ["feature 2", "row 2"]),
    "infinity in a list": (spoilt(2, 2, np.inf).tolist(), None, ["feature 2", "row 2"]),
    "short weights": (BATCH, np.ones(5), ["sample_weight", "(5,)", "(6,)"]),
    "weights of two dimensions": (BATCH, np.ones((6, 1)), ["sample_weight", "(6, 1)"]),
    "negative weight": (BATCH, np.array([1, 1, -2, 1, 1, 1]), ["egative", "row 2"]),
    "NaN weight": (BATCH, rows_of(np.nan), ["sample_weight", "NaN"]),
    "infinite weight": (BATCH, rows_of(np.inf), ["sample_weight", "infinity"]),
    "text weight": (BATCH, rows_of("heavy"), ["sample_weight", "heavy"]),
    "endless weight": (BATCH, rows_of(10**400), ["sample_weight", "too large"]),
    "name of a weight": (BATCH, "age", ["sample_weight='age'", "Spark"]),
    "name of a column of weights": (table(), "age", ["sample_weight='age'", "Spark"]),
    "object for a weight": (BATCH, {"age": 1}, ["sample_weight", "dict"]),
    "weights too large": (BATCH, np.full(6, 1e308), ["sample_weight", "large"]),
    "text": (
        np.array([["1", "2", "3"], ["4", "five", "6"]]),
        None,
        ["feature 1, row 1"],
    ),
    "text object": (
        np.array([[1, 2, 3], [4, 5, "six"]], dtype=object),
        None,
        ["six", "feature 2", "row 1"],
    ),
    "text column": (
        table(weight=["a"] * 6),
        None,
        ["'a'", "feature 'weight'", "row 0"],
    ),
    "endless integer in a list": (
        [[1, 2, 3], [4, None, 10**400]],
        None,
        ["too large", "feature 2, row 1"],
    ),
    "endless integer in tuples": (((1, 2, -(10**400)),), None, ["feature 2, row 0"]),
    "endless integer object": (
        np.array([[1, 10**400, 3]], dtype=object),
        None,
        ["too large", "feature 1, row 0"],
    ),
    "endless integer column": (
        table(age=pd.Series([None, *[10**400] * 5], dtype=object)),
        None,
        ["too large", "feature 'age', row 1"],
    ),
    "interval column": (
        table(age=pd.interval_range(0, 6)),
        None,
        ["Interval", "feature 'age', row 0"],
    ),
    "date column": (table(age=pd.Timestamp("2020-01-01")), None, ["Dates", "'age'"]),
    "dates": (np.full((2, 3), "2020-01-01", dtype="M8[D]"), None, ["Dates"]),
    "not a date": (np.full((2, 3), "NaT", dtype="M8[D]"), None, ["Dates"]),
    "durations": (np.ones((2, 3), dtype="m8[s]"), None, ["durations"]),
    "complex": (BATCH + 1j, None, ["Complex data not supported"]),
    "bytes": (np.array([[b"a", b"b", b"c"]]), None, ["bytes"]),
    "ragged": ([[1.0, 2.0, 3.0], [4.0]], None, ["inhomogeneous"]),
    "structured": (
        np.ones((2, 3), dtype=[("a", float), ("b", float)]),
        None,
        ["numeric"],
    ),
    "records": (np.ones(2, dtype=[(name, float) for name in NAMES]), None, ["2D"]),
    "empty batch": (np.empty((0, 3)), None, ["0 sample(s)", "minimum of 1"]),
    "no features": (np.empty((3, 0)), None, ["0 feature(s)"]),
    "one dimension": (np.ones(3), None, ["1D array", "Reshape"]),
    "three dimensions": (np.ones((2, 3, 4)), None, ["dim 3"]),
    "a number": (3.0, None, ["scalar"]),
    "a word": ("a word", None, ["scalar"]),
    "nothing": (None, None, ["scalar"]),
}
UNWEIGHTED = [name for name, (_, weights, _) in BAD_BATCHES.items() if weights is None]

ATTRIBUTES = [
    *("mean_", "var_", "scale_", "n_samples_seen_", "n_batches_seen_"),
    *("n_features_in_", "feature_names_in_"),
]


def state_of(transformer):
    """All that a user can see, to the bit; caches may fill."""
    plain = BatchNormTransformer()
    vars(plain).update(vars(copy.deepcopy(transformer)))
    plain.set_params(**BatchNormTransformer().get_params())
    state = {name: getattr(plain, name) for name in ATTRIBUTES if hasattr(plain, name)}
    if state:
        # The image of zero shows the low part of the mean, too.
        vars(plain).pop("feature_names_in_", None)
        state["image"] = plain.transform(np.zeros((1, plain.n_features_in_)))
    return pickle.dumps((state, transformer.get_params())), sorted(vars(transformer))


@pytest.fixture(params=["fitted", "new"])
def is_fitted(request):
    return request.param == "fitted"


@pytest.fixture(params=BAD_BATCHES)
def bad(request):
    return request.param


class View(np.ndarray):
    """Not a plain array."""


def good_like(X):
    return table() if isinstance(X, pd.DataFrame) else GOOD


def refuses(transformer, method, X, **arguments):
    """The error's message; neither the transformer nor X has changed by a bit."""
    before, data = state_of(transformer), pickle.dumps((X, arguments))
    with pytest.raises((ValueError, TypeError)) as raised:
        getattr(transformer, method)(X, **arguments)
    assert state_of(transformer) == before
    assert pickle.dumps((X, arguments)) == data
    return str(raised.value)


def is_about_shape(name):
    return "too few" in name or "too many" in name


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_fit_refuses(is_fitted, method, bad):
    X, weights, parts = BAD_BATCHES[bad]
    transformer = BatchNormTransformer()
    if is_fitted:
        transformer.fit(good_like(X))
    if is_about_shape(bad) and (method == "fit" or not is_fitted):
        getattr(transformer, method)(X)
        assert transformer.n_features_in_ == np.shape(X)[1]
        return
    message = refuses(transformer, method, X, sample_weight=weights)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("method", ["transform", "inverse_transform"])
@pytest.mark.parametrize("bad", UNWEIGHTED)
def test_transform_refuses(method, copy, bad):
    X, _, parts = BAD_BATCHES[bad]
    transformer = BatchNormTransformer(copy=copy).fit(good_like(X))
    message = refuses(transformer, method, X)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("batch_size", [None, 1, 7])
def test_fit_refuses_a_bad_last_row(batch_size):
    transformer = BatchNormTransformer(batch_size=batch_size).fit(GOOD)
    X = GOOD * 2
    X[19, 1] = np.inf
    assert "feature 1, row 19" in refuses(transformer, "fit", X)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform"])
def test_the_same_error_on_the_short_path_and_the_long_one(method):
    transformer = BatchNormTransformer().fit(GOOD)
    for X in (spoilt(4, 1, np.inf), np.ones((2, 4)), np.ones((0, 3)), np.ones(3)):
        if method == "fit" and X.shape == (2, 4):
            continue
        plain = refuses(transformer, method, X)
        view = refuses(transformer, method, X.view(View))
        assert plain == view


@pytest.mark.parametrize("method", ["partial_fit", "transform"])
def test_other_names(method):
    transformer = BatchNormTransformer().fit(table())
    message = refuses(transformer, method, table().rename(columns={"age": "years"}))
    assert "years" in message
    assert "age" in message
    assert "order" in refuses(transformer, method, table()[NAMES[::-1]])


def test_the_feature_of_an_infinity_has_its_name():
    transformer = BatchNormTransformer().fit(table())
    X = table(age=rows_of(-np.inf))
    for method in ("fit", "partial_fit", "transform"):
        assert "feature 'age', row 1" in refuses(transformer, method, X)


@pytest.mark.parametrize("copy", [True, False])
def test_data_without_names_warn_as_in_scikit_learn(copy):
    transformer = BatchNormTransformer(copy=copy).fit(table())
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        transformer.transform(BATCH.copy())


BAD_PARAMETERS = [
    {"epsilon": -1e-5},
    {"epsilon": np.nan},
    {"epsilon": "small"},
    {"ddof": -1},
    {"ddof": 0.5},
    {"with_mean": "yes"},
    {"with_std": None},
    {"gamma": "big"},
    {"gamma": [1.0, 2.0]},
    {"gamma": np.ones((3, 1))},
    {"beta": [0.0, np.nan, 0.0]},
    {"beta": ["a", "b", "c"]},
    {"clip": 0},
    {"clip": -1.0},
    {"clip": (1.0, 1.0)},
    {"clip": (1.0, -1.0)},
    {"clip": (1.0, 2.0, 3.0)},
    {"clip": (np.nan, 1.0)},
    {"batch_size": 0},
    {"batch_size": 2.5},
    {"copy": "no"},
    {"engine": 3},
    {"engine": "abacus"},
    {"n_threads": 0},
]


@pytest.mark.parametrize("parameters", BAD_PARAMETERS, ids=str)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_parameters(method, parameters):
    (name,) = parameters
    message = refuses(BatchNormTransformer(**parameters), method, GOOD)
    assert name in message
    fitted = BatchNormTransformer().fit(GOOD).set_params(**parameters)
    assert refuses(fitted, "fit", GOOD) == message


def test_no_inverse_of_a_zero_gamma():
    transformer = BatchNormTransformer(gamma=[1.0, 0.0, 2.0]).fit(GOOD)
    image = transformer.transform(GOOD)
    np.testing.assert_array_equal(image[:, 1], 0.0)
    assert "feature 1" in refuses(transformer, "inverse_transform", image)


def test_messages_are_one_sentence():
    transformer = BatchNormTransformer().fit(GOOD)
    ours = ["infinity", "negative weight", "weights too large"]
    for name in ours:
        X, weights, _ = BAD_BATCHES[name]
        message = refuses(transformer, "fit", X, sample_weight=weights)
        assert re.fullmatch(r"[A-Z][^\n]*\.", message), message


def test_a_failed_first_batch_leaves_no_trace():
    transformer = BatchNormTransformer()
    refuses(transformer, "partial_fit", table(age=rows_of(np.inf)))
    assert not hasattr(transformer, "n_features_in_")
    assert not hasattr(transformer, "feature_names_in_")
    transformer.partial_fit(np.ones((2, 5)))
    assert transformer.n_features_in_ == 5


def test_a_stream_goes_on_after_an_error():
    transformer = BatchNormTransformer().partial_fit(GOOD)
    refuses(transformer, "partial_fit", spoilt(5, 2, np.inf))
    transformer.partial_fit(BATCH)
    whole = BatchNormTransformer().fit(np.r_[GOOD, BATCH])
    np.testing.assert_allclose(transformer.mean_, whole.mean_, rtol=1e-15)
    np.testing.assert_allclose(transformer.var_, whole.var_, rtol=1e-15)
