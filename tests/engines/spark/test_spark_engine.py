"""Spark's DataFrames: fitted where they lie, mapped by expressions.

Run in environments of their own, by .ci/run: on Spark and, with SPARK_REMOTE=local[2],
on Spark Connect.
"""

import os
import pickle
import signal
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from averages import assert_alike
from exact import assert_exact, exact_columns, exact_image, exact_root
from sklearn.base import clone

from skbn import BatchNormTransformer

pytest.importorskip("pyspark")
pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")

from pyspark.ml.linalg import Vectors, VectorUDT  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402
from pyspark.sql import types as T  # noqa: E402

from skbn.engines import spark as engine  # noqa: E402
from skbn.engines.spark import partitions  # noqa: E402
from skbn.spark import in_order  # noqa: E402

# PySpark 3.5's own.
pytestmark = pytest.mark.filterwarnings("ignore:.*unclosed <socket:ResourceWarning")
CONNECT = "SPARK_REMOTE" in os.environ
RNG = np.random.default_rng(0)
# Names that SQL must quote; offsets; rows in partitions of which the third is empty.
NAMES = ["a", "b.c", "d`e"]
X = RNG.normal([0.0, 1e9, 1e12], size=(500, 3))
X[[3, 200], [1, 2]] = np.nan
WEIGHTS = RNG.random(500)
PARTS = [0, 60, 200, 200, 500]


def schema_of(names, kinds=None):
    kinds = ["double"] * len(names) if kinds is None else kinds
    return ", ".join(
        f"{engine.quoted(n)} {k}" for n, k in zip(names, kinds, strict=True)
    )


def in_parts(session, frame, parts=PARTS):
    """A DataFrame whose partitions are these rows, in their order."""
    bounds = session.range(len(parts) - 1, numPartitions=len(parts) - 1)
    columns = {name: frame[name].to_numpy() for name in frame}
    kinds = ["long" if v.dtype.kind == "i" else "double" for v in columns.values()]

    def rows(batches):
        import pyarrow as pa

        for batch in batches:
            for i in batch.column(0).to_pylist():
                its = [v[parts[i] : parts[i + 1]] for v in columns.values()]
                arrays = [
                    pa.array(v, mask=np.isnan(v) if v.dtype.kind == "f" else None)
                    for v in its
                ]
                yield pa.RecordBatch.from_arrays(arrays, list(columns))

    return bounds.mapInArrow(rows, schema_of(columns, kinds))


@pytest.fixture(scope="module")
def table():
    frame = pd.DataFrame(X, columns=NAMES)
    frame["weight"], frame["time"] = WEIGHTS, np.arange(500)
    return frame


@pytest.fixture(scope="module")
def wide(spark, table):
    """Features, weights and times."""
    return in_parts(spark, table).cache()


@pytest.fixture(scope="module")
def frame(wide):
    return wide.drop("weight", "time")


def collected(frame):
    """A DataFrame as an array, NaN for null."""
    rows = [list(row) for row in frame.collect()]
    return np.array(rows, dtype=object).astype(float)


# fit


def test_fit_is_one_stream(spark, frame):
    assert (type(frame).__module__ == "pyspark.sql.connect.dataframe") == CONNECT
    scaler = BatchNormTransformer().fit(frame)
    assert_exact(scaler, X)
    assert scaler.feature_names_in_.tolist() == NAMES
    assert scaler.n_batches_seen_ == 1
    np.testing.assert_array_equal(scaler.n_samples_seen_, [500, 499, 499])
    scaler.partial_fit(frame)
    assert_exact(scaler, np.concatenate((X, X)))
    assert scaler.n_batches_seen_ == 2
    assert spark is not None


def test_the_bits_are_those_of_the_partitions(spark, table, monkeypatch):
    """In groups of neighbours, merged in order: the same bits whoever comes first."""
    monkeypatch.setattr(partitions, "NEIGHBOURS", 2)
    parts = [0, 90, 200, 201, 400, 500]
    frame = in_parts(spark, table[NAMES], parts)
    scaler, one = BatchNormTransformer().fit(frame), BatchNormTransformer()
    records = [
        clone(one).fit(pa.table(dict(zip(NAMES, X[i:j].T, strict=True))))
        for i, j in pairwise(parts)
    ]
    groups = [records[i : i + 2] for i in range(0, len(records), 2)]
    expected = one.merge(*(clone(one).merge(*group) for group in groups))
    assert scaler.mean_.tobytes() == expected.mean_.tobytes()
    assert scaler.var_.tobytes() == expected.var_.tobytes()


