"""The Numba engine: one read of memory for the statistics of an array."""

from skbn.engines.base import find_infinity
from skbn.engines.numba.engine import accepts, moments
from skbn.engines.numba.pooling import combine
from skbn.engines.numba.transform import normalize, write

CONTAINER = False

__all__ = [
    "CONTAINER",
    "accepts",
    "combine",
    "find_infinity",
    "moments",
    "normalize",
    "write",
]
