"""The transformer for River: River's conventions, and our statistics."""

import pickle
import random
import runpy
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
from exact import assert_exact
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, streams

from skbn import BatchNormTransformer
from skbn import __file__ as package

pytest.importorskip("river", reason="needs newer versions than the lowest")

from river import checks, compose, datasets, linear_model, metrics, preprocessing

from skbn.river import BatchNormScaler

NAMES = ["a", 1, "c", "d"]


@pytest.mark.parametrize(
    "settings",
    [{}, {"halflife": 20.0, "epsilon": 1e-5, "clip": 3.0}],
    ids=str,
)
def test_river_checks(settings):
    random.seed(0)  # which River's checks shuffle with
    checks.check_estimator(BatchNormScaler(**settings))


@given(streams(missing=True, weighted=False), st.data())
@examples(25)
def test_features_that_come_and_go_are_missing_in_between(stream, data):
    """Absent or NaN, one by one or many: the statistics are those of the matrix."""
    halflife = data.draw(st.sampled_from([None, 4.0]))
    scaler = BatchNormScaler(halflife=halflife, engine="numpy")
    plain = BatchNormTransformer(halflife=halflife, engine="numpy")
    names = NAMES[: stream.X.shape[1]]
    for X, _ in stream.batches():
        plain.partial_fit(X)
        present = [j for j in range(len(names)) if not np.isnan(X[:, j]).all()]
        frame = pd.DataFrame(X[:, present], columns=[names[j] for j in present])
        if data.draw(st.booleans()):
            scaler.learn_many(frame)
        else:
            for row in frame.to_dict("records"):
                scaler.learn_one({n: x for n, x in row.items() if x == x})

    last = dict(zip(names, stream.X[-1].tolist(), strict=True))
    expected = plain.transform(stream.X[-1:])[0]
    unseen = np.isnan(plain.mean_)
    np.testing.assert_allclose(
        list(scaler.transform_one(last).values()),
        np.where(unseen & np.isnan(expected), 0.0, expected),
        rtol=1e-12,
        atol=1e-12,
    )


@given(streams(weighted=False))
@examples(20)
def test_statistics_are_exact(stream):
    scaler = BatchNormScaler()
    names = [str(j) for j in range(stream.X.shape[1])]
    for X, _ in stream.batches():
        scaler.learn_many(pd.DataFrame(X, columns=names))

    ((_, transformer),) = scaler._groups
    assert_exact(transformer, stream.X)


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_frames_stay_what_they_are(library, dtype):
    values = np.arange(12).reshape(6, 2).astype(dtype)
    frame = library.DataFrame({"a": values[:, 0], "b": values[:, 1]})
    if library is pd:
        frame.index = list("uvwxyz")
    scaler = BatchNormScaler()
    scaler.learn_many(frame)
    result = scaler.transform_many(frame[["b", "a"]])

    assert type(result) is library.DataFrame
    assert list(result.columns) == ["b", "a"]
    assert result["a"].to_numpy().dtype == (
        np.float32 if dtype is np.float32 else np.float64
    )
    expected = BatchNormTransformer().fit_transform(values)[:, ::-1]
    np.testing.assert_array_equal(result.to_numpy(), expected)
    if library is pd:
        assert list(result.index) == list("uvwxyz")


def test_a_row_that_is_refused_changes_nothing():
    scaler = BatchNormScaler()
    scaler.learn_one({"a": 1.0})
    scaler.learn_one({"a": 2.0, "b": 3.0})
    before = pickle.dumps(scaler)
    for row in ({"a": 3.0, "b": np.inf}, {"a": 3.0, "c": -np.inf}, {"a": "x"}):
        with pytest.raises(ValueError, match=r"infinity|could not convert"):
            scaler.learn_one(row)

    assert pickle.dumps(scaler) == before


GROUPS = [{"a": 1.0}, {"c": 0.0, "a": 2.0, 1: 3.0}]
METHODS = ["learn_one", "transform_one", "learn_many", "transform_many"]


@given(
    names=st.permutations(["a", 1, "c", "d"]),
    place=st.integers(0, 3),
    wrong=st.sampled_from([np.inf, -np.inf, "x", "1.5x", 10**400, [1.0], object()]),
    method=st.sampled_from(METHODS),
)
@examples(40)
def test_an_error_names_the_feature_as_the_stream_does(names, place, wrong, method):
    scaler = BatchNormScaler()
    for row in GROUPS:
        scaler.learn_one(row)
    if names[place] == "d" and "learn" not in method:
        scaler.learn_one({"d": 1.0})  # else it is not looked at
    before = pickle.dumps(scaler)
    row = dict.fromkeys(names, 1.0) | {names[place]: wrong}
    data = row
    if "many" in method:
        data = pd.DataFrame([dict.fromkeys(names), row]).astype(object)
    expected = f"feature {names[place]!r}, row {int('many' in method)}"
    with pytest.raises(ValueError, match=rf"\({expected}\)"):
        getattr(scaler, method)(data)

    assert pickle.dumps(scaler) == before


def test_it_normalises_in_a_pipeline_of_river():
    model = compose.Pipeline(
        BatchNormScaler(epsilon=1e-5), linear_model.LogisticRegression()
    )
    theirs = preprocessing.StandardScaler() | linear_model.LogisticRegression()
    accuracies = []
    for each in (model, theirs):
        accuracy = metrics.Accuracy()
        for x, y in datasets.Phishing().take(300):
            accuracy.update(y, each.predict_one(x))
            each.learn_one(x, y)
        accuracies.append(accuracy.get())

    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.01)
    assert accuracies[0] > 0.75


def test_river_loses_digits_at_an_offset():
    ours, theirs = BatchNormScaler(), preprocessing.StandardScaler()
    for frame in (pd.DataFrame({"a": 1e12 + np.arange(k, k + 10.0)}) for k in (0, 10)):
        ours.learn_many(frame)
        theirs.learn_many(frame)
    row, expected = {"a": 1e12 + 19.0}, 9.5 / np.var(np.arange(20.0)) ** 0.5

    assert ours.transform_one(row)["a"] == pytest.approx(expected, rel=1e-14)
    assert theirs.transform_one(row)["a"] != pytest.approx(expected, rel=0.1)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "river", None)
    with pytest.raises(ImportError, match=r"pip install 'skbn\[river\]'"):
        runpy.run_path(package.replace("__init__", "river"))
