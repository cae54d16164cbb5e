"""Tables of pandas, polars and pyarrow hold the numbers of an array."""

import tracemalloc

import numpy as np
import pytest
from exact import assert_exact
from hypothesis import given
from hypothesis import strategies as st
from strategies import examples, streams, tables

pytest.importorskip("narwhals")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

from frames import MAKERS, arrow, named, pandas_plain, polars  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from skbn import BatchNormTransformer, batch_norm  # noqa: E402
from skbn.engines import dataframe as dataframe_engine  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal([0.0, 1e6, -1e9], size=(50, 3))
X[::7, 1] = np.nan
makers = pytest.mark.parametrize("make", MAKERS, ids=lambda f: f.__name__)


def mixed(n=40):
    """Columns of every type; whole numbers, so that sums are exact."""
    whole = RNG.integers(0, 100, n)
    types = ["f8", "f4", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1"]
    columns = {name: whole.astype(name) for name in types}
    return columns | {
        "bool": whole % 2 == 0,
        "gaps": np.where(whole > 9, whole, np.nan),
    }


def stacked(columns):
    return np.column_stack([column.astype(float) for column in columns.values()])


@makers
@examples(25)
@given(st.data(), streams(missing=True, powers=50, min_rows=2))
def test_statistics_are_exact(make, data, stream):
    rows, weights, _ = stream
    averages = data.draw(st.sampled_from([{}, {"batch_size": 3}]))
    scaler = BatchNormTransformer(**averages)
    scaler.partial_fit(make(named(rows)), sample_weight=weights)
    assert_exact(scaler, rows, weights)
    some = np.zeros(len(rows)) if weights is None else weights
    if weights is None or some.any():
        scaler.fit(make(named(rows)), sample_weight=weights)
        assert_exact(scaler, rows, weights)


@makers
@pytest.mark.parametrize("n", [3, 40, 70_000])
def test_mixed_columns(make, n):
    columns = mixed(n)
    frame, array = make(columns), stacked(columns)
    ours, plain = (BatchNormTransformer().fit(data) for data in (frame, array))
    np.testing.assert_array_equal(ours.mean_, plain.mean_)
    np.testing.assert_allclose(ours.var_, plain.var_, rtol=1e-15)
    np.testing.assert_array_equal(ours.n_samples_seen_, plain.n_samples_seen_)
    assert list(ours.feature_names_in_) == list(columns)
    image = ours.transform(frame)
    assert image.dtype == np.float64
    np.testing.assert_allclose(image, plain.transform(array), rtol=1e-14, atol=1e-14)
    back = ours.inverse_transform(make(named(image)))
    np.testing.assert_allclose(back, array, rtol=1e-12, atol=1e-12)


@makers
@pytest.mark.parametrize(
    "average", [{"momentum": 0.3}, {"halflife": 5.0}, {"batch_size": 7}], ids=str
)
def test_averages(make, average):
    frame, weights = make(named(X)), RNG.random(len(X))
    for its in (None, weights):
        ours = BatchNormTransformer(**average).fit(frame, sample_weight=its)
        ours.partial_fit(frame)
        plain = BatchNormTransformer(**average).fit(X, sample_weight=its)
        plain.partial_fit(X)
        for name in ("mean_", "var_", "scale_", "n_samples_seen_", "n_batches_seen_"):
            expected = getattr(plain, name)
            np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-14)


def test_one_column_with_gaps_counts_its_values():
    frame = pd.DataFrame({"a": [1.0, None, 3.0]})
    assert BatchNormTransformer(halflife=2).fit(frame).n_samples_seen_ == 2
    weighted = BatchNormTransformer().fit(frame, sample_weight=[1.0, 2.0, 3.0])
    assert weighted.n_samples_seen_ == 4.0


@makers
@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["f4", "f4"], "f4"),
        (["f4", "i1"], "f4"),
        (["f4", "i4"], "f8"),
        (["f8", "f4"], "f8"),
        (["i4", "i4"], "f8"),
        (["?", "?"], "f8"),
    ],
)
def test_dtype_of_the_image(make, types, expected):
    columns = {f"{j}": np.arange(4).astype(t) for j, t in enumerate(types)}
    assert BatchNormTransformer().fit_transform(make(columns)).dtype == expected
    if make is pandas_plain:  # all else scikit-learn takes to float64
        image = StandardScaler().fit_transform(make(columns))
        assert image.dtype == expected


@makers
def test_missing_float32_stays_float32(make):
    column = np.array([1.0, np.nan, 3.0], dtype="f4")
    image = BatchNormTransformer().fit_transform(make({"a": column, "b": column}))
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image[:, 0], [-1.0, np.nan, 1.0])


