"""Expressions of SQL give in DuckDB and SQLite what ``transform`` returns."""

import re
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from fitted import fitted
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from strategies import examples

import skbn
from skbn import BatchNormTransformer
from skbn.database import _of_integers

duckdb = pytest.importorskip("duckdb")
RNG = np.random.default_rng(0)
NAMES = ["height", 'net "weight"', "select", "t.x; --", "naïve `x`"]
TYPES = {"float64": "DOUBLE", "float32": "REAL", "int64": "BIGINT"}


@pytest.fixture(scope="module")
def databases():
    """A connection for each dialect; DuckDB reads the standard's, too."""
    with duckdb.connect() as duck, closing(sqlite3.connect(":memory:")) as lite:
        yield {"ansi": duck, "duckdb": duck, "sqlite": lite}


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def normalised(database, X, expression, names):
    """The rows of X as a table, normalised in the database; NULL as NaN."""
    database.execute("DROP TABLE IF EXISTS data")
    columns = ", ".join(f"{quoted(name)} {TYPES[X.dtype.name]}" for name in names)
    database.execute(f"CREATE TABLE data (place INTEGER, {columns})")
    marks = ", ".join("?" for _ in range(len(names) + 1))
    rows = [(i, *row) for i, row in enumerate(X.tolist())]
    database.executemany(f"INSERT INTO data VALUES ({marks})", rows)
    found = database.execute(f"SELECT {expression} FROM data ORDER BY place")
    assert [column[0] for column in found.description] == names
    return np.array(found.fetchall(), dtype=float)


@pytest.mark.parametrize("dialect", ["ansi", "duckdb", "sqlite"])
def test_equals_transform(databases, dialect):
    @examples(40)
    @given(fitted())
    def check(case):
        names = NAMES[: case.X.shape[1]]
        expression = skbn.sql(case.transformer, names, dialect=dialect)
        got = normalised(databases[dialect], case.X, expression, names)
        expected = case.transformer.transform(case.X.astype("f8"))
        np.testing.assert_array_equal(got, expected)

    check()


@pytest.mark.parametrize("dialect", ["duckdb", "sqlite"])
def test_digits_at_large_offsets(databases, dialect):
    X = 1e12 + RNG.normal(size=(200, 1))
    scaler = BatchNormTransformer().fit(X)
    expression = skbn.sql(scaler, ["clock"], dialect=dialect)
    got = normalised(databases[dialect], X, expression, ["clock"])
    np.testing.assert_array_equal(got, scaler.transform(X))


@pytest.mark.parametrize("clip", [None, 1.0, (0.5, np.inf), (-np.inf, 0.5)])
@pytest.mark.parametrize("dialect", ["ansi", "duckdb", "sqlite"])
def test_nulls_and_nans(databases, dialect, clip):
    X = np.array([[-9.0, 1.0], [np.nan, 1.0], [2.0, np.nan], [7.0, 1.0]])
    scaler = BatchNormTransformer(clip=clip).fit(X)
    columns = skbn.sql(scaler, ["a", "b"], dialect=dialect)
    got = normalised(databases[dialect], X, columns, ["a", "b"])
    np.testing.assert_array_equal(got, scaler.transform(X))
    source = "(SELECT NULL AS a, 1 AS b) AS data"
    (row,) = databases[dialect].execute(f"SELECT {columns} FROM {source}").fetchall()
    assert row[0] is None
    assert row[1] is not None


def test_nan_stays_nan_in_duckdb(databases):
    scaler = BatchNormTransformer(clip=1.0).fit([[1.0], [3.0]])
    expression = skbn.sql(scaler, ["a"], dialect="duckdb")
    source = "(SELECT CAST('NaN' AS DOUBLE) AS a)"
    ((value,),) = (
        databases["duckdb"].execute(f"SELECT {expression} FROM {source}").fetchall()
    )
    assert np.isnan(value)


@pytest.mark.parametrize("dialect", ["ansi", "duckdb", "sqlite"])
def test_integers_are_not_divided_as_such(databases, dialect):
    X = np.array([[1, 2**53 + 1], [2, 2**53 + 3], [4, 2**53 + 9]])
    scaler = BatchNormTransformer(with_mean=False).fit(X)
    expression = skbn.sql(scaler, ["a", "b"], dialect=dialect)
    got = normalised(databases[dialect], X, expression, ["a", "b"])
    np.testing.assert_array_equal(got, scaler.transform(X))


@examples(200)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_of_integers_are_exact(databases, value):
    text = _of_integers(value)
    assert all(abs(int(n)) <= 2**62 for n in re.findall(r"-?\d+", text))
    assert databases["sqlite"].execute(f"SELECT {text}").fetchone() == (value,)


def test_unknown_column_is_an_error(databases):
    scaler = BatchNormTransformer().fit([[1.0], [3.0]])
    for dialect, database in databases.items():
        expression = skbn.sql(scaler, ["no such column"], dialect=dialect)
        with pytest.raises((duckdb.Error, sqlite3.Error)):
            database.execute(f"SELECT {expression} FROM (SELECT 1 AS a) AS data")


def test_what_is_wrong_is_named():
    scaler = BatchNormTransformer().fit([[1.0, 2.0], [3.0, 5.0]])
    with pytest.raises(ValueError, match="3 columns for 2 features"):
        skbn.sql(scaler, ["a", "b", "c"])
    with pytest.raises(ValueError, match="Column 1 is 'a'"):
        skbn.sql(scaler, ["a", "a"])
    with pytest.raises(ValueError, match="Column 0 is ''"):
        skbn.sql(scaler, ["", "a"])
    assert skbn.sql(scaler, iter("ab")) == skbn.sql(scaler, np.array(["a", "b"]))
    with pytest.raises(TypeError, match="must be a sequence of names, not 'ab'"):
        skbn.sql(scaler, "ab")
    with pytest.raises(TypeError, match="must be a sequence of names"):
        skbn.sql(scaler, ["a", 1])
    with pytest.raises(ValueError, match="dialect='oracle' is none of"):
        skbn.sql(scaler, ["a", "b"], dialect="oracle")
    with pytest.raises(NotFittedError):
        skbn.sql(BatchNormTransformer(), ["a"])
