"""Stages of Spark's pipelines, and rows in an order; see tests/engines/spark."""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from exact import assert_exact

from benchmarks import cluster
from skbn import BatchNormTransformer

pytest.importorskip("pyspark")

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import VectorAssembler

from skbn.engines import spark as engine
from skbn.spark import BatchNormScaler, BatchNormScalerModel

# PySpark 3.5's own.
pytestmark = pytest.mark.filterwarnings("ignore:.*unclosed <socket:ResourceWarning")
CONNECT = "SPARK_REMOTE" in os.environ
RNG = np.random.default_rng(0)
X = RNG.normal([0.0, 1e9], 1.0, size=(60, 2))
WEIGHTS = RNG.random(60)


@pytest.fixture(scope="module")
def frame(spark):
    rows = [
        (*x, w, i) for i, (x, w) in enumerate(zip(X.tolist(), WEIGHTS, strict=True))
    ]
    rows = [(a, b, float(w), i) for a, b, w, i in rows]
    return spark.createDataFrame(rows, "a double, b double, w double, i int")


def column(frame, name, order="i"):
    return np.array([row[0] for row in frame.orderBy(order).select(name).collect()])


def test_a_pipeline_goes_to_a_file_and_back(frame, tmp_path):
    scaler = BatchNormScaler(
        inputCol="features",
        outputCol="scaled",
        weightCol="w",
        clip=1.5,
        beta=[0.0, 0.25],
    )
    assembler = VectorAssembler(inputCols=["a", "b"], outputCol="features")
    pipeline = Pipeline(stages=[assembler, scaler])
    pipeline.write().overwrite().save(str(tmp_path / "pipeline"))
    pipeline = Pipeline.load(str(tmp_path / "pipeline"))
    assert isinstance(pipeline.getStages()[1], BatchNormScaler)
    model = pipeline.fit(frame)
    expected = BatchNormTransformer(clip=1.5, beta=[0.0, 0.25])
    expected.fit(X, sample_weight=WEIGHTS)
    image = column(model.transform(frame), "scaled")
    np.testing.assert_allclose(image, expected.transform(X), rtol=1e-14, atol=1e-15)
    model.write().overwrite().save(str(tmp_path / "model"))
    again = PipelineModel.load(str(tmp_path / "model"))
    stage = again.stages[1]
    assert isinstance(stage, BatchNormScalerModel)
    assert stage.getOrDefault("state") == model.stages[1].getOrDefault("state")
    assert_exact(stage.transformer, X, WEIGHTS)
    np.testing.assert_array_equal(column(again.transform(frame), "scaled"), image)


def test_columns_of_numbers(frame):
    scaler = BatchNormScaler(inputCols=["a", "b"], outputCols=["b2", "a2"])
    model = scaler.fit(frame)
    assert model.uid == scaler.uid
    assert model.transformer.feature_names_in_.tolist() == ["a", "b"]
    image = model.transform(frame)
    assert image.columns == [*frame.columns, "b2", "a2"]
    expected = BatchNormTransformer().fit(X).transform(X)
    np.testing.assert_allclose(column(image, "b2"), expected[:, 0], atol=1e-14)
    np.testing.assert_allclose(column(image, "a2"), expected[:, 1], atol=1e-14)
    np.testing.assert_array_equal(column(image, "b"), X[:, 1])
    back = model.inverse_transform(image)
    np.testing.assert_allclose(column(back, "b"), X[:, 1], rtol=1e-15)
    copy = scaler.copy({scaler.outputCols: ["x", "y"]})
    assert copy.fit(frame).transform(frame).columns[-2:] == ["x", "y"]


def test_parameters_reach_the_transformer(frame):
    scaler = BatchNormScaler(
        inputCols=["a", "b"],
        orderCols=["i"],
        momentum=0.2,
        batchSize=7,
        zeroDebias=False,
        ddof=1,
        epsilon=1e-5,
        withMean=False,
        withStd=True,
        gamma=2.0,
        clip=[-1.0, 3.0],
    )
    model = scaler.fit(frame)
    expected = BatchNormTransformer(
        momentum=0.2,
        batch_size=7,
        zero_debias=False,
        ddof=1,
        epsilon=1e-5,
        with_mean=False,
        gamma=2.0,
        clip=(-1.0, 3.0),
    )
    assert repr(scaler.transformer()) == repr(expected)
    found = model.transformer
    np.testing.assert_allclose(found.var_, expected.fit(X).var_, rtol=1e-14)
    assert found.n_batches_seen_ == 9
    assert model.transform(frame).columns[-2:] == ["a_scaled", "b_scaled"]
    changed = scaler.setParams(momentum=None, halflife=3.0).transformer()
    assert (changed.momentum, changed.halflife) == (None, 3.0)


def test_what_is_wrong(frame):
    with pytest.raises(ValueError, match="Set inputCol"):
        BatchNormScaler().fit(frame)
    with pytest.raises(ValueError, match="Set inputCol"):
        BatchNormScaler(inputCol="a", inputCols=["a"]).fit(frame)
    with pytest.raises(ValueError, match="2 inputCols and 1 outputCols"):
        BatchNormScaler(inputCols=["a", "b"], outputCols=["c"]).fit(frame)
    with pytest.raises(ValueError, match="no column 'c'; there are a, b, w, i"):
        BatchNormScaler(inputCols=["a", "c"]).fit(frame)
    with pytest.raises(TypeError, match="no parameter 'with_mean'"):
        BatchNormScaler(with_mean=True)
    with pytest.raises(TypeError, match="clip"):
        BatchNormScaler(inputCol="a", clip="wide")
    with pytest.raises(ValueError, match="halflife counts rows"):
        BatchNormScaler(inputCols=["a"], halflife=3.0).fit(frame)


@pytest.mark.skipif(CONNECT, reason="measured on Spark itself")
@pytest.mark.usefixtures("spark")
def test_what_the_benchmark_prints(monkeypatch, capsys):
    plan = partial(cluster.show_spark_planning, widths=(3,), n_rows=4)
    monkeypatch.setattr(cluster, "show_spark_planning", plan)
    monkeypatch.setattr(engine, "MOST_EXPRESSIONS", engine.MOST_EXPRESSIONS)
    cluster.show_spark(200, 2, 2, rounds=1)
    lines = capsys.readouterr().out.splitlines()
    kinds = ["Spark ML", "skbn, vectors", "skbn, columns"] * 2
    kinds += ["expressions", "workers"] * 2
    assert [re.search(r", ([\w, ]+): [\d,]+ ms, ", line)[1] for line in lines] == kinds


@pytest.mark.skipif(CONNECT, reason="one server a machine")
@pytest.mark.usefixtures("spark")
def test_example_runs():
    """In a process of its own, since it stops its session."""
    example = Path(__file__).parents[1] / "examples" / "spark_pipeline.py"
    run = subprocess.run(
        [sys.executable, example], check=True, capture_output=True, text=True
    )
    lines = [line.split() for line in run.stdout.splitlines()[1:3]]
    ours, theirs = (max(float(line[i]) for line in lines) for i in (1, 2))
    assert ours < 1e-15
    assert theirs > 1e-8
    assert "BatchNormTransformer() has seen 500 rows" in run.stdout
