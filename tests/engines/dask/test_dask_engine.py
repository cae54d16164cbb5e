"""Dask's arrays and tables: the numbers of the stream, computed once, mapped lazily."""

import math
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from averages import AVERAGES, assert_alike, streamed
from exact import assert_exact
from hypothesis import given
from hypothesis import strategies as st
from strategies import cuts, examples, streams

from skbn import BatchNormTransformer, engines, threads
from skbn.engines import auto

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

RNG = np.random.default_rng(0)
X = RNG.normal([0.0, 1e3, 1e9, 1e12, -4.0], size=(60, 5))
X[3, 2] = np.nan
X.flags.writeable = False
NAMES = list("abcde")
CHUNKS = ((20, 1, 30, 9), (2, 3))
FRAME = pd.DataFrame(X, columns=NAMES)
averages = pytest.mark.parametrize("parameters", AVERAGES.values(), ids=AVERAGES)


@pytest.fixture(autouse=True)
def _in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def array(rows=X, chunks=CHUNKS):
    return da.from_array(rows, chunks=chunks)


def of_unknown_sizes(collection):
    return collection[da.ones(collection.shape[0], chunks=collection.chunks[0]) > 0]


def table(parts):
    """A table of these partitions."""
    meta = parts[0].iloc[:0]
    return dd.from_map(lambda i: parts[i], range(len(parts)), meta=meta)


def parts_of(frame, sizes=CHUNKS[0]):
    stops = np.cumsum(sizes)
    return [frame.iloc[stop - n : stop] for n, stop in zip(sizes, stops, strict=True)]


def sizes_of(stream):
    return tuple(np.diff([0, *stream.cuts, len(stream.X)]).tolist())


def in_blocks(parameters, rows=X, weights=None, sizes=CHUNKS[0]):
    """The transformer that has seen the blocks one after the other."""
    scaler = BatchNormTransformer(engine="numpy", **parameters)
    start = 0
    for size in sizes:
        its = None if weights is None else weights[start : start + size]
        scaler.partial_fit(rows[start : start + size], sample_weight=its)
        start += size
    return scaler


def unbroken():
    """A collection that must not be computed."""

    def never(block):
        raise AssertionError(f"computed: {block}")

    return array().map_blocks(never, dtype=float, meta=np.empty((0, 0)))


# The numbers


@examples(30)
@given(
    streams(missing=True, powers=60),
    st.sampled_from(list(AVERAGES.values())),
    st.booleans(),
    st.data(),
)
def test_an_array_is_the_stream_of_its_blocks(stream, parameters, unknown, data):
    columns = np.diff([0, *data.draw(cuts(stream.X.shape[1])), stream.X.shape[1]])
    rows = array(stream.X, (sizes_of(stream), tuple(columns.tolist())))
    weights = stream.weights
    if weights is not None:
        weights = da.from_array(weights, chunks=(sizes_of(stream),))
    if unknown:
        rows = of_unknown_sizes(rows)
        weights = None if weights is None else of_unknown_sizes(weights)
    ours = BatchNormTransformer(**parameters)
    if weights is not None and not stream.weights.any():
        with pytest.raises(ValueError, match="All of sample_weight is zero"):
            ours.fit(rows, sample_weight=weights)
        return
    ours.fit(rows, sample_weight=weights)
    assert_alike(ours, streamed(stream.batches(), **parameters), stream.X, 14)
    assert ours.n_batches_seen_ == len(stream.cuts) + 1
    image = ours.transform(rows)
    assert image.numblocks == rows.numblocks
    np.testing.assert_array_equal(image.compute(), ours.transform(stream.X))


@examples(30)
@given(streams(missing=True, powers=60), st.integers(0, 9))
def test_an_array_is_exact(stream, batch_size):
    rows = array(stream.X, (sizes_of(stream), 2))
    weights = stream.weights
    if weights is not None and not weights.any():
        return
    scaler = BatchNormTransformer(batch_size=batch_size or None)
    assert_exact(scaler.fit(rows, sample_weight=weights), stream.X, weights)


