"""The engine for arrays of other libraries, by the Python array API specification."""

from skbn.engines.array_api.engine import (
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
