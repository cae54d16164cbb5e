import gzip
import pickle
import signal
import threading

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted
from strategies import examples
from stream_data import (
    FEATURES,
    IN_MEMORY,
    ROWS,
    WRITERS,
    array,
    as_loader,
    folder,
    learnt,
    table,
    write_parquet,
)

import skbn
from skbn import BatchNormTransformer, fit_stream
from skbn.engines import auto, dense
from skbn.streams import pieces

TABLE = table()


def new(**parameters):
    return BatchNormTransformer(engine="numpy", **parameters)


def assert_same(left, right):
    for name in ("mean_", "var_", "n_samples_seen_", "n_batches_seen_"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    assert list(left.feature_names_in_) == list(right.feature_names_in_)


# Every source, cut again: the bits of a loop over slices of so many rows


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_sources_in_memory(kind):
    scaler = fit_stream(
        new(momentum=0.1),
        IN_MEMORY[kind](TABLE),
        columns=FEATURES,
        weight_column="w",
        batch_rows=64,
    )
    assert_same(scaler, learnt(TABLE, 64, weighted=True, momentum=0.1))


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("by", ["folder", "glob", "list"])
def test_files(kind, by, tmp_path):
    base = folder(TABLE, tmp_path / "data", kind)
    suffix = WRITERS[kind][1]
    source = {
        "folder": base,
        "glob": str(base / f"part-*{suffix}"),
        "list": [str(base / f"part-{i}{suffix}") for i in range(3)],
    }[by]
    scaler = fit_stream(
        new(momentum=0.1),
        source,
        columns=FEATURES,
        weight_column="w",
        batch_rows=64,
    )
    assert_same(scaler, learnt(TABLE, 64, weighted=True, momentum=0.1))


@given(
    cuts=st.lists(st.integers(0, 60), max_size=3).map(sorted),
    groups=st.integers(1, 70),
    rows=st.integers(1, 70),
)
@examples(12)
def test_momentum_does_not_depend_on_how_files_were_written(
    tmp_path_factory, cuts, groups, rows
):
    part = TABLE.slice(0, 60)
    base = tmp_path_factory.mktemp("cut")
    ends = zip((0, *cuts), (*cuts, 60), strict=True)
    for i, (start, stop) in enumerate(ends):
        path = base / f"{i}.parquet"
        write_parquet(part.slice(start, stop - start), path, groups)
    scaler = fit_stream(new(momentum=0.3), base, columns=FEATURES, batch_rows=rows)
    assert_same(scaler, learnt(part, rows, momentum=0.3))


def test_frames_of_several_libraries():
    frames = [TABLE.slice(0, 301), pl.from_arrow(TABLE.slice(301, 200))]
    frames.append(TABLE.slice(501).to_pandas())
    scaler = fit_stream(new(momentum=0.1), frames, columns=FEATURES, batch_rows=64)
    assert_same(scaler, learnt(TABLE, 64, momentum=0.1))


# Arrays


@pytest.mark.parametrize(
    ("form", "parameters"),
    [
        (lambda X: X, {}),
        (np.asfortranarray, {}),
        (sparse.csr_array, {"with_mean": False}),
        (sparse.coo_matrix, {"with_mean": False}),
        (lambda X: [X[:10], X[10:10], X[10:].tolist()], {}),
        (lambda X: [sparse.csr_array(X[:300]), sparse.csc_array(X[300:])], {}),
        (lambda X: ((part, None) for part in np.array_split(X, 7)), {}),
    ],
)
def test_arrays(form, parameters):
    X = np.nan_to_num(array(TABLE))
    if parameters or (form(X).__class__ is list and sparse.issparse(form(X)[0])):
        parameters = {"with_mean": False}
    scaler = fit_stream(new(**parameters), form(X), batch_rows=96)
    expected = new(**parameters)
    for start in range(0, ROWS, 96):
        expected.partial_fit(X[start : start + 96])
    np.testing.assert_allclose(scaler.mean_, expected.mean_, rtol=1e-14)
    np.testing.assert_allclose(scaler.var_, expected.var_, rtol=1e-14)
    assert scaler.n_batches_seen_ == expected.n_batches_seen_


def test_one_column_and_weights_alone():
    scaler = fit_stream(new(), TABLE, columns="c")
    assert scaler.mean_ == pytest.approx(TABLE["c"].to_numpy().mean(), rel=1e-14)
    with pytest.raises(ValueError, match="there is no column to learn"):
        fit_stream(new(), TABLE.select(["w"]), weight_column="w")


def test_packed_csv(tmp_path):
    pa.csv.write_csv(TABLE, tmp_path / "x.csv")
    packed = gzip.compress((tmp_path / "x.csv").read_bytes())
    (tmp_path / "x.csv.gz").write_bytes(packed)
    (tmp_path / "x.csv").unlink()
    scaler = fit_stream(new(), tmp_path, columns=FEATURES, batch_rows=100)
    assert_same(scaler, learnt(TABLE, 100))


def test_an_array_of_one_dimension(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"x\.npy: an array of two dimensions"):
        fit_stream(new(), tmp_path / "x.npy")


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(order, tmp_path):
    X = np.asarray(array(TABLE), order=order)
    np.save(tmp_path / "x.npy", X)
    scaler = fit_stream(
        new(momentum=0.5), tmp_path / "x.npy", columns=[2, 0], batch_rows=100
    )
    expected = new(momentum=0.5)
    for start in range(0, ROWS, 100):
        expected.partial_fit(X[start : start + 100][:, [2, 0]])
    np.testing.assert_array_equal(scaler.mean_, expected.mean_)


def test_weights_of_an_array():
    X = np.random.default_rng(0).random((50, 3))
    scaler = fit_stream(new(), X, weight_column=1, batch_rows=50)
    expected = new().fit(X[:, [0, 2]], sample_weight=X[:, 1])
    np.testing.assert_array_equal(scaler.mean_, expected.mean_)


def test_a_loader_of_torch():
    scaler = fit_stream(new(), as_loader(TABLE))
    np.testing.assert_allclose(scaler.mean_, learnt(TABLE, 48).mean_, rtol=1e-15)
    assert scaler.n_batches_seen_ == -(-ROWS // 48)


def test_a_reader_that_uses_its_memory_again():
    X, buffer = array(TABLE), np.empty((50, 3))

    def refilled():
        for part in np.split(X, 20):
            buffer[:] = part
            yield buffer

    scaler = fit_stream(new(momentum=0.2), refilled(), batch_rows=64)
    expected = new(momentum=0.2)
    for start in range(0, ROWS, 64):
        expected.partial_fit(X[start : start + 64])
    np.testing.assert_array_equal(scaler.mean_, expected.mean_)


# Defaults


def test_batches_of_an_iterable_stay_as_they_are():
    scaler = fit_stream(new(batch_size=7), np.array_split(array(TABLE), 11))
    assert scaler.n_batches_seen_ == 11


def test_batches_of_the_transformers_size():
    numbers = TABLE.select(FEATURES)
    assert fit_stream(new(batch_size=300), numbers).n_batches_seen_ == 4
    assert fit_stream(new(), numbers).n_batches_seen_ == 1
    assert fit_stream(new(batch_size=300), numbers, batch_rows=500).n_batches_seen_ == 2


def test_it_goes_on_from_what_was_learnt():
    numbers = TABLE.select(FEATURES)
    scaler = new(halflife=100).partial_fit(numbers.slice(0, 300))
    assert fit_stream(scaler, numbers.slice(300)) is scaler
    expected = new(halflife=100).partial_fit(numbers.slice(0, 300))
    assert_same(scaler, expected.partial_fit(numbers.slice(300)))


def test_all_columns_but_the_weights():
    numbers = TABLE.select([*FEATURES, "w"])
    scaler = fit_stream(new(), numbers, weight_column="w")
    assert list(scaler.feature_names_in_) == FEATURES


@pytest.mark.parametrize("rows", [None, 128])
def test_all_columns_but_the_weights_of_batches(rows):
    batches = TABLE.select([*FEATURES, "w"]).to_batches(100)
    scaler = fit_stream(new(), batches, weight_column="w", batch_rows=rows)
    assert_same(scaler, learnt(TABLE, rows or 100, weighted=True))
    arrays = [np.column_stack([array(TABLE), TABLE["w"]])]
    again = fit_stream(new(), arrays, weight_column=3, batch_rows=rows or 100)
    np.testing.assert_allclose(again.mean_, scaler.mean_, rtol=1e-14)


def test_other_estimators():
    X = array(TABLE)[:, [0, 2]]
    scaler = fit_stream(StandardScaler(), X, batch_rows=100)
    np.testing.assert_allclose(scaler.mean_, X.mean(axis=0), rtol=1e-12)
    weighted = fit_stream(StandardScaler(), X[:, [1, 0]] ** 2, weight_column=0)
    assert weighted.mean_.shape == (1,)


def test_types_that_become_floats():
    odd = pa.table(
        {
            "half": pa.array(np.array([1.0, 3.0], np.float16)),
            "nothing": pa.nulls(2),
            "yes": [True, False],
            "decimal": pa.array([1, 2], pa.decimal128(5, 2)),
        }
    )
    scaler = fit_stream(new(), odd)
    np.testing.assert_array_equal(scaler.mean_, [2.0, np.nan, 0.5, 1.5])


def test_csv_whose_numbers_are_whole_at_first(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b,s\n" + "1,,x\n" * 400_000 + "1.5,2.5,7\n")
    scaler = fit_stream(new(), path, columns=["a", "b"])
    assert scaler.n_samples_seen_.tolist() == [400_001, 1]
    assert scaler.mean_[1] == 2.5


def test_files_of_other_order_and_width(tmp_path):
    """Columns are taken by name; more of them do no harm where some are asked for."""
    write_parquet(TABLE.slice(0, 500), tmp_path / "0.parquet")
    write_parquet(
        TABLE.slice(500)
        .select(["c", "a", "b"])
        .cast(
            pa.schema([("c", pa.float32()), ("a", pa.float64()), ("b", pa.float64())])
        ),
        tmp_path / "1.parquet",
    )
    scaler = fit_stream(new(), tmp_path, columns=FEATURES, batch_rows=300)
    assert_same(scaler, learnt(TABLE, 300))


def test_empty_files_are_passed_over(tmp_path):
    base = folder(TABLE, tmp_path / "data", cuts=(0, 0, 500, 500))
    scaler = fit_stream(new(), base, columns=FEATURES, batch_rows=128)
    assert_same(scaler, learnt(TABLE, 128))


def test_only_the_columns_asked_for_are_read(monkeypatch, tmp_path):
    write_parquet(TABLE, tmp_path / "x.parquet")
    asked = []
    iter_batches = pq.ParquetFile.iter_batches

    def watched(self, *args, columns, **options):
        asked.append(columns)
        return iter_batches(self, *args, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    fit_stream(new(), tmp_path / "x.parquet", columns=["c"], weight_column="w")
    assert asked == [["c", "w"]]


# Errors. Each is one line, and the transformer holds what came before.


def test_sources_without_rows(tmp_path):
    write_parquet(TABLE.slice(0, 0), tmp_path / "x.parquet")
    for source in (tmp_path, TABLE.slice(0, 0), iter([]), np.empty((0, 3))):
        scaler = new()
        columns = FEATURES if not isinstance(source, np.ndarray) else None
        with pytest.raises(ValueError, match="has no rows"):
            fit_stream(scaler, source, columns=columns)
        with pytest.raises(NotFittedError):
            check_is_fitted(scaler)


@pytest.mark.parametrize("kind", WRITERS)
def test_text_is_an_error_that_names_the_column(kind, tmp_path):
    base = folder(TABLE, tmp_path / "data", kind)
    with pytest.raises(ValueError, match=r"part-0.*column 'name' holds \w*string"):
        fit_stream(new(), base)


def test_text_in_memory():
    with pytest.raises(ValueError, match="column 'name' holds"):
        fit_stream(new(), iter([TABLE]))
    with pytest.raises(ValueError, match="column 'name' holds"):
        fit_stream(new(), pl.from_arrow(TABLE))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["a", "z"]}, r"no column 'z'; its columns are 'name', 'a', 'w'"),
        ({"columns": ["a"], "weight_column": "z"}, "no column 'z'"),
        ({"columns": ["a", "a"]}, "names 'a' twice"),
        ({"columns": []}, "names no column"),
        ({"columns": ["a", "w"], "weight_column": "w"}, "and is weight_column, too"),
        ({"columns": ["a"], "batch_rows": 0}, "batch_rows=0"),
        ({"columns": ["a"], "batch_rows": 2.5}, "batch_rows=2.5"),
        ({"columns": ["a"], "progress": "yes"}, "progress='yes'"),
    ],
)
def test_arguments_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        fit_stream(new(), TABLE, **options)


