"""The Numba engine: one read of memory for the statistics of an array."""

from skbn.engines.numba.engine import (
    CONTAINER,
    accepts,
    combine,
    find_infinity,
    moments,
    normalize,
    write,
)

__all__ = [
    "CONTAINER",
    "accepts",
    "combine",
    "find_infinity",
    "moments",
    "normalize",
    "write",
]
