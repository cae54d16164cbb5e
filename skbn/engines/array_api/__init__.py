"""The engine for arrays of other libraries, by the Python array API specification."""

from skbn.engines.array_api.engine import (
    CONTAINER,
    accepts,
    check,
    find_infinity,
    like,
    moments,
    normalize,
    refuse_other,
    rows,
)

__all__ = [
    "CONTAINER",
    "accepts",
    "check",
    "find_infinity",
    "like",
    "moments",
    "normalize",
    "refuse_other",
    "rows",
]
