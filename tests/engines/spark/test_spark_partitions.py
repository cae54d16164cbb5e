"""What a worker of Spark does with its partition: none is needed here."""

import json

import numpy as np
import pytest
from averages import AVERAGES, assert_alike
from exact import assert_exact
from hypothesis import given
from hypothesis import strategies as st
from strategies import cuts, examples, streams

from skbn import BatchNormTransformer
from skbn.averaging import Cumulative, averaging
from skbn.engines.spark import partitions
from skbn.engines.spark.partitions import Learning, Mapping

pa = pytest.importorskip("pyarrow")
pytest.importorskip("narwhals")

RNG = np.random.default_rng(0)


def learning(n_features, *, arrays=False, weighted=False, batch_size=None, how=None):
    names = None if arrays else [f"x{j}" for j in range(n_features)]
    return Learning(
        averaging=how or Cumulative(),
        n_features=n_features,
        names=names,
        weighted=weighted,
        batch_size=batch_size,
        engine="numpy",
        n_threads=1,
    )


def arrow_batch(X, weights=None, *, arrays=False):
    """A batch as Spark sends it: null for NaN in columns, lists in one column."""
    columns = list(X.T)
    columns = [pa.array(column, mask=np.isnan(column)) for column in columns]
    if arrays:
        columns = [pa.array(list(X), pa.list_(pa.from_numpy_dtype(X.dtype)))]
    if weights is not None:
        columns.append(pa.array(weights))
    return pa.RecordBatch.from_arrays(columns, [f"c{i}" for i in range(len(columns))])


def arrow_batches(X, weights, places, **options):
    """Rows cut at some places, where there are empty batches, too."""
    for start, stop in zip([0, 0, *places], [0, *places, len(X)], strict=True):
        its = None if weights is None else weights[start:stop]
        yield arrow_batch(X[start:stop], its, **options)


def sent(task, number, batches):
    return [row for b in task.records_of(number, batches) for row in b.to_pylist()]


@examples(60)
@given(
    streams(missing=True, powers=60),
    st.sampled_from(["cumulative", "cumulative, ddof", "half-life 1", "half-life 20"]),
    st.booleans(),
    st.data(),
)
def test_partitions_in_any_tree_are_one_stream(stream, name, arrays, data):
    weights, parameters = stream.weights, AVERAGES[name]
    n_rows, n_features = stream.X.shape
    how = averaging(None, parameters.get("halflife"), zero_debias=True, ddof=0)
    task = learning(n_features, arrays=arrays, weighted=weights is not None, how=how)
    rows = []
    for number, (X, its) in enumerate(stream.batches()):
        places = data.draw(cuts(len(X))) if len(X) > 1 else []
        rows += sent(
            task, 2 * number, arrow_batches(X, its, places, arrays=arrays)
        )  # every other partition is empty
    at = data.draw(st.integers(0, len(rows)))
    groups = [g for g in (rows[:at], rows[at:]) if g]
    merged = [row for group in groups for row in merged_by_workers(group[::-1])]
    number, running, positive = partitions.received(merged[::-1])
    assert number == 0
    assert positive == (weights is not None and bool(weights.any()))
    if weights is not None and not weights.any():
        return
    expected = BatchNormTransformer(**parameters).fit(stream.X, sample_weight=weights)
    ours = BatchNormTransformer(**parameters).fit(stream.X[:1] * 0)
    ours._running = running
    assert_alike(ours, expected, stream.X, 14)
    np.testing.assert_allclose(ours.n_samples_seen_, expected.n_samples_seen_, 1e-15)
    if "half" not in name:
        assert_exact(ours, stream.X, weights)
    assert n_rows


def merged_by_workers(rows):
    table = pa.Table.from_pylist(rows, partitions._sent(0).schema)
    merged = partitions.merge(table).to_pylist()
    pandas = pytest.importorskip("pandas")
    frame = partitions.merge_pandas(pandas.DataFrame(rows))
    assert pa.Table.from_pandas(frame).to_pylist() == merged
    return merged


@pytest.mark.parametrize("arrays", [False, True])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_momentum_cuts_batches_across_those_of_arrow(size, arrays):
    X, how = RNG.normal(1e6, 1, (50, 3)), {"zero_debias": False, "ddof": 1}
    task = learning(3, arrays=arrays, batch_size=size, how=averaging(0.2, None, **how))
    rows = sent(task, 0, arrow_batches(X, None, [3, 4, 30], arrays=arrays))
    _, running, _ = partitions.received(rows)
    expected = BatchNormTransformer(momentum=0.2, batch_size=size, **how).fit(X)
    ours = BatchNormTransformer(momentum=0.2, **how).fit(X)
    ours._running = running
    assert_alike(ours, expected, X, 14)
    assert running.n_batches == expected.n_batches_seen_


def test_no_rows_send_nothing():
    task = learning(2)
    assert sent(task, 0, []) == []
    assert sent(task, 0, [arrow_batch(np.empty((0, 2)))]) == []


def test_all_missing_is_a_row():
    task = learning(2)
    (row,) = sent(task, 3, [arrow_batch(np.full((4, 2), np.nan))])
    _, running, _ = partitions.received([row])
    assert (row["number"], running.n_samples) == (3, 0)
    assert json.loads(row["state"])["n_batches"] == 1