@examples(20)
@given(
    streams(missing=True, powers=60),
    st.sampled_from(list(AVERAGES.values())),
    st.data(),
)
def test_a_table_is_the_stream_of_its_partitions(stream, parameters, data):
    frame = pd.DataFrame(stream.X)
    frame["weight"] = 1.0 if stream.weights is None else stream.weights
    parts = parts_of(frame, sizes_of(stream))
    for _ in range(data.draw(st.integers(0, 2))):
        parts.insert(data.draw(st.integers(0, len(parts))), frame.iloc[:0])
    whole = table(parts)
    rows = whole[list(frame.columns[:-1])]
    weights = None if stream.weights is None else whole["weight"]
    if weights is not None and not stream.weights.any():
        return
    ours = BatchNormTransformer(**parameters).fit(rows, sample_weight=weights)
    assert_alike(ours, streamed(stream.batches(), **parameters), stream.X, 14)
    assert ours.n_batches_seen_ == len(stream.cuts) + 1
    image = ours.transform(rows)
    assert image.npartitions == len(parts)
    np.testing.assert_array_equal(image.compute(), ours.transform(stream.X))


@averages
def test_small_files_stay_partitions_of_their_own(parameters, tmp_path):
    """Dask would read columns of several as one, those of the weights apart."""
    frame = FRAME.assign(weight=RNG.random(60), **{f"more {i}": 0.0 for i in range(9)})
    for i, part in enumerate(parts_of(frame)):
        part.to_parquet(tmp_path / f"{i}.parquet")
    lazy = dd.read_parquet(tmp_path)
    scaler = BatchNormTransformer(**parameters)
    scaler.fit(lazy[NAMES], sample_weight=lazy["weight"])
    expected = in_blocks(parameters, weights=frame["weight"].to_numpy())
    assert_alike(scaler, expected, X, 14)
    assert scaler.n_batches_seen_ == 4
    image = scaler.transform(lazy[NAMES]).compute()
    np.testing.assert_array_equal(image, scaler.transform(FRAME))


@averages
def test_partial_fit_goes_on(parameters):
    ours = BatchNormTransformer(**parameters).partial_fit(array())
    ours.partial_fit(X[:7]).partial_fit(array())
    theirs = in_blocks(parameters).partial_fit(X[:7])
    start = 0
    for size in CHUNKS[0]:
        theirs.partial_fit(X[start : start + size])
        start += size
    assert_alike(ours, theirs, X, 14)
    assert ours.n_batches_seen_ == 9


def test_fit_cuts_blocks_into_batches():
    scaler = BatchNormTransformer(momentum=0.1, batch_size=8).fit(array())
    expected = in_blocks({"momentum": 0.1}, sizes=[8, 8, 4, 1, 8, 8, 8, 6, 8, 1])
    assert_alike(scaler, expected, X, 14)
    assert scaler.n_batches_seen_ == 10


class Everything:
    """A set that holds all there is."""

    def __contains__(self, _):
        return True


@pytest.mark.parametrize("engine", ["auto", "numpy", "dask"])
def test_bits_are_those_of_the_blocks_in_order(engine, monkeypatch):
    """Whatever this process has compiled, and whoever merges."""
    expected = in_blocks({"halflife": 20.0})
    monkeypatch.setattr(auto, "_compiled", Everything())
    for scheduler in ("synchronous", "threads"):
        scaler = BatchNormTransformer(halflife=20.0, engine=engine)
        with dask.config.set(scheduler=scheduler, split_every=2):
            scaler.fit(array(chunks=(CHUNKS[0], 5)))
        np.testing.assert_array_equal(scaler.mean_, expected.mean_)
        np.testing.assert_array_equal(scaler.var_, expected.var_)


def test_large_collections_are_read_by_numba(monkeypatch):
    pytest.importorskip("numba")
    asked = []
    reader = engines.reader

    def spy(rows, name="auto", n_threads=None):
        asked.append((name, n_threads))
        return reader(rows, name, n_threads)

    monkeypatch.setattr(engines, "reader", spy)
    large = da.zeros((2**24, 2), chunks=(2**23, 2)).map_blocks(
        lambda block: block[:3], dtype=float, meta=np.empty((0, 0))
    )
    BatchNormTransformer().fit(large)
    assert set(asked[-2:]) == {("numba", 1)}
    BatchNormTransformer(n_threads=3).fit(array())
    assert asked[-1] == ("numpy", 3)


