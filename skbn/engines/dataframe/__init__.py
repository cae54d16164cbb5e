"""The engine for tables: pandas and polars DataFrames, pyarrow Tables."""

from skbn.engines.dataframe.engine import (
    CONTAINER,
    accepts,
    check,
    find_infinity,
    moments,
    normalize,
    rows,
)

__all__ = [
    "CONTAINER",
    "accepts",
    "check",
    "find_infinity",
    "moments",
    "normalize",
    "rows",
]
