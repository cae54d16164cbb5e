"""Lazy tables: read in parts to be fitted, mapped by expressions."""

import pickle

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from averages import AVERAGES, assert_alike
from exact import assert_exact, exact_column, exact_columns, exact_image
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, streams

from skbn import BatchNormTransformer, fit_stream
from skbn.engines.lazyframe import expressions, reading

RNG = np.random.default_rng(0)
X = RNG.normal([0.0, 1e9, 1e12], size=(500, 3))
NAMES = ["a", "b", "c"]
averages = pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)


def frame_of(rows, names=NAMES):
    """A DataFrame of polars, null for NaN."""
    columns = dict(zip(names, np.asarray(rows).T, strict=False))
    return pl.DataFrame(columns).fill_nan(None)


def polars_lazy(frame):
    return frame.lazy()


def polars_in_pieces(frame):
    """Whose rows come in pieces of their own."""
    return pl.concat([frame[:7].lazy(), frame[7:7].lazy(), frame[7:].lazy()])


def wrapped(frame):
    return nw.from_native(frame.lazy())


def duckdb_relation(frame):
    duckdb = pytest.importorskip("duckdb")
    return duckdb.connect().from_arrow(frame.to_arrow())


KINDS = [polars_lazy, polars_in_pieces, wrapped, duckdb_relation]
kinds = pytest.mark.parametrize("kind", KINDS)


def collected(lazy):
    """A lazy table as an array, NaN for null."""
    native = lazy.to_native() if hasattr(lazy, "to_native") else lazy
    if isinstance(native, pl.LazyFrame):
        return native.collect().to_numpy()
    table = native.arrow()
    table = table.read_all() if hasattr(table, "read_all") else table
    return pl.from_arrow(table).to_numpy()


# fit


@kinds
@averages
def test_fit_is_that_of_a_table(kind, parameters):
    rows = X.copy()
    rows[[3, 200], [1, 2]] = np.nan
    frame = frame_of(rows)
    lazy, table = kind(frame), BatchNormTransformer(**parameters).fit(frame)
    scaler = BatchNormTransformer(**parameters).fit(lazy)
    assert_alike(scaler, table, rows, 14)
    assert scaler.feature_names_in_.tolist() == NAMES
    assert scaler.n_batches_seen_ == 1
    np.testing.assert_array_equal(scaler.n_samples_seen_, [500, 499, 499])
    scaler.partial_fit(kind(frame[:9])).partial_fit(frame[:9])
    table.partial_fit(frame[:9]).partial_fit(frame[:9])
    assert_alike(scaler, table, rows, 14)


@examples(30)
@given(
    streams(missing=True, powers=60),
    st.sampled_from(list(AVERAGES.values())),
    st.integers(1, 9),
)
def test_batches_do_not_depend_on_the_pieces(stream, parameters, size):
    names = [f"x{j}" for j in range(stream.X.shape[1])]
    pieces = [frame_of(rows, names) for rows, _ in stream.batches()]
    lazy = pl.concat([piece.lazy() for piece in pieces])
    parameters = {**parameters, "batch_size": size}
    weights = stream.weights
    if weights is not None and not weights.any():
        return
    scaler = BatchNormTransformer(**parameters).fit(lazy, sample_weight=weights)
    expected = BatchNormTransformer(**parameters).fit(stream.X, sample_weight=weights)
    assert_alike(scaler, expected, stream.X, 14)
    assert scaler.n_batches_seen_ == expected.n_batches_seen_


@pytest.mark.parametrize("kind", [polars_lazy, polars_in_pieces, duckdb_relation])
@pytest.mark.parametrize(
    "parameters", [{}, {"momentum": 0.1}, {"halflife": 20.0}], ids=str
)
def test_fit_stream_reads_the_same_batches(kind, parameters):
    lazy = kind(frame_of(X))
    ours = BatchNormTransformer(**parameters, batch_size=64).fit(lazy)
    theirs = fit_stream(BatchNormTransformer(**parameters), lazy, batch_rows=64)
    assert_alike(ours, theirs, X, 14)
    assert ours.n_batches_seen_ == theirs.n_batches_seen_ == 8