def test_blocks_are_read_by_one_thread_each(monkeypatch):
    asked, run = [], threads.run

    def spy(function, tasks, n_threads=None):
        asked.append(n_threads)
        return run(function, tasks, n_threads)

    monkeypatch.setattr(threads, "run", spy)
    rows = da.ones((2**18, 4), chunks=(2**17, 4))
    scaler = BatchNormTransformer(engine="numpy").fit(rows)
    scaler.transform(rows).compute()
    assert set(asked) == {1}


QUERY_PLANNING = """
import dask

dask.config.set({"array.query-planning": True, "scheduler": "synchronous"})
import dask.array as da
import numpy as np
from skbn import BatchNormTransformer

assert da.array_expr_enabled()
rows, weights = np.arange(60.0).reshape(20, 3) ** 2, np.arange(20.0)
X = da.from_array(rows, chunks=((4, 9, 7), (2, 1)))
W = da.from_array(weights, chunks=5)
ours = BatchNormTransformer(halflife=5).fit(X, sample_weight=W)
theirs = BatchNormTransformer(halflife=5).fit(rows, sample_weight=weights)
np.testing.assert_allclose(ours.var_, theirs.var_, rtol=1e-14)
np.testing.assert_array_equal(ours.transform(X).compute(), ours.transform(rows))
"""


def test_with_query_planning_of_arrays():
    """Which a process chooses once."""
    if not hasattr(da, "array_expr_enabled"):
        pytest.skip("this version of Dask has none")
    subprocess.run([sys.executable, "-c", QUERY_PLANNING], check=True, timeout=120)


# Sample weights

W = RNG.random(60)


@pytest.mark.parametrize(
    "weights",
    [W, W.tolist(), da.from_array(W, chunks=7), da.from_array(W, chunks=(CHUNKS[0],))],
    ids=["array", "list", "other blocks", "its blocks"],
)
def test_sample_weight(weights):
    scaler = BatchNormTransformer().fit(array(), sample_weight=weights)
    assert_exact(scaler, X, W)


def test_one_weight_for_all():
    scaler = BatchNormTransformer().fit(of_unknown_sizes(array()), sample_weight=2)
    assert_exact(scaler, X)
    np.testing.assert_array_equal(scaler.n_samples_seen_, [120, 120, 118, 120, 120])


def test_missing_rows_are_not_weights_of_zero():
    rows = np.full((4, 2), np.nan)
    scaler = BatchNormTransformer().fit(array(rows, 2), sample_weight=da.ones(4))
    assert np.isnan(scaler.var_).all()


BAD_WEIGHTS = [
    (W[:9], r"sample_weight.shape == \(9,\), expected \(60,\)"),
    (da.ones(9, chunks=3), r"sample_weight.shape == \(9,\), expected \(60,\)"),
    (da.ones((60, 1)), r"sample_weight.shape == \(60, 1\)"),
    (-1.0, "Negative values in sample_weight"),
    (0, "All of sample_weight is zero"),
    (np.zeros(60), "All of sample_weight is zero"),
    (-W, "Negative values in sample_weight: .* in row 0"),
]


@pytest.mark.parametrize(("weights", "message"), BAD_WEIGHTS)
def test_weights_that_are_refused_before_anything_is_computed(weights, message):
    with pytest.raises(ValueError, match=message):
        BatchNormTransformer().fit(unbroken(), sample_weight=weights)


def test_weights_that_are_refused_by_a_block():
    weights = np.where(np.arange(60) == 22, -1.0, 1.0)
    lazy = da.from_array(weights, chunks=13)
    with pytest.raises(ValueError, match=r"In block \(2, .\): Negative .* in row 1"):
        BatchNormTransformer().fit(array(), sample_weight=lazy)
    with pytest.raises(ValueError, match="All of sample_weight is zero"):
        BatchNormTransformer().fit(array(), sample_weight=da.zeros(60))
    BatchNormTransformer().partial_fit(array(), sample_weight=da.zeros(60))


