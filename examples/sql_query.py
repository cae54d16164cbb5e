"""
Normalise in the database
=========================

Rows that never leave the database can be normalised there: ``skbn.sql`` gives the
columns of a SELECT that compute what ``transform`` does, digit by digit. Here in
SQLite, which comes with Python, with a clock in milliseconds, a count and missing
values.

Usage: ``python examples/sql_query.py``
"""

import sqlite3
from contextlib import closing

import numpy as np

import skbn

generator = np.random.default_rng(0)
rows = np.column_stack(
    (
        1.7e12 + generator.normal(scale=2e3, size=1000),
        generator.poisson(30, size=1000),
        np.where(generator.random(1000) < 0.1, np.nan, generator.gamma(2, size=1000)),
    )
)
scaler = skbn.BatchNormTransformer(clip=3.0).fit(rows)
columns = ["arrived at", "visits", "spent"]

with closing(sqlite3.connect(":memory:")) as database:
    database.execute(
        'CREATE TABLE shop ("arrived at" REAL, visits INTEGER, spent REAL)'
    )
    database.executemany("INSERT INTO shop VALUES (?, ?, ?)", rows.tolist())
    query = f"SELECT {skbn.sql(scaler, columns, dialect='sqlite')} FROM shop"
    found = np.array(database.execute(query).fetchall(), dtype=float)

same = np.array_equal(found, scaler.transform(rows), equal_nan=True)
print(f"same bits as transform: {same}, {np.isnan(found).sum()} NULLs")
print(skbn.sql(skbn.BatchNormTransformer().fit(rows), columns))