@makers
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("engine", ["numpy", "numba"])
def test_bits_do_not_depend_on_threads(make, engine, weighted):
    if engine != "numpy":
        pytest.importorskip(engine)
    rows = RNG.normal(size=(80_000, 4)) + 1e5
    rows[RNG.random(len(rows)) < 0.1, 0] = np.nan
    frame, weights = make(named(rows)), RNG.random(len(rows)) if weighted else None
    results = []
    for n_threads in (1, 2, 7):
        scaler = BatchNormTransformer(n_threads=n_threads, engine=engine)
        image = scaler.fit_transform(frame, sample_weight=weights)
        results.append((scaler.mean_, scaler.var_, image))
    for result in results[1:]:
        for ours, first in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(ours, first)


def test_engines_by_name():
    frame = polars(named(X))
    expected = BatchNormTransformer().fit(frame)
    for name in ("auto", "numpy", "dataframe"):
        scaler = BatchNormTransformer(engine=name).fit(frame)
        np.testing.assert_array_equal(scaler.mean_, expected.mean_)
    with pytest.raises(ValueError, match="'dataframe' does not read NumPy arrays"):
        BatchNormTransformer(engine="dataframe").fit(X)
    with pytest.raises(ValueError, match="'abacus' is unknown"):
        BatchNormTransformer(engine="abacus").fit(frame)


def test_accepts():
    class Own(pd.DataFrame):
        pass

    for make in MAKERS:
        assert dataframe_engine.accepts(make(named(X)))
    assert dataframe_engine.accepts(Own(X))
    for other in (X, X.tolist(), pd.Series([1.0]), pl.Series([1.0]), None):
        assert not dataframe_engine.accepts(other)


def test_without_narwhals_scikit_learn_reads_tables(monkeypatch):
    expected = BatchNormTransformer().fit(X)
    monkeypatch.setattr(dataframe_engine, "find_spec", lambda _: None)
    assert not dataframe_engine.accepts(polars(named(X)))
    assert dataframe_engine.accepts(pandas_plain(named(X)))
    scaler = BatchNormTransformer().fit(polars(named(X)))
    np.testing.assert_array_equal(scaler.mean_, expected.mean_)


def test_neighbours_by_chance_are_read_apart():
    """The same values in other places of memory give the same bits."""
    rows = np.asfortranarray(RNG.normal(size=(70_000, 3)) + 1e3)
    near = pl.DataFrame(named(rows))
    far = pl.DataFrame({name: column.copy() for name, column in named(rows).items()})
    ours, theirs = (BatchNormTransformer(engine="numpy").fit(f) for f in (near, far))
    np.testing.assert_array_equal(ours.mean_, theirs.mean_)
    np.testing.assert_array_equal(ours.var_, theirs.var_)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("step", [1, -2])
def test_a_pandas_frame_of_one_type_is_one_block(order, step):
    rows = np.asarray(RNG.normal(size=(300, 4)), order=order)
    frame = pd.DataFrame(rows).iloc[::step, ::step]
    scaler = BatchNormTransformer(engine="numpy").fit(frame)
    plain = BatchNormTransformer(engine="numpy").fit(frame.to_numpy())
    np.testing.assert_array_equal(scaler.mean_, plain.mean_)
    np.testing.assert_array_equal(
        scaler.transform(frame), plain.transform(frame.to_numpy())
    )


@makers
@examples(25)
@given(
    rows=tables(missing=True, min_rows=2),
    dtype=st.sampled_from(["f8", "f4", "i8", "i1", "bool"]),
    infinite=st.booleans(),
)
def test_short_columns_are_read_together_as_one_by_one(make, rows, dtype, infinite):
    """The same numbers, dtype and errors, whichever way a table is read."""
    if dtype[0] != "f":
        rows = np.nan_to_num(rows, nan=0.0) % 100
    rows = rows.astype(dtype)
    if infinite and dtype[0] == "f":
        rows[-1, 0] = rows[-2, -1] = np.inf
    frame = make(named(rows))

    def outcome():
        try:
            scaler = BatchNormTransformer(batch_size=2, engine="numpy").fit(frame)
        except ValueError as error:
            return str(error)
        return scaler.mean_, scaler.var_, scaler.transform(frame)

    together = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataframe_engine, "LITTLE", 0)
        apart = outcome()
    if isinstance(together, str):
        assert together == apart
        return
    assert together[2].dtype == apart[2].dtype
    rtol = float(np.finfo(apart[2].dtype).eps)
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-300)


@pytest.mark.parametrize("make", [pandas_plain, polars, arrow])
def test_many_short_columns_are_not_looked_at_one_by_one(make, monkeypatch):
    frame = make(named(RNG.normal(size=(10, 300))))
    for name in ("pandas_column", "narwhals_column"):
        monkeypatch.setattr(dataframe_engine, name, None)
    scaler = BatchNormTransformer().fit(frame)
    assert scaler.transform(frame).flags.f_contiguous


def test_one_column_twice():
    column = pa.array(X[:, 0])
    table = pa.Table.from_arrays([column, column], names=["a", "b"])
    scaler = BatchNormTransformer().fit(table)
    assert scaler.mean_[0] == scaler.mean_[1]


