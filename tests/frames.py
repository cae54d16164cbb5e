"""Tables of the same columns in every library."""

from __future__ import annotations

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

NULLABLE = {
    "float64": "Float64",
    "float32": "Float32",
    "bool": "boolean",
    **{f"int{n}": f"Int{n}" for n in (8, 16, 32, 64)},
    **{f"uint{n}": f"UInt{n}" for n in (8, 16, 32, 64)},
}


def as_lists(columns):
    """Columns with None for NaN, and their types."""
    for name, values in columns.items():
        yield name, [None if x != x else x for x in values.tolist()], str(values.dtype)


def pandas_plain(columns):
    return pd.DataFrame(columns)


def pandas_nullable(columns):
    return pd.DataFrame(
        {n: pd.array(v, dtype=NULLABLE[t]) for n, v, t in as_lists(columns)}
    )


def pandas_arrow(columns):
    return arrow(columns).to_pandas(types_mapper=pd.ArrowDtype)


def polars(columns):
    return pl.from_arrow(arrow(columns))


def arrow(columns):
    return pa.table(
        {n: pa.array(v, type=_arrow_type(t)) for n, v, t in as_lists(columns)}
    )


def _arrow_type(name):
    return pa.bool_() if name == "bool" else pa.from_numpy_dtype(name)


def cut(columns):
    """The columns in two parts, the first of them short."""
    return [{n: v[part] for n, v in columns.items()} for part in (np.s_[:2], np.s_[2:])]


def polars_in_parts(columns):
    return pl.concat([polars(part) for part in cut(columns)], rechunk=False)


def arrow_in_parts(columns):
    return pa.concat_tables([arrow(part) for part in cut(columns)])


def wrapped(columns):
    return nw.from_native(polars(columns))


MAKERS = [
    *(pandas_plain, pandas_nullable, pandas_arrow, polars, arrow),
    *(polars_in_parts, arrow_in_parts, wrapped),
]


def named(X):
    """The columns of an array by name."""
    return {f"feature {j}": column for j, column in enumerate(np.asarray(X).T)}