def test_weights_of_rows_whose_number_is_unknown():
    rows = of_unknown_sizes(array(chunks=(CHUNKS[0], 5)))
    with pytest.raises(ValueError, match="must be a Dask array or series"):
        BatchNormTransformer().fit(rows, sample_weight=W)
    with pytest.raises(ValueError, match="has 2 blocks and X has 4"):
        BatchNormTransformer().fit(rows, sample_weight=da.ones(60, chunks=30))
    cut_elsewhere = da.ones(60, chunks=15)
    with pytest.raises(ValueError, match=r"In block .: sample_weight.shape == \(15,\)"):
        BatchNormTransformer().fit(rows, sample_weight=cut_elsewhere)


# One pass, one compute


class Computations(dask.callbacks.Callback):
    """How often something was computed, and how often a block was made."""

    def __init__(self):
        super().__init__()
        self.times, self.blocks = 0, []

    def _start(self, graph):
        self.times += 1

    def counted(self, block, block_id=None):
        self.blocks.append(block_id)
        return block


@pytest.mark.parametrize("weighted", [False, True])
def test_fit_computes_once_and_reads_once(weighted):
    count = Computations()
    rows = array(chunks=(10, 5)).map_blocks(
        count.counted, dtype=float, meta=np.empty((0, 0))
    )
    weights = da.ones(60, chunks=10) if weighted else None
    with count:
        scaler = BatchNormTransformer().fit(rows, sample_weight=weights)
        assert (count.times, len(count.blocks)) == (1, 6)
        image = scaler.inverse_transform(scaler.transform(rows))
        assert count.times == 1
    np.testing.assert_allclose(image.compute(), X, rtol=1e-12)


# Lazy images


def test_an_array_keeps_its_chunks_and_its_dtype():
    scaler = BatchNormTransformer(clip=1.5, gamma=2.0, beta=[1, 2, 3, 4, 5]).fit(X)
    for dtype in ("f4", "f8", "i8", "f2"):
        rows = np.nan_to_num(X).clip(-9, 9).astype(dtype)
        for lazy in (array(rows), of_unknown_sizes(array(rows))):
            image = scaler.transform(lazy)
            expected = scaler.transform(rows)
            assert isinstance(image, da.Array)
            np.testing.assert_equal(image.chunks, lazy.chunks)
            assert image.dtype == image._meta.dtype == expected.dtype
            np.testing.assert_array_equal(image.compute(), expected)
            back = scaler.inverse_transform(image).compute()
            np.testing.assert_array_equal(back, scaler.inverse_transform(expected))


def test_blocks_are_never_written_to():
    rows = X.copy()
    scaler = BatchNormTransformer(copy=False).fit(array(rows))
    scaler.transform(array(rows), copy=False).compute()
    np.testing.assert_array_equal(rows, X)


def test_a_table_keeps_its_names_divisions_and_index():
    frame = FRAME.set_axis(np.arange(60) * 10)
    lazy = dd.from_pandas(frame, npartitions=4)
    scaler = BatchNormTransformer().fit(lazy)
    assert scaler.feature_names_in_.tolist() == NAMES
    for image, expected in (
        (scaler.transform(lazy), scaler.transform(frame)),
        (scaler.inverse_transform(lazy), scaler.inverse_transform(frame)),
    ):
        assert isinstance(image, dd.DataFrame)
        assert image.divisions == lazy.divisions
        assert image.known_divisions
        assert image.columns.tolist() == NAMES
        assert (image.dtypes == np.float64).all()
        computed = image.compute()
        pd.testing.assert_frame_equal(
            computed, pd.DataFrame(expected, index=frame.index, columns=NAMES)
        )
        assert (computed.dtypes == image.dtypes).all()


