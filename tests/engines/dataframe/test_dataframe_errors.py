"""What is wrong with a table is said by the name of its column, as in scikit-learn."""

import copy
import datetime as dt
import pickle
import warnings
from decimal import Decimal

import numpy as np
import pytest

pytest.importorskip("narwhals")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

from frames import MAKERS, named, pandas_plain, polars  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from skbn import BatchNormTransformer  # noqa: E402

RNG = np.random.default_rng(0)
GOOD = RNG.normal(size=(6, 3))
DAY = dt.date(2020, 1, 1)
TIME = dt.datetime(2020, 1, 1)
makers = pytest.mark.parametrize("make", MAKERS, ids=lambda f: f.__name__)


def table(library, column):
    """Columns a and b, of which b is the given one."""
    return {
        "pandas": lambda: pd.DataFrame({"a": [1.0, 2.0], "b": column}),
        "pandas arrow": lambda: pa.table({"a": [1.0, 2.0], "b": column}).to_pandas(
            types_mapper=pd.ArrowDtype
        ),
        "polars": lambda: pl.DataFrame({"a": [1.0, 2.0], "b": column}),
        "pyarrow": lambda: pa.table({"a": [1.0, 2.0], "b": column}),
    }[library]()


libraries = pytest.mark.parametrize(
    "library", ["pandas", "pandas arrow", "polars", "pyarrow"]
)
NOT_NUMBERS = {
    "text": ["1.5", "x"],
    "dates": [DAY, DAY],
    "times": [TIME, None],
    "durations": [dt.timedelta(1)] * 2,
    "lists": [[1.0], [2.0]],
    "structs": [{"x": 1.0}, {"x": 2.0}],
    "structs of two": [{"x": 1.0, "y": 1}, {"x": 2.0, "y": 2}],
    "bytes": [b"x", b"y"],
}


@libraries
@pytest.mark.parametrize("kind", NOT_NUMBERS)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform"])
def test_not_numbers(library, kind, method):
    frame = table(library, NOT_NUMBERS[kind])
    scaler = BatchNormTransformer().fit(table(library, [1.0, 2.0]))
    before = pickle.dumps(vars(copy.deepcopy(scaler)))
    with pytest.raises((TypeError, ValueError), match="feature 'b'") as raised:
        getattr(scaler, method)(frame)
    assert pickle.dumps(vars(copy.deepcopy(scaler))) == before
    if kind == "text":
        assert "'x' (feature 'b', row 1)" in str(raised.value)
    if kind in ("times", "durations"):
        assert "Dates and durations" in str(raised.value)


@pytest.mark.parametrize("width", [1, 2])
def test_arrays_of_polars_are_no_numbers(width):
    column = pl.Series([[1.0] * width] * 2, dtype=pl.Array(pl.Float64, width))
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": column})
    for X in (frame, frame[["b"]], frame.lazy()):
        with pytest.raises(TypeError, match="feature 'b' is of type Array"):
            BatchNormTransformer().fit(X)


def test_complex():
    with pytest.raises(ValueError, match=r"Complex data not supported.*feature 'b'"):
        BatchNormTransformer().fit(table("pandas", [1j, 2.0]))


@libraries
@pytest.mark.parametrize(
    "column",
    [
        pytest.param([Decimal("1.5"), Decimal("2.5")], id="decimals"),
        pytest.param(["1.5", "2.5"], id="text"),
        pytest.param([None, None], id="nothing"),
        pytest.param([True, None], id="booleans"),
        pytest.param([2**62, None], id="integers"),
    ],
)
def test_what_is_read_as_numbers(library, column):
    scaler = BatchNormTransformer().fit(table(library, column))
    values = np.array([np.nan if x is None else float(x) for x in column])
    expected = BatchNormTransformer().fit(np.c_[[1.0, 2.0], values])
    np.testing.assert_array_equal(scaler.mean_, expected.mean_)
    np.testing.assert_array_equal(scaler.n_samples_seen_, expected.n_samples_seen_)


def test_object_columns_of_numbers():
    column = np.array([1, 2.5, None, np.nan, pd.NA, True], dtype=object)
    frame = pd.DataFrame({"a": column, "b": np.arange(6)})
    scaler = BatchNormTransformer().fit(frame)
    assert scaler.mean_[0] == 1.5
    assert scaler.n_samples_seen_.tolist() == [3, 6]


def test_sparse_and_categorical_columns_of_pandas():
    zeros = np.array([0.0, 0.0, 3.0])
    frame = pd.DataFrame(
        {"a": pd.arrays.SparseArray(zeros), "b": pd.Categorical([1, 2, 3]), "c": 1}
    )
    scaler = BatchNormTransformer().fit(frame)
    np.testing.assert_array_equal(scaler.mean_, [1.0, 2.0, 1.0])


def test_integers_wider_than_numpy_has():
    if not hasattr(pl, "Int128"):
        pytest.skip("polars has no wider integers")
    frame = pl.DataFrame({"a": [1, 2, 3]}).cast(pl.Int128)
    assert BatchNormTransformer().fit(frame).mean_ == 2.0