def test_numbers_for_names():
    with pytest.raises(ValueError, match="no column 3; there are 3, called by number"):
        fit_stream(new(), array(TABLE), columns=[3])
    with pytest.raises(ValueError, match="no column 'a'"):
        fit_stream(new(), iter([array(TABLE)]), columns=["a"])
    with pytest.raises(ValueError, match="two dimensions"):
        fit_stream(new(), iter([np.zeros(3)]), columns=[0])
    with pytest.raises(ValueError, match="two dimensions"):
        fit_stream(new(), np.zeros(3))


@pytest.mark.parametrize("source", [3, None, b"x.csv", {"a": [1.0]}, {1.0}])
def test_what_is_no_source(source):
    with pytest.raises(TypeError, match=r"A \w+ is no source"):
        fit_stream(new(), source)


@pytest.mark.parametrize("source", [pl.Series([1.0]), pa.chunked_array([[1.0]])])
def test_a_column_is_no_table(source):
    with pytest.raises(TypeError, match=r"is no table|A batch is rows of"):
        fit_stream(new(), source)


def test_batches_that_are_none():
    with pytest.raises(TypeError, match="A batch is rows of features; this one is 'x'"):
        fit_stream(new(), iter("x"))
    with pytest.raises(ValueError, match="Expected 2D array"):
        fit_stream(new(), [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    "batches",
    [
        [np.eye(2), np.eye(3)],
        [pa.table({"a": [1.0]}), np.eye(1)],
        [np.eye(2), sparse.csr_array(np.eye(3))],
    ],
)
def test_batches_that_do_not_go_together(batches):
    with pytest.raises(ValueError, match="do not go together"):
        fit_stream(new(), batches, batch_rows=4)


def test_dense_and_sparse_batches():
    batches = [np.eye(2), sparse.csr_array(np.eye(2))]
    scaler = fit_stream(new(with_mean=False), batches, batch_rows=3)
    np.testing.assert_array_equal(scaler.var_, [0.25, 0.25])


def test_columns_of_one_name(tmp_path):
    (tmp_path / "x.csv").write_text("a,a,b\n1,2,3\n")
    with pytest.raises(ValueError, match="several columns are called 'a'"):
        fit_stream(new(), tmp_path / "x.csv")
    assert fit_stream(new(), tmp_path / "x.csv", columns=["b"]).mean_ == 3


def test_a_frame_of_pandas_whose_columns_are_numbers():
    frame = TABLE.select(FEATURES).to_pandas().set_axis(range(3), axis=1)
    scaler = fit_stream(new(), frame, columns=["0", "2"])
    assert list(scaler.feature_names_in_) == ["0", "2"]


def test_what_is_no_estimator():
    with pytest.raises(TypeError, match="has no partial_fit"):
        fit_stream(object(), TABLE)


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
        fit_stream(new(), tmp_path / "none.parquet")
    with pytest.raises(FileNotFoundError, match="The path is empty"):
        fit_stream(new(), "")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        fit_stream(new(), tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        fit_stream(new(), str(tmp_path / "*.parquet"))
    (tmp_path / "x.txt").touch()
    with pytest.raises(ValueError, match=r"x\.txt: it is not known how to read"):
        fit_stream(new(), tmp_path / "x.txt")
    write_parquet(TABLE, tmp_path / "a.parquet")
    np.save(tmp_path / "b.npy", array(TABLE))
    with pytest.raises(ValueError, match="files of different kinds"):
        fit_stream(new(), tmp_path)


@pytest.mark.parametrize("kind", ["parquet", "feather", "stream", "npy"])
@pytest.mark.parametrize("left", [0.0, 0.05, 0.5, 0.95])
def test_truncated_files(kind, left, tmp_path):
    path = tmp_path / f"x.{'arrow' if kind == 'stream' else kind}"
    if kind == "npy":
        np.save(path, array(TABLE))
    else:
        WRITERS[kind][0](TABLE, path)
    path.write_bytes(path.read_bytes()[: int(left * path.stat().st_size)])
    scaler = new()
    columns = None if kind == "npy" else FEATURES
    with pytest.raises(ValueError, match=path.name) as caught:
        fit_stream(scaler, path, columns=columns, batch_rows=64)
    assert "\n" not in str(caught.value)


def test_a_csv_with_a_bad_row(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n" + "1,2\n" * 300_000 + "1,oops\n" + "1,2\n" * 9)
    scaler = new()
    with pytest.raises(
        ValueError, match=r"x\.csv: .*column 'b', row 300000: .*oops"
    ) as caught:
        fit_stream(scaler, path, batch_rows=1000)
    (note,) = caught.value.__notes__
    assert f"after {scaler.n_samples_seen_:,} rows" in note
    assert 0 < scaler.n_samples_seen_ <= 300_000


def test_a_row_of_another_width(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(
        ValueError, match=r"x\.csv: .*Row #3: Expected 2 columns, got 3"
    ):
        fit_stream(new(), path)


def test_empty_csv(tmp_path):
    path = tmp_path / "x.csv"
    path.touch()
    with pytest.raises(ValueError, match=r"x\.csv: Empty CSV file"):
        fit_stream(new(), path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["b"]), r"part-1.*no column 'b'"),
        (lambda t: t.set_column(3, "b", t["name"]), r"part-1.*'b' holds string"),
    ],
)
def test_a_schema_that_changes_in_the_middle(change, message, tmp_path):
    base = folder(TABLE, tmp_path / "data")
    write_parquet(change(TABLE), base / "part-1.parquet")
    scaler = new()
    with pytest.raises(ValueError, match=message):
        fit_stream(scaler, base, columns=FEATURES)
    assert not hasattr(scaler, "mean_")


def test_more_columns_in_the_middle(tmp_path):
    numbers = TABLE.select(FEATURES)
    base = folder(numbers, tmp_path / "data")
    write_parquet(TABLE.select([*FEATURES, "w"]), base / "part-1.parquet")
    with pytest.raises(ValueError, match=r"'w' is in .*part-1.* not in .*part-0"):
        fit_stream(new(), base)


def test_an_infinity_is_named_by_file_and_row(tmp_path):
    values = TABLE["a"].to_numpy().copy()
    values[777] = np.inf
    base = folder(TABLE.set_column(1, "a", pa.array(values)), tmp_path / "data")
    scaler = new()
    with pytest.raises(
        ValueError, match=r"part-2\.parquet, row 77: .*feature 'a'"
    ) as e:
        fit_stream(scaler, base, columns=FEATURES, batch_rows=100)
    assert "after 700 rows" in e.value.__notes__[0]
    assert_same(scaler, learnt(TABLE.slice(0, 700), 100))


def test_bad_weights_are_named_by_their_rows(tmp_path):
    weights = TABLE["w"].to_numpy().copy()
    weights[450] = -1
    base = folder(TABLE.set_column(2, "w", pa.array(weights)), tmp_path / "data")
    options = {"columns": FEATURES, "weight_column": "w"}
    with pytest.raises(ValueError, match=r"part-1\.parquet, rows 0 to 99: Negative"):
        fit_stream(new(), base, **options, batch_rows=100)
    with pytest.raises(ValueError, match=r"part-0.*, row 300 to .*part-1.*, row 199: "):
        fit_stream(new(), base, **options, batch_rows=300)


def half():
    yield from TABLE.select(FEATURES).to_batches(100)[:5]
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (half, RuntimeError),
        (
            lambda: pa.RecordBatchReader.from_batches(
                TABLE.select(FEATURES).schema, half()
            ),
            ValueError,
        ),
    ],
)
def test_a_reader_that_raises_half_way(source, error):
    scaler = new()
    with pytest.raises(error, match="broken") as caught:
        fit_stream(scaler, source(), batch_rows=128)
    assert "\n" not in str(caught.value)
    assert "Stopped after 384 rows" in caught.value.__notes__[0]
    assert_same(scaler, learnt(TABLE.slice(0, 384), 128))