@makers
@pytest.mark.parametrize("copy", [True, False])
def test_a_table_is_never_written_to(make, copy):
    columns = {name: values.copy() for name, values in named(X).items()}
    frame = make(columns)
    scaler = BatchNormTransformer(copy=copy)
    image = scaler.fit_transform(frame)
    normalised = make(named(image))
    scaler.inverse_transform(normalised)
    np.testing.assert_array_equal(np.column_stack(list(columns.values())), X)
    np.testing.assert_array_equal(scaler.transform(frame), image)
    identity = BatchNormTransformer(with_mean=False, with_std=False).fit(X)
    np.testing.assert_array_equal(identity.inverse_transform(normalised), image)


def test_index_and_names_are_kept():
    frame = pd.DataFrame(X, columns=list("abc"), index=RNG.permutation(len(X)) * 10)
    scaler = BatchNormTransformer().set_output(transform="pandas").fit(frame)
    image = scaler.transform(frame)
    expected = StandardScaler().set_output(transform="pandas").fit_transform(frame)
    pd.testing.assert_frame_equal(image, expected)


@pytest.mark.parametrize(
    "make", [polars, arrow, pandas_plain], ids=lambda f: f.__name__
)
def test_polars_out(make):
    scaler = BatchNormTransformer().set_output(transform="polars")
    image = scaler.fit_transform(make(named(X)))
    assert image.columns == list(named(X))
    expected = BatchNormTransformer().fit_transform(X)
    np.testing.assert_allclose(image.to_numpy(), expected, rtol=1e-12)


def test_pandas_out_shares_the_image():
    """Its memory is that of one array, in the order of columns."""
    n = 200_000
    frame = pd.DataFrame({"a": np.arange(n, dtype="f8"), "b": np.arange(n)})
    scaler = BatchNormTransformer(n_threads=1).set_output(transform="pandas").fit(frame)
    scaler.transform(frame)
    tracemalloc.start()
    try:
        image = scaler.transform(frame)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert image["a"].to_numpy().strides == (8,)
    assert peak < 1.6 * image.to_numpy().nbytes


@makers
def test_memory_of_fit_is_that_of_a_column(make):
    n, p = 100_000, 12
    columns = {f"{j}": np.arange(n) % 7 + j / 2 for j in range(0, p, 2)}
    columns |= {f"{j}": np.arange(n) % 5 for j in range(1, p, 2)}
    columns["0"][::3] = np.nan
    frame = make(columns)
    scaler = BatchNormTransformer(n_threads=1, engine="numpy").fit(frame)
    tracemalloc.start()
    try:
        scaler.fit(frame)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # NumPy's engine has scratch of 3 MiB; a column is 0.8 MB, the table 9.6 MB.
    assert peak < 5 * 2**20


@makers
def test_batch_norm(make):
    np.testing.assert_allclose(batch_norm(make(named(X))), batch_norm(X), atol=1e-12)


@pytest.mark.parametrize("names", [["a", "a", "b"], [0, 0, 1]])
def test_two_columns_of_one_name(names):
    frame = pd.DataFrame(RNG.normal(size=(20, 3)), columns=names)
    scaler = BatchNormTransformer().fit(frame).partial_fit(frame)
    expected = BatchNormTransformer().fit(frame.to_numpy())
    np.testing.assert_array_equal(scaler.mean_, expected.mean_)
    image = scaler.set_output(transform="pandas").transform(frame)
    np.testing.assert_array_equal(image, expected.transform(frame.to_numpy()))
    if names[0] == "a":
        assert scaler.feature_names_in_.tolist() == list(image.columns) == names
        for other in (frame.iloc[:, ::-1], frame.set_axis(["a", "b", "b"], axis=1)):
            with pytest.raises(ValueError, match="a, a, b; they are"):
                scaler.transform(other)
        with pytest.raises(ValueError, match="should match"):
            scaler.transform(frame.set_axis(["a", "b", "c"], axis=1))
    else:
        assert not hasattr(scaler, "feature_names_in_")


def test_two_columns_of_one_name_against_none():
    frame = pd.DataFrame(RNG.normal(size=(20, 3)), columns=["a", "a", "b"])
    with pytest.warns(UserWarning, match="fitted without feature names"):
        BatchNormTransformer().fit(frame.to_numpy()).transform(frame)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        BatchNormTransformer().fit(frame).transform(frame.to_numpy())


def test_two_sparse_columns_of_one_name():
    zeros = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 0.0], [3.0, 0.0, 5.0]])
    frame = pd.DataFrame(zeros, columns=["a", "a", "b"])
    frame = frame.astype(pd.SparseDtype(float, 0.0))
    scaler = BatchNormTransformer(with_mean=False).fit(frame).partial_fit(frame)
    expected = BatchNormTransformer(with_mean=False).fit(zeros).partial_fit(zeros)
    assert scaler.feature_names_in_.tolist() == ["a", "a", "b"]
    np.testing.assert_array_equal(scaler.scale_, expected.scale_)
    image = scaler.transform(frame)
    np.testing.assert_allclose(image.toarray(), expected.transform(zeros), rtol=1e-15)
    with pytest.raises(ValueError, match="a, a, b; they are"):
        scaler.transform(frame.iloc[:, ::-1])