@pytest.mark.skipif(CONNECT, reason="its server lets no task fail")
def test_a_worker_that_is_killed_is_replaced(spark, table, tmp_path):
    """The same bits as undisturbed."""
    frame = in_parts(spark, table[NAMES])
    expected = BatchNormTransformer().fit(frame)
    flag = str(tmp_path / "killed")

    def kill(batches):
        for batch in batches:
            if batch.num_rows == 140 and not Path(flag).exists():
                Path(flag).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch

    plain = [f"x{j}" for j in range(3)]
    killing = frame.toDF(*plain).mapInArrow(kill, schema_of(plain)).toDF(*NAMES)
    scaler = BatchNormTransformer().fit(killing)
    assert Path(flag).exists()
    assert pickle.dumps(scaler) == pickle.dumps(expected)


def test_sample_weight(wide):
    frame = wide.drop("time")
    scaler = BatchNormTransformer().fit(frame, sample_weight="weight")
    assert_exact(scaler, X, WEIGHTS)
    assert scaler.feature_names_in_.tolist() == NAMES
    scaler.partial_fit(frame.drop("weight"), sample_weight=2)
    assert_exact(scaler, np.concatenate((X, X)), np.r_[WEIGHTS, np.full(500, 2.0)])


def test_momentum_takes_a_frame_as_a_batch(frame):
    """As ``foreachBatch`` of a stream hands them over."""
    parameters = {"momentum": 0.1, "ddof": 1, "zero_debias": False}
    scaler = BatchNormTransformer(**parameters).fit(frame).partial_fit(frame)
    expected = BatchNormTransformer(**parameters).fit(X).partial_fit(X)
    assert_alike(scaler, expected, X, 14)
    assert scaler.n_batches_seen_ == 2


@pytest.mark.parametrize(
    "parameters", [{"halflife": 20.0}, {"momentum": 0.1, "batch_size": 64}], ids=str
)
def test_rows_in_an_order(wide, parameters):
    shuffled = wide.orderBy(F.rand(seed=1))
    rows = in_order(shuffled, "time")
    scaler = BatchNormTransformer(**parameters).fit(rows, sample_weight="weight")
    expected = BatchNormTransformer(**parameters).fit(
        pd.DataFrame(X, columns=NAMES), sample_weight=WEIGHTS
    )
    assert_alike(scaler, expected, X, 14)
    assert scaler.n_batches_seen_ == expected.n_batches_seen_
    image = scaler.transform(in_order(shuffled.drop("weight"), "time"))
    assert image.columns == [*NAMES, "time"]
    with pytest.raises(ValueError, match=r"in their order.*skbn\.spark\.in_order"):
        scaler.fit(wide.select(*quoted(NAMES)))


def quoted(names):
    return [engine.quoted(name) for name in names]


def test_digits_and_time_of_sparks_own_scaler(spark):
    """The same answers where it is right; at an offset it is not."""
    from pyspark.ml.feature import StandardScaler

    for offset in (0.0, 1e9):
        rows = RNG.normal(offset, 1.0, size=(400, 2))
        frame = spark.createDataFrame([(Vectors.dense(row),) for row in rows], ["v"])
        ours = BatchNormTransformer(ddof=1).fit(frame)
        assert_exact(ours, rows)
        theirs = StandardScaler(inputCol="v", outputCol="o", withMean=True).fit(frame)
        exact = [float(exact_root(e.variance)) for e in exact_columns(rows, ddof=1)]
        wrong = np.abs(np.array(theirs.std.toArray()) / exact - 1).max()
        assert np.abs(ours.scale_ / exact - 1).max() < 1e-15
        assert (wrong < 1e-14) == (offset == 0)
        if offset == 0:
            image = np.array(
                [row["o"].toArray() for row in theirs.transform(frame).collect()]
            )
            our_image = np.array(
                [row["v"].toArray() for row in ours.transform(frame).collect()]
            )
            np.testing.assert_allclose(our_image, image, rtol=1e-12, atol=1e-13)


