"""The engine for SciPy's sparse matrices and arrays: CSR and CSC, as they are."""

from skbn.engines.sparse.engine import (
    CONTAINER,
    accepts,
    check,
    check_map,
    find_infinity,
    moments,
    normalize,
    rows,
)

__all__ = [
    "CONTAINER",
    "accepts",
    "check",
    "check_map",
    "find_infinity",
    "moments",
    "normalize",
    "rows",
]