@pytest.mark.parametrize("dtype", ["float32", "Float64", "int64", "float64[pyarrow]"])
def test_kinds_of_columns(dtype):
    frame = pd.DataFrame({"a": [1, 2, 4, 8, 9], "b": [3, 0, 0, 1, 2]}).astype(dtype)
    parts = [frame.iloc[:2], frame.iloc[:0], frame.iloc[2:]]
    lazy = table(parts)
    scaler = BatchNormTransformer().fit(lazy)
    image = scaler.transform(lazy)
    expected = scaler.transform(frame)
    assert (image.dtypes == expected.dtype).all()
    np.testing.assert_array_equal(image.compute(), expected)
    empty = image.partitions[1].compute()
    assert empty.shape == (0, 2)
    assert empty.columns.tolist() == ["a", "b"]
    assert (empty.dtypes == expected.dtype).all()


def test_numbers_in_objects():
    frame = pd.DataFrame({"a": ["1", "2", "4.5"]}, dtype=object)
    scaler = BatchNormTransformer().fit(table([frame]))
    np.testing.assert_allclose(scaler.mean_, [2.5])
    rows = np.array([["1"], [2], [4.5]], dtype=object)
    np.testing.assert_allclose(BatchNormTransformer().fit(array(rows, 2)).mean_, [2.5])


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_set_output_leaves_lazy_data_lazy(output):
    pytest.importorskip(output)
    scaler = BatchNormTransformer().set_output(transform=output).fit(array())
    assert isinstance(scaler.transform(array()), da.Array)
    with sklearn.config_context(transform_output=output):
        lazy = dd.from_pandas(FRAME, npartitions=2)
        assert isinstance(BatchNormTransformer().fit_transform(lazy), dd.DataFrame)


def test_the_same_map_has_the_same_name():
    scaler = BatchNormTransformer().fit(X)
    assert scaler.transform(array()).name == scaler.transform(array()).name
    other = BatchNormTransformer(clip=2.0).fit(X)
    assert scaler.transform(array()).name != other.transform(array()).name


# Sparse blocks


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_array])
def test_sparse_blocks(kind):
    rows = sp.random(60, 5, 0.3, format="csr", random_state=0).toarray()
    lazy = array(rows).map_blocks(kind, meta=kind((0, 0)))
    scaler = BatchNormTransformer(with_mean=False).fit(lazy)
    assert_exact(scaler, rows)
    image = scaler.transform(lazy)
    block = image.blocks[1, 1].compute()
    assert sp.issparse(block)
    assert block.format == kind((1, 1)).format
    expected = scaler.transform(rows)
    np.testing.assert_allclose(
        image.map_blocks(_dense, dtype=float).compute(), expected
    )
    with pytest.raises(ValueError, match="Cannot center sparse"):
        BatchNormTransformer().fit(lazy)
    with pytest.raises(ValueError, match="make numbers of the zeros"):
        scaler.set_params(beta=1.0).transform(lazy)
    operator = BatchNormTransformer(sparse_output="linear_operator").fit(lazy)
    assert_exact(operator, rows)
    with pytest.raises(ValueError, match="cannot be linear operators"):
        operator.transform(lazy)


def _dense(block):
    return block.toarray()


# What is wrong


def unchanged(scaler, call, error, match):
    before = pickle.dumps(scaler)
    with pytest.raises(error, match=match):
        call(scaler)
    assert pickle.dumps(scaler) == before