# Kinds of columns


def test_kinds_of_numbers(spark):
    kinds = ["tinyint", "smallint", "int", "bigint", "float", "double", "boolean"]
    kinds += ["decimal(20,3)"]
    values = [1, 0, 3, 4]
    columns = [
        [
            bool(v) if kind == "boolean" else Decimal(v) / 8 if "dec" in kind else v
            for v in values
        ]
        for kind in kinds
    ]
    columns = [
        [float(v) for v in c] if k in {"float", "double"} else c
        for k, c in zip(kinds, columns, strict=True)
    ]
    rows = [*zip(*columns, strict=True), (None,) * len(kinds)]
    schema = ", ".join(f"x{i} {kind}" for i, kind in enumerate(kinds))
    frame = spark.createDataFrame(rows, schema)
    numbers = np.array(rows, dtype=object).astype(float)
    scaler = BatchNormTransformer().fit(frame)
    assert_exact(scaler, numbers)
    image = scaler.transform(frame)
    assert {kind for _, kind in image.dtypes} == {"double"}
    expected = scaler.transform(pd.DataFrame(numbers, columns=frame.columns))
    np.testing.assert_allclose(collected(image), expected, atol=1e-15)
    assert image.collect()[4] == (None,) * len(kinds)


VECTORS = [[1.0, 1e9], [2.0, 1e9 + 1], None, [4.5, 1e9 + 5], [np.nan, 1e9]]


def frame_of_lists(spark, kind):
    rows = [(i, row) for i, row in enumerate(VECTORS)]
    if kind != "vector":
        return spark.createDataFrame(rows, f"i int, `v.w` array<{kind}>")
    made = [
        (
            i,
            row
            if row is None
            else Vectors.sparse(2, [0, 1], row)
            if i % 2
            else Vectors.dense(row),
        )
        for i, row in rows
    ]
    fields = [T.StructField("i", T.IntegerType()), T.StructField("v.w", VectorUDT())]
    return spark.createDataFrame(made, T.StructType(fields))


@pytest.mark.parametrize(
    ("kind", "clip"), [("double", None), ("float", 1.0), ("vector", None)]
)
def test_vectors_and_arrays(spark, kind, clip):
    frame = frame_of_lists(spark, kind)
    rows = np.array([[np.nan] * 2 if row is None else row for row in VECTORS])
    rows = rows.astype(np.float32) if kind == "float" else rows
    lists = frame.drop("i")
    scaler = BatchNormTransformer(clip=clip, beta=[0.0, 0.5]).fit(lists)
    assert_exact(scaler, rows)
    assert not hasattr(scaler, "feature_names_in_")
    image = scaler.transform(in_order(frame, "i"))
    assert (
        image.schema["v.w"].dataType.simpleString()
        == frame.schema["v.w"].dataType.simpleString()
    )
    found = {row[0]: row[1] for row in image.collect()}
    assert found[2] is None
    expected = scaler.transform(rows)
    for i in (0, 1, 3, 4):
        row = found[i].toArray() if kind == "vector" else found[i]
        np.testing.assert_allclose(row, expected[i], rtol=1e-15, atol=1e-15)
    if clip is None:
        back = scaler.inverse_transform(image.select("`v.w`")).first()[0]
        np.testing.assert_allclose(list(back), rows[0], rtol=1e-6)
    with pytest.raises(Exception, match=r"X has 3 features, expected 2\."):
        scaler.transform(spark.sql("SELECT array(1D, 2D, 3D) AS v")).collect()
    with pytest.raises(ValueError, match=r"In partition \d+: 3 features in row 0"):
        scaler.partial_fit(spark.sql("SELECT array(1D, 2D, 3D) AS v"))