def test_batches_are_cut_across_tables():
    tables = [pa.table({"a": np.arange(i, i + n)}) for i, n in ((0, 2), (2, 0), (2, 5))]
    weights = np.arange(7.0)
    for size, expected in (
        (3, [[[0, 1], [2]], [[3, 4, 5]], [[6]]]),
        (2, [[[0, 1]], [[2, 3]], [[4, 5]], [[6]]]),
        (None, [[[0, 1], [2, 3, 4, 5, 6]]]),
    ):
        found = [
            [(part["a"].to_pylist(), its.tolist()) for part, its in batch]
            for batch in reading.batches(iter(tables), weights, size)
        ]
        assert [[rows for rows, _ in batch] for batch in found] == expected
        assert all(rows == its for batch in found for rows, its in batch)


@kinds
def test_exact_where_sql_loses_digits(kind):
    rows = RNG.normal(1e9, 1.0, size=(2000, 1))
    lazy = kind(frame_of(rows))
    scaler = BatchNormTransformer().fit(lazy)
    assert_exact(scaler, rows)
    if kind is duckdb_relation:
        theirs = lazy.aggregate("var_pop(a)").fetchall()[0][0]
        exact = float(exact_column(rows[:, 0]).variance)
        assert abs(theirs / exact - 1) > 1e-14
    image = collected(scaler.transform(lazy))
    expected = exact_image(rows, exact_columns(rows))
    np.testing.assert_allclose(image, expected, atol=2e-15)


@kinds
def test_sample_weight(kind):
    weights = RNG.random(500)
    lazy = kind(frame_of(X))
    assert_exact(BatchNormTransformer().fit(lazy, sample_weight=weights), X, weights)
    for wrong in (weights[:400], np.ones(501), np.ones((500, 1)), -weights):
        with pytest.raises(ValueError, match="sample_weight"):
            BatchNormTransformer().fit(lazy, sample_weight=wrong)
    scaler = BatchNormTransformer(batch_size=64).fit(lazy, sample_weight=2)
    assert_exact(scaler, X)
    assert scaler.n_samples_seen_ == 1000
    for nothing in (0.0, np.zeros(500)):
        with pytest.raises(ValueError, match="All of sample_weight is zero"):
            BatchNormTransformer().fit(lazy, sample_weight=nothing)


# transform

MAPS = [
    {},
    {"gamma": [1.0, 0.0, -3.0], "beta": 0.5},
    {"clip": 0.7, "beta": [0.1, 0.2, 0.3]},
    {"with_mean": False},
    {"with_std": False},
    {"epsilon": 1e-5, "clip": (-1, 3)},
]


@kinds
@pytest.mark.parametrize("parameters", MAPS, ids=str)
def test_transform_is_that_of_a_table(kind, parameters):
    rows = X.copy()
    rows[[3, 200], [1, 2]] = np.nan
    lazy, frame = kind(frame_of(rows)), frame_of(rows)
    scaler = BatchNormTransformer(**parameters).fit(frame)
    image = scaler.transform(lazy)
    assert type(image) is type(lazy)
    expected = scaler.transform(frame)
    np.testing.assert_allclose(collected(image), expected, rtol=1e-15, atol=1e-15)
    if 0.0 in parameters.get("gamma", [1.0]):
        with pytest.raises(ValueError, match="gamma is 0 for feature 1"):
            scaler.inverse_transform(image)
        return
    back = collected(scaler.inverse_transform(image))
    there = scaler.inverse_transform(expected)
    np.testing.assert_allclose(back, there, rtol=1e-15, atol=1e-15)


@kinds
def test_nothing_is_computed(kind):
    """A column that cannot be computed: the error comes when it is asked for."""
    if kind is duckdb_relation:
        lazy = kind(frame_of(X)).select("error(a::varchar)::double as a, b, c")
    else:

        def never(frame):
            raise ArithmeticError(frame)

        lazy = (
            frame_of(X).lazy().map_batches(never, schema=pl.Schema(frame_of(X).schema))
        )
        lazy = nw.from_native(lazy) if kind is wrapped else lazy
    scaler = BatchNormTransformer().fit(frame_of(X))
    image = scaler.inverse_transform(scaler.transform(lazy))
    with pytest.raises(Exception, match=r"."):
        collected(image)


def dask_table(frame):
    dd = pytest.importorskip("dask.dataframe")
    return dd.from_pandas(frame.to_pandas(), npartitions=2)


OTHERS = {
    "pandas": lambda frame: frame.to_pandas(),
    "pandas, nullable": lambda frame: frame.to_pandas().convert_dtypes(),
    "pyarrow": lambda frame: frame.to_arrow(),
    "dask": dask_table,
    **{kind.__name__: kind for kind in KINDS},
}