@pytest.mark.parametrize("kind", ["int8", "int64", "float32", "bool", "object"])
def test_kinds_of_numbers(kind):
    from decimal import Decimal

    values = [1, 0, None, 1, None, 1]
    column = (
        pa.array(values, None if kind == "object" else kind, from_pandas=True)
        if (kind != "bool")
        else pa.array([None if v is None else bool(v) for v in values])
    )
    if kind == "object":
        column = pa.array([None if v is None else Decimal(v) / 8 for v in values])
    scale = 8 if kind == "object" else 1
    task = learning(1)
    batches = [pa.RecordBatch.from_arrays([column], ["c0"])]
    _, running, _ = partitions.received(sent(task, 0, batches))
    mean, variance = running.statistics(0)
    assert running.n_samples == 4
    assert mean[0][0] == 0.75 / scale
    assert variance[0] == pytest.approx(0.1875 / scale**2, rel=1e-15)
    if kind != "object":
        lists = pa.array([[v] for v in column.to_pylist()], pa.list_(column.type))
        batches = [pa.RecordBatch.from_arrays([lists], ["c0"])]
        _, same, _ = partitions.received(sent(learning(1, arrays=True), 0, batches))
        assert same.statistics(0)[1][0] == variance[0]


def test_a_null_list_is_a_row_of_missing_values():
    for kind in (pa.float32(), pa.float64(), pa.int32()):
        lists = pa.array([[1, None], None, [3, 4]], pa.list_(kind))
        values = partitions.array_of(lists, 2)
        np.testing.assert_array_equal(values, [[1, np.nan], [np.nan] * 2, [3, 4]])
        assert values.dtype == (np.float32 if kind == pa.float32() else np.float64)
    assert partitions.array_of(pa.array([None], pa.list_(kind)), 2).shape == (1, 2)


# What is wrong


def error_of(task, batches):
    (row,) = sent(task, 7, batches)
    assert row["state"] is None
    return row["error"]


@pytest.mark.parametrize("arrays", [False, True])
def test_errors_say_where(arrays):
    X = RNG.normal(size=(9, 2))
    X[6, 1] = -np.inf
    task = learning(2, arrays=arrays)
    error = error_of(task, arrow_batches(X, None, [4, 5], arrays=arrays))
    assert error.startswith("In partition 7: Input X contains infinity")
    name = "1" if arrays else "'x1'"
    assert error.endswith(f"(feature {name}, row 6).")
    X[6, 1] = 0.0
    task = learning(2, arrays=arrays, weighted=True)
    for bad, message in ((-1.0, "Negative values"), (np.nan, "NaN"), (1e300, "large")):
        weights = np.ones(9)
        weights[6] = bad
        error = error_of(task, arrow_batches(X, weights, [4, 5], arrays=arrays))
        assert error.startswith("In partition 7, its rows from 5 on: ")
        assert message in error


def test_lists_of_other_lengths():
    lists = pa.array([[1.0, 2.0], None, [1.0, 2.0, 3.0]])
    batches = [pa.RecordBatch.from_arrays([lists], ["c0"])]
    error = error_of(learning(2, arrays=True), batches)
    assert error == "In partition 7: 3 features in row 2, expected 2."


def test_the_first_error_wins():
    good = sent(learning(1), 1, [arrow_batch(np.ones((2, 1)))])
    bad = [sent(learning(1), n, [arrow_batch(np.full((1, 1), np.inf))]) for n in (2, 3)]
    rows = [*bad[1], *good, *bad[0]]
    with pytest.raises(ValueError, match="In partition 2: "):
        partitions.received(rows)
    (row,) = merged_by_workers(rows)
    assert row["number"] == 1
    with pytest.raises(ValueError, match="In partition 2: "):
        partitions.received([row])


# Images


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "parameters", [{}, {"clip": 0.5, "beta": 0.1}, {"gamma": [0.0, 2.0]}], ids=str
)
def test_images_are_those_of_transform(parameters, dtype):
    X = RNG.normal(1e9, 1, (30, 2)).astype(dtype)
    X[3, 0] = np.nan
    scaler = BatchNormTransformer(**parameters).fit(X)
    task = Mapping(scaler._current_map(), np.dtype(dtype), [2, 0])
    columns = [pa.array(X[:, 1]), pa.array(["text"] * 30), pa.array(X[:, 0])]
    batch = pa.RecordBatch.from_arrays(columns, ["b", "t", "a"])
    (image,) = task.images([batch])
    expected = scaler.transform(X)
    np.testing.assert_array_equal(image["a"].to_numpy(), expected[:, 0])
    np.testing.assert_array_equal(image["b"].to_numpy(), expected[:, 1])
    assert image["t"].to_pylist() == ["text"] * 30
    assert str(image["a"].type) == dtype.replace("float64", "double").replace(
        "float32", "float"
    )


def test_images_keep_nulls_nan_and_infinities():
    scaler = BatchNormTransformer(clip=(-1.0, 2.0)).fit(np.array([[0.0], [2.0]]))
    task = Mapping(scaler._current_map(), np.dtype(float), [0])
    values = pa.array([None, np.nan, np.inf, -np.inf, 1.5])
    (image,) = task.images([pa.RecordBatch.from_arrays([values], ["a"])])
    found = image["a"].to_pylist()
    assert found[0] is None
    np.testing.assert_array_equal(found[1:], [np.nan, 2.0, -1.0, 0.5])