def test_features_are_checked_before_anything_is_computed():
    fitted = BatchNormTransformer().fit(FRAME)
    lazy = unbroken()
    for method in ("partial_fit", "transform"):
        call = getattr(fitted, method)
        with pytest.warns(UserWarning, match="valid feature names"):
            unchanged(
                fitted,
                lambda _, call=call: call(lazy[:, :3]),
                ValueError,
                "X has 3 features",
            )
        renamed = dd.from_pandas(FRAME.rename(columns={"b": "x"}), npartitions=2)
        unchanged(
            fitted,
            lambda _, call=call, renamed=renamed: call(renamed),
            ValueError,
            "feature names should match",
        )
    unchanged(
        fitted,
        lambda scaler: scaler.inverse_transform(lazy[:, :3]),
        ValueError,
        "X has 3 features",
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"gamma": [1.0, 2.0]}, r"gamma must be .* shape \(5,\)"),
        ({"clip": (2, 1)}, "clip="),
        ({"momentum": 0.1, "halflife": 3}, "exclude each other"),
        ({"engine": "nonsense"}, "'nonsense' is unknown"),
    ],
)
def test_parameters_are_checked_before_anything_is_computed(parameters, message):
    with pytest.raises(ValueError, match=message):
        BatchNormTransformer(**parameters).fit(unbroken())


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (lambda: da.ones(5), ValueError, "Expected 2D array, got 1D"),
        (lambda: da.ones((2, 3, 4)), ValueError, "Expected 2D array, got 3D"),
        (lambda: da.ones((0, 3)), ValueError, "0 sample"),
        (lambda: da.ones((3, 0)), ValueError, "0 feature"),
        (lambda: da.ones((3, 2), dtype="M8[s]"), TypeError, "Dates and durations"),
        (lambda: da.ones((3, 2), dtype=complex), ValueError, "Complex"),
        (lambda: array(np.full((60, 5), "1")), ValueError, "strings"),
        (lambda: of_unknown_sizes(array(X.T, 3)).T, ValueError, "number of columns"),
        (
            lambda: dd.from_pandas(
                pd.DataFrame({"a": pd.date_range("2020", periods=3)}), npartitions=1
            ),
            TypeError,
            "Dates and durations .*'a'",
        ),
    ],
)
def test_metadata_that_are_refused(bad, error, message):
    with pytest.raises(error, match=message):
        BatchNormTransformer().fit(bad())


def test_no_rows_in_any_block():
    rows = array()
    nothing = rows[da.zeros(60, chunks=(CHUNKS[0],)) > 0]
    with pytest.raises(ValueError, match="0 sample"):
        BatchNormTransformer().fit(nothing)
    scaler = BatchNormTransformer().fit(rows)
    assert scaler.transform(nothing).compute().shape == (0, 5)
    empty = table([FRAME.iloc[:0], FRAME.iloc[:0]])
    with pytest.raises(ValueError, match="0 sample"):
        BatchNormTransformer().fit(empty)
    image = BatchNormTransformer().fit(FRAME).transform(empty).compute()
    assert image.shape == (0, 5)


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform"])
def test_an_infinity_is_found(method):
    rows = X.copy()
    rows[25, 3] = -np.inf
    scaler = BatchNormTransformer().fit(X)
    message = r"In block \(2, 1\): .*contains infinity .*\(feature 3, row 4\)\.$"
    unchanged(
        scaler,
        lambda scaler: da.compute(getattr(scaler, method)(array(rows))),
        ValueError,
        message,
    )
    lazy = table(parts_of(pd.DataFrame(rows, columns=NAMES)))
    scaler = BatchNormTransformer().fit(FRAME)
    message = r"In block 2: .*contains infinity .*\(feature 'd', row 4\)\.$"
    unchanged(
        scaler,
        lambda scaler: da.compute(getattr(scaler, method)(lazy)),
        ValueError,
        message,
    )


def test_text_is_found():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["1", "2", "x"]})
    lazy = table([frame.iloc[:1], frame.iloc[1:]])
    with pytest.raises(ValueError, match=r"In block 1: .*'x' \(feature 'b', row 1\)"):
        BatchNormTransformer().fit(lazy)
    rows = np.array([[1, 2, 3.5], [4, 5, "x"]], dtype=object)
    message = (
        r"In block \(1, 1\), whose feature 0 is feature 2 of X: .*\(feature 0, row 0"
    )
    with pytest.raises(ValueError, match=message):
        BatchNormTransformer().fit(array(rows, (1, 2)))


def test_blocks_that_are_not_what_the_metadata_say():
    rows = array(chunks=(20, 5)).map_blocks(
        lambda block: block[:, :3], dtype=float, meta=np.empty((0, 0))
    )
    with pytest.raises(ValueError, match=r"In block .: X has 3 features"):
        BatchNormTransformer().fit(rows)


def test_what_it_reads_and_imports():
    engine = engines.load("dask")
    for other in (X, FRAME, math, dask.delayed(FRAME), da.ones(3).to_delayed()):
        assert not engine.accepts(other)
    assert engine.accepts(array())
    code = (
        "import sys, pandas, skbn;"
        "skbn.BatchNormTransformer().fit_transform(pandas.DataFrame({'a': [1, 2]}));"
        "sys.exit('dask' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