@makers
@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("n", [6, 70_000])
def test_infinity_is_named(make, value, n):
    rows = RNG.normal(size=(n, 3))
    rows[4, 2] = rows[5, 1] = value
    scaler = BatchNormTransformer().fit(make(named(RNG.normal(size=(9, 3)))))
    before = pickle.dumps(vars(copy.deepcopy(scaler)))
    for method in ("fit", "partial_fit", "transform", "inverse_transform"):
        with pytest.raises(ValueError, match=r"feature 'feature 2', row 4\)\.$"):
            getattr(scaler, method)(make(named(rows)))
    assert pickle.dumps(vars(copy.deepcopy(scaler))) == before


def outcome(scaler, first, second):
    """What scikit-learn lets users see, or the error."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            image = scaler.fit(first).transform(second)
    except (TypeError, ValueError) as error:
        name = type(scaler).__name__
        return type(error), str(error).replace(name, "Scaler")
    names = getattr(scaler, "feature_names_in_", None)
    return (
        image.shape,
        scaler.n_features_in_,
        None if names is None else names.tolist(),
        [str(w.message).replace(type(scaler).__name__, "Scaler") for w in caught],
    )


def pandas(columns, n=4):
    return pd.DataFrame(
        np.arange(n * len(columns)).reshape(n, -1) ** 2.0, columns=columns
    )


PLAIN = pandas(list("abc"))
PAIRS = {
    "the same": (PLAIN, PLAIN),
    "other order": (PLAIN, PLAIN[list("bca")]),
    "other names": (PLAIN, pandas(list("abd"))),
    "fewer": (PLAIN, PLAIN[["a", "b"]]),
    "more": (PLAIN, pandas(list("abcd"))),
    "no names": (PLAIN, PLAIN.to_numpy()),
    "no names in fit": (PLAIN.to_numpy(), PLAIN),
    "whole numbers as names": (pandas([0, 1, 2]), pandas([5, 6, 7])),
    "names of several kinds": (pandas(["a", 1, "c"]),) * 2,
    "several levels": (pandas(pd.MultiIndex.from_product([["a"], ["b", "c"]])),) * 2,
    "one column": (pandas(["a"]),) * 2,
    "one row": (pandas(list("abc"), n=1),) * 2,
    "a subclass": (type("Own", (pd.DataFrame,), {})(PLAIN),) * 2,
    "no rows": (PLAIN[:0], PLAIN),
    "no rows to transform": (PLAIN, PLAIN[:0]),
    "polars": (pl.DataFrame({"a": [1.0, 2.0]}),) * 2,
    "polars and pandas": (pl.DataFrame({"a": [1.0, 2.0]}), pandas(["a"])),
    "polars, other names": (pl.DataFrame({"a": [1.0]}), pl.DataFrame({"b": [1.0]})),
    "polars, no rows": (pl.DataFrame({"a": []}),) * 2,
    "pyarrow": (pa.table({"a": [1.0, 2.0]}),) * 2,
    "pyarrow, other names": (pa.table({"a": [1.0]}), pa.table({"b": [1.0]})),
    "pyarrow, nothing": (pa.table({}),) * 2,
}


@pytest.mark.parametrize(("first", "second"), PAIRS.values(), ids=PAIRS)
def test_as_standard_scaler(first, second):
    ours = outcome(BatchNormTransformer(), first, second)
    assert ours == outcome(StandardScaler(), first, second)


def test_sparse_frames_are_sparse_matrices():
    zeros = np.array([[0.0, 2.0], [0.0, 0.0], [3.0, 0.0]])
    frame = pd.DataFrame(zeros, columns=["a", "b"]).astype(pd.SparseDtype(float, 0.0))
    with pytest.raises(ValueError, match="Cannot center sparse matrices"):
        BatchNormTransformer().fit(frame)
    ours = BatchNormTransformer(with_mean=False).fit(frame)
    theirs = StandardScaler(with_mean=False).fit(frame)
    np.testing.assert_allclose(ours.scale_, theirs.scale_)
    assert list(ours.feature_names_in_) == ["a", "b"]
    image, expected = ours.transform(frame), theirs.transform(frame)
    np.testing.assert_allclose(image.toarray(), expected.toarray())


def test_no_columns():
    with pytest.raises(ValueError, match=r"0 feature\(s\).*BatchNormTransformer"):
        BatchNormTransformer().fit(pd.DataFrame(index=range(3)))
    with pytest.raises(ValueError, match=r"0 sample\(s\).*BatchNormTransformer"):
        BatchNormTransformer().fit(pl.DataFrame())


def test_inverse_transform_does_not_compare_names():
    scaler = BatchNormTransformer().fit(PLAIN)
    image = pd.DataFrame(scaler.transform(PLAIN), columns=list("xyz"))
    np.testing.assert_allclose(scaler.inverse_transform(image), PLAIN, atol=1e-12)
    with pytest.raises(ValueError, match=r"X has 2 features, but .* expecting 3"):
        scaler.inverse_transform(image[["x", "y"]])


@pytest.mark.parametrize("make", [pandas_plain, polars], ids=lambda f: f.__name__)
def test_other_kinds_of_data_with_the_same_names(make):
    scaler = BatchNormTransformer().fit(make(named(GOOD)))
    for other in MAKERS:
        np.testing.assert_allclose(
            scaler.transform(other(named(GOOD))), scaler.transform(make(named(GOOD)))
        )