def test_ctrl_c_while_files_are_read(tmp_path, monkeypatch):
    base, learn = folder(TABLE, tmp_path / "data"), BatchNormTransformer._learn

    def interrupted(self, *args):
        fitted = learn(self, *args)
        if self.n_batches_seen_ == 4:
            signal.raise_signal(signal.SIGINT)
        return fitted

    monkeypatch.setattr(BatchNormTransformer, "_learn", interrupted)
    # Where the tests run in the background of a shell, nothing would come of it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    scaler = new()
    with pytest.raises(KeyboardInterrupt) as caught:
        fit_stream(scaler, base, columns=FEATURES, batch_rows=100)
    signal.signal(signal.SIGINT, before)
    assert "Interrupted after 400 rows" in caught.value.__notes__[0]
    assert scaler.n_samples_seen_.max() == 400
    assert not any(t.name == "skbn-reader" for t in threading.enumerate())


def test_a_file_that_is_changed_meanwhile(tmp_path, monkeypatch):
    base = folder(TABLE, tmp_path / "data")
    scaler = new()
    learn = BatchNormTransformer._learn

    def slow(self, *args):
        write_parquet(TABLE, base / "part-2.parquet", 999)
        return learn(self, *args)

    monkeypatch.setattr(BatchNormTransformer, "_learn", slow)
    with pytest.raises(ValueError, match=r"part-2\.parquet: the file was changed"):
        fit_stream(scaler, base, columns=FEATURES, batch_rows=10)