@pytest.mark.filterwarnings("ignore:Dask support is moving")
@pytest.mark.parametrize("library", OTHERS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_expression_for_all_libraries(library, dtype):
    frame = pl.DataFrame({"a": [1.0, 2.0, None, 8.0, -9.0], "i": [1, 2, 3, 4, 4]})
    scaler = BatchNormTransformer(clip=1.25, beta=0.25).fit(frame)
    native = OTHERS[library](frame)
    wrapped = nw.from_native(native)
    names = ["a", "i"]
    image = expressions.mapped(wrapped, scaler._current_map(), names, dtype).to_native()
    if isinstance(image, pa.Table):
        image = pl.from_arrow(image)
    if hasattr(image, "compute"):
        image = image.compute()
    if isinstance(image, pd.DataFrame):
        image = image.astype(float).to_numpy()
    elif isinstance(image, pl.DataFrame):
        image = image.to_numpy()
    else:
        image = collected(image)
    tolerance = 1e-6 if dtype == "float32" else 1e-15
    np.testing.assert_allclose(image, scaler.transform(frame), atol=tolerance)


@kinds
def test_nan_is_kept_where_it_is_clipped(kind):
    """To SQL NaN is larger than all numbers."""
    frame = pl.DataFrame({"a": [np.nan, -9.0, 0.0, 9.0, None]})
    scaler = BatchNormTransformer(clip=(-0.5, 0.25)).fit(frame)
    image = collected(scaler.transform(kind(frame)))
    np.testing.assert_array_equal(image[:, 0], [np.nan, -0.5, 0.0, 0.25, np.nan])


@kinds
def test_dtypes(kind):
    narrow = frame_of(X[:, :1]).cast(pl.Float32)
    mixed = narrow.with_columns(b=pl.lit(3, pl.Int64), c=pl.lit(value=True))
    for frame, dtype in ((narrow, "float32"), (mixed, "float64")):
        lazy = kind(frame)
        scaler = BatchNormTransformer().fit(lazy)
        image = scaler.transform(lazy)
        native = image.to_native() if hasattr(image, "to_native") else image
        schema = nw.from_native(native).collect_schema()
        assert {str(kind).lower() for kind in schema.values()} == {dtype}
        np.testing.assert_allclose(collected(image), scaler.transform(frame), rtol=1e-6)


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_set_output_leaves_lazy_tables_lazy(output):
    lazy = frame_of(X).lazy()
    scaler = BatchNormTransformer().set_output(transform=output)
    assert isinstance(scaler.fit_transform(lazy), pl.LazyFrame)
    with sklearn.config_context(transform_output=output):
        assert isinstance(scaler.fit(lazy).transform(lazy), pl.LazyFrame)


# What is wrong


@kinds
def test_other_features(kind):
    scaler = BatchNormTransformer().fit(frame_of(X))
    before = pickle.dumps(scaler)
    for call in (scaler.partial_fit, scaler.transform):
        with pytest.raises(ValueError, match="feature names should match"):
            call(kind(frame_of(X, ["a", "c", "b"])))
    with pytest.raises(ValueError, match="X has 2 features"):
        scaler.inverse_transform(kind(frame_of(X[:, :2])))
    assert pickle.dumps(scaler) == before


@kinds
def test_what_is_not_a_number(kind):
    frame = frame_of(X).with_columns(d=pl.lit("text"))
    with pytest.raises(TypeError, match="feature 'd' is of type String"):
        BatchNormTransformer().fit(kind(frame))


@kinds
def test_an_infinity_is_found(kind):
    rows = X.copy()
    rows[321, 1] = np.inf
    scaler = BatchNormTransformer(batch_size=100).fit(X)
    before = pickle.dumps(scaler)
    for call in (scaler.fit, BatchNormTransformer().partial_fit):
        with pytest.raises(ValueError, match=r"infinity .*\(feature 'b', row 321\)"):
            call(kind(frame_of(rows)))
    assert pickle.dumps(scaler) == before


@kinds
def test_no_rows(kind):
    lazy = kind(frame_of(X)[:0])
    with pytest.raises(ValueError, match="0 sample"):
        BatchNormTransformer().fit(lazy)
    image = BatchNormTransformer().fit(frame_of(X)).transform(lazy)
    assert collected(image).shape == (0, 3)


def test_narwhals_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr("skbn.engines.lazyframe.find_spec", {}.get)
    with pytest.raises(ImportError, match=r"pip install 'skbn\[dataframe\]'"):
        BatchNormTransformer().fit(frame_of(X).lazy())