def test_number_of_features_of_a_vector(spark):
    from pyspark.ml.feature import VectorAssembler

    frame = spark.range(4).selectExpr("id * 1D AS a", "1D / (1 + id) AS b")
    vectors = VectorAssembler(inputCols=["a", "b"], outputCol="v").transform(frame)
    scaler = BatchNormTransformer().fit(vectors.select("v"))
    assert scaler.n_features_in_ == 2
    with pytest.raises(ValueError, match=r"X has 2 features, but .* is expecting 3"):
        BatchNormTransformer().fit(np.eye(3)).transform(vectors.select("v"))
    with pytest.raises(ValueError, match="0 sample"):
        BatchNormTransformer().fit(spark.sql("SELECT array(1D) AS v WHERE false"))
    with pytest.raises(TypeError, match="'v' holds several features"):
        BatchNormTransformer().fit(vectors)


# transform

MAPS = [
    {},
    {"gamma": [1.0, 0.0, -3.0], "beta": 0.5},
    {"clip": 0.7, "beta": [0.1, 0.2, 0.3]},
    {"with_mean": False},
    {"with_std": False},
    {"epsilon": 1e-5, "clip": (-1, 3)},
]


@pytest.fixture(scope="module")
def corner(spark):
    """Rows of which some are NaN, and a constant column."""
    rows = np.c_[X[:40], np.full(40, 0.1)]
    frame = pd.DataFrame(rows, columns=[*NAMES, "constant"])
    return rows, in_parts(spark, frame, [0, 40]).cache()


@pytest.mark.parametrize("most", [256, 2])
@pytest.mark.parametrize("parameters", MAPS, ids=str)
def test_transform_is_that_of_a_table(corner, parameters, most, monkeypatch):
    monkeypatch.setattr(engine, "MOST_EXPRESSIONS", most)
    rows, frame = corner
    if "gamma" in parameters:
        parameters = parameters | {"gamma": [*parameters["gamma"], 2.0]}
    if isinstance(parameters.get("beta"), list):
        parameters = parameters | {"beta": [*parameters["beta"], 2.0]}
    names = pd.DataFrame(rows, columns=frame.columns)
    scaler = BatchNormTransformer(**parameters).fit(names)
    image, expected = scaler.transform(frame), scaler.transform(names)
    assert image.columns == frame.columns
    assert type(image) is type(frame)
    found = collected(image)
    np.testing.assert_allclose(found, expected, rtol=1e-15, atol=1e-15)
    if 0.0 in parameters.get("gamma", [1.0]):
        with pytest.raises(ValueError, match="gamma is 0 for feature 1"):
            scaler.inverse_transform(image)
        return
    back = collected(scaler.inverse_transform(image))
    there = scaler.inverse_transform(expected)
    np.testing.assert_allclose(back, there, rtol=1e-15, atol=1e-15)


def test_no_python_runs_in_the_workers(spark, capsys):
    scaler = BatchNormTransformer(clip=1.0).fit(pd.DataFrame({"id": [1.0, 2.0]}))
    image = scaler.transform(spark.range(9))
    scaler.inverse_transform(image).explain()
    plan = capsys.readouterr().out
    assert "Project" in plan
    assert "Arrow" not in plan
    assert "Python" not in plan


def test_exact_at_a_large_offset(spark):
    rows = np.round(RNG.normal(1.7e12, 2.0, size=(100, 1)), 2)
    frame = in_parts(spark, pd.DataFrame(rows, columns=["a"]), [0, 30, 100])
    scaler = BatchNormTransformer().fit(frame)
    found = collected(scaler.transform(frame))
    expected = exact_image(rows, exact_columns(rows))
    np.testing.assert_allclose(found, expected, atol=2e-15)


@pytest.mark.parametrize("most", [256, 0])
def test_nulls_nan_and_infinities(spark, most, monkeypatch):
    monkeypatch.setattr(engine, "MOST_EXPRESSIONS", most)
    values = [None, float("nan"), float("inf"), float("-inf"), 1.5]
    frame = spark.createDataFrame([(v,) for v in values], "a float").coalesce(1)
    scaler = BatchNormTransformer(clip=(-1.0, 2.0)).fit(pd.DataFrame({"a": [0.0, 2.0]}))
    image = scaler.transform(frame)
    assert image.dtypes == [("a", "float")]
    found = [row[0] for row in image.collect()]
    assert found[0] is None
    np.testing.assert_array_equal(found[1:], [np.nan, 2.0, -1.0, 0.5])


