"""The Numba engine: one read of memory for the statistics of an array."""

from skbn.engines.numba.engine import (
    CONTAINER,
    accepts,
    find_infinity,
    forget_compiled,
    moments,
    normalize,
    ready,
    rows,
    write,
)

__all__ = [
    "CONTAINER",
    "accepts",
    "find_infinity",
    "forget_compiled",
    "moments",
    "normalize",
    "ready",
    "rows",
    "write",
]
