"""Graphs in ONNX, run by onnxruntime, say what ``transform`` says."""

import sys

import numpy as np
import pandas as pd
import pytest
from fitted import fitted
from hypothesis import given
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from strategies import examples

import skbn.onnx
from skbn import BatchNormTransformer
from skbn.pipeline import StreamingColumnTransformer, make_streaming_pipeline

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")
RNG = np.random.default_rng(0)


def run(model, **inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, inputs)


@examples(80)
@given(fitted())
def test_equals_transform(case):
    model = skbn.onnx.to_onnx(case.transformer, case.X)
    (image,) = run(model, X=case.X)
    assert image.dtype == case.image.dtype
    np.testing.assert_array_equal(image, case.image)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u1", "u2", "u4", "u8", "?", "f2"])
def test_other_dtypes(dtype):
    X = RNG.integers(0, 2, (20, 3)).astype(dtype)
    scaler = BatchNormTransformer(beta=0.1).fit(X)
    (image,) = run(skbn.onnx.to_onnx(scaler, X), X=X)
    assert image.dtype == scaler.transform(X).dtype
    np.testing.assert_array_equal(image, scaler.transform(X))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8"])
@pytest.mark.parametrize("scale", [1 + 1e-9, 1 - 1e-8, 1.0, 1e300])
def test_scale_that_is_nearly_one(scale, dtype):
    """onnxruntime leaves out a division by one number that is 1 in single precision."""
    X = np.array([[3], [-7], [11]]).astype(dtype)
    scaler = BatchNormTransformer(with_std=False, gamma=1 / scale, engine="numpy")
    (image,) = run(skbn.onnx.to_onnx(scaler.fit(X), X), X=X)
    np.testing.assert_array_equal(image, scaler.transform(X))


@pytest.mark.parametrize(
    ("offset", "dtype", "lost"), [(1e6, "f4", 1e-2), (1e12, "f8", 1e-5)]
)
def test_digits_that_the_scaler_of_skl2onnx_loses_at_large_offsets(offset, dtype, lost):
    X = (offset + RNG.normal(size=(1000, 3))).astype(dtype)
    exact = BatchNormTransformer().fit_transform(X.astype("f8"))

    def away(scaler):
        (image,) = run(skbn.onnx.to_onnx(scaler.fit(X), X), X=X)
        return np.abs(image - exact).max()

    assert away(StandardScaler()) > lost
    assert away(BatchNormTransformer()) <= 4 * np.finfo(dtype).eps


class OtherPipeline(Pipeline):
    """Streams subclass it."""


@pytest.mark.parametrize("kind", [Pipeline, OtherPipeline])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8"])
def test_pipeline(dtype, kind):
    X = (1e6 + 100 * RNG.normal(size=(200, 3))).astype(dtype)
    y = X[:, 0] > X[:, 1]
    steps = [("scale", BatchNormTransformer()), ("classify", LogisticRegression())]
    pipeline = kind(steps).fit(X, y)
    options = {"zipmap": False}
    model = skbn.onnx.to_onnx(pipeline, X, options=options)
    label, probability = run(model, X=X)
    np.testing.assert_array_equal(label, pipeline.predict(X))
    np.testing.assert_allclose(probability, pipeline.predict_proba(X), atol=1e-6)


def test_pipeline_in_which_missing_values_pass():
    # onnxruntime has no imputer in double precision.
    X = RNG.normal(size=(50, 2)).astype("f4")
    X[RNG.random(X.shape) < 0.2] = np.nan
    steps = BatchNormTransformer(clip=1.0), SimpleImputer(strategy="constant")
    pipeline = make_pipeline(*steps).fit(X)
    (image,) = run(skbn.onnx.to_onnx(pipeline, X), X=X)
    np.testing.assert_array_equal(image, pipeline.transform(X))


def test_columns_of_a_table():
    table = pd.DataFrame(
        {
            "single": RNG.normal(size=9).astype("f4"),
            "clock": 1e12 + RNG.normal(size=9),
            "count": np.arange(9),
        }
    )
    inputs = {name: table[[name]].to_numpy() for name in table}
    several = make_column_transformer(
        (BatchNormTransformer(), ["count", "clock"]),
        (BatchNormTransformer(clip=1.0), ["single"]),
    )
    for model in (BatchNormTransformer(), several):
        model.fit(table)
        (image,) = run(skbn.onnx.to_onnx(model, table), **inputs)
        np.testing.assert_array_equal(image, model.transform(table))


def test_only_standard_operators():
    X = RNG.normal(size=(5, 2))
    scaler = BatchNormTransformer(gamma=2.0, beta=1.0, clip=1.0).fit(X)
    model = skbn.onnx.to_onnx(scaler, X, target_opset=12)
    nodes = model.graph.node
    assert {node.domain for node in nodes} == {""}
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 12)]
    np.testing.assert_array_equal(run(model, X=X)[0], scaler.transform(X))


def test_what_is_wrong_is_named():
    X = RNG.normal(size=(5, 2))
    scaler = BatchNormTransformer().fit(X)
    with pytest.raises(NotFittedError):
        skbn.onnx.to_onnx(BatchNormTransformer(), X)
    for other in (X.tolist(), X[0]):
        with pytest.raises(TypeError, match="two-dimensional NumPy array or a pandas"):
            skbn.onnx.to_onnx(scaler, other)
    with pytest.raises(ValueError, match="X has 1 features, but"):
        skbn.onnx.to_onnx(scaler, X[:, :1])
    with pytest.raises(ValueError, match="target_opset=11: 12 or more"):
        skbn.onnx.to_onnx(scaler, X, target_opset=11)
    with pytest.raises(ValueError, match="'X' is of type StringTensorType"):
        skbn.onnx.to_onnx(scaler, X.astype(str))


def test_it_is_found_in_the_package(monkeypatch):
    monkeypatch.delattr(skbn, "onnx")
    assert skbn.onnx is sys.modules["skbn.onnx"]
    with pytest.raises(AttributeError, match="no attribute 'onyx'"):
        _ = skbn.onyx


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'skbn\[onnx\]'"):
        skbn.onnx.register()


def test_streaming_pipelines_and_column_transformers():
    X = RNG.normal(1e3, 1.0, (100, 4)).astype(np.float32)
    y = (X[:, 0] > 1e3).astype(int)
    parts = [("ours", BatchNormTransformer(), [0, 1]), ("its", StandardScaler(), [2])]
    columns = StreamingColumnTransformer(parts)
    for first in (BatchNormTransformer(), columns):
        pipeline = make_streaming_pipeline(first, SGDClassifier(random_state=0))
        pipeline.partial_fit(X, y, classes=[0, 1])
        model = skbn.onnx.to_onnx(pipeline, X)
        np.testing.assert_array_equal(run(model, X=X)[0], pipeline.predict(X))