def test_many_columns(spark, monkeypatch):
    """Mapped by the workers."""
    n = 300
    monkeypatch.setattr(engine, "MOST_EXPRESSIONS", 256)
    texts = [f"(id * {j + 1}) % 7 AS x{j}" for j in range(n)]
    frame = spark.range(50, numPartitions=2).selectExpr(*texts)
    rows = (np.arange(50.0)[:, None] * np.arange(1, n + 1)) % 7
    scaler = BatchNormTransformer().fit(frame)
    np.testing.assert_allclose(scaler.mean_, rows.mean(axis=0), rtol=1e-14, atol=1e-15)
    image = collected(scaler.transform(frame))
    names = pd.DataFrame(rows, columns=frame.columns)
    np.testing.assert_allclose(image, scaler.transform(names), atol=1e-14)


# What is wrong


def test_nothing_changes_on_errors(wide, frame):
    scaler = BatchNormTransformer().fit(pd.DataFrame(X, columns=NAMES))
    before = pickle.dumps(scaler)
    infinite = frame.withColumn("a", F.when(F.col("a") > 2.5, np.inf).otherwise(0.0))
    for fit in (scaler.fit, scaler.partial_fit):
        with pytest.raises(
            ValueError, match=r"^In partition \d: Input X .*feature 'a'"
        ) as found:
            fit(infinite)
        assert "java" not in str(found.value).lower()
    negative = wide.drop("time").withColumn("weight", F.lit(-1))
    with pytest.raises(ValueError, match="In partition 0: Negative values in sample_w"):
        scaler.partial_fit(negative, sample_weight="weight")
    nothing = wide.drop("time").withColumn("weight", F.lit(0))
    with pytest.raises(ValueError, match="All of sample_weight is zero"):
        scaler.fit(nothing, sample_weight="weight")
    with pytest.raises(ValueError, match="0 sample"):
        scaler.fit(frame.limit(0))
    assert pickle.dumps(scaler) == before


def test_the_schema_is_checked_before_anything_runs(spark, wide, frame):
    scaler = BatchNormTransformer().fit(pd.DataFrame(X, columns=NAMES))
    other = frame.select(*quoted(["a", "d`e", "b.c"]))
    for call in (scaler.partial_fit, scaler.transform):
        with pytest.raises(ValueError, match="feature names should match"):
            call(other)
    with pytest.raises(ValueError, match="X has 2 features"):
        scaler.inverse_transform(frame.select(*quoted(NAMES[:2])))
    for kind in ("string", "date", "array<string>"):
        with pytest.raises(TypeError, match=r"must hold numbers, and 's' is of type"):
            scaler.fit(spark.sql(f"SELECT CAST(NULL AS {kind}) AS s"))
    with pytest.raises(ValueError, match="Two columns are called 'a'"):
        scaler.fit(spark.sql("SELECT 1 AS a, 2 AS a"))
    with pytest.raises(ValueError, match="0 feature"):
        scaler.fit(frame.select())
    with pytest.raises(ValueError, match="no column 'w'; there are a"):
        scaler.fit(frame, sample_weight="w")
    with pytest.raises(TypeError, match="name of a column or a number"):
        scaler.fit(frame, sample_weight=WEIGHTS)
    with pytest.raises(ValueError, match="Negative values"):
        scaler.fit(frame, sample_weight=-1.0)
    with pytest.raises(ValueError, match="momentum with a batch_size counts rows"):
        BatchNormTransformer(momentum=0.1, batch_size=9).fit(frame)
    with pytest.raises(ValueError, match="gamma"):
        BatchNormTransformer(gamma=[1.0, 2.0]).fit(frame)
    with pytest.raises(ValueError, match="names of the columns to sort by"):
        in_order(wide)


def test_what_the_workers_lack_is_named(frame):
    def lacking(batches):
        import no_such_module

        yield from no_such_module.of(batches)

    broken = frame.select("a").mapInArrow(lacking, "a double")
    with pytest.raises(ImportError, match=r"no module 'no_such_module'.*skbn\[spark\]"):
        BatchNormTransformer().fit(broken)