def test_a_missing_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'skbn\[files\]'"):
        fit_stream(new(), pl.DataFrame({"a": [1.0]}))
    assert fit_stream(new(), np.eye(3)).n_samples_seen_ == 3


def test_lazy_names():
    assert "fit_stream" in dir(skbn)
    with pytest.raises(AttributeError, match="no attribute 'fit_streams'"):
        _ = skbn.fit_streams


def test_the_transformer_can_be_pickled_after_an_error():
    scaler = new()
    with pytest.raises(ValueError, match="infinity"):
        fit_stream(scaler, iter([np.eye(2), np.full((1, 2), np.inf)]))
    assert pickle.loads(pickle.dumps(scaler)).n_samples_seen_ == 2


@pytest.mark.parametrize(
    ("parameters", "rows"),
    [({}, 150), ({"halflife": 9.0}, 150), ({"momentum": 0.1}, 64)],
)
def test_row_groups_are_batches_where_no_result_depends_on_them(
    parameters, rows, tmp_path, monkeypatch
):
    monkeypatch.setattr(pieces, "BATCH_ROWS", 64)
    base = folder(TABLE, tmp_path / "data", cuts=(300, 600))
    scaler = fit_stream(new(**parameters), base, columns=FEATURES)
    assert_same(scaler, learnt(TABLE, rows, **parameters))


# What computes


def test_files_that_repay_a_compiler_are_compiled_for_at_once(tmp_path, monkeypatch):
    pytest.importorskip("numba")
    n_values = TABLE.num_rows * len(FEATURES)
    for name, price in {"LOAD": n_values, "COMPILE": n_values, "CALL": 0}.items():
        monkeypatch.setattr(auto, name, price)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    base, chosen = folder(TABLE, tmp_path / "data"), []
    load = dense.load
    monkeypatch.setattr(dense, "load", lambda name: chosen.append(name) or load(name))
    fit_stream(BatchNormTransformer(), base, columns=FEATURES, batch_rows=64)
    assert set(chosen) == {"numba"}
    auto.forget_compiled()
    fit_stream(BatchNormTransformer(), base, columns=FEATURES[1:], batch_rows=64)
    assert chosen[-1] == "numpy"
