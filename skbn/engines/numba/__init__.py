"""The Numba engine: one read of memory for the statistics of an array.

NumPy's code computes, also where Numba was asked for by name: ``transform`` to float16,
which NumPy rounds from float64 at once; by scales beyond 2**1000 or below 2**-1000; and
in place of arrays whose rows and columns both have gaps. Statistics have no exception.
"""

from skbn.engines.base import find_infinity
from skbn.engines.numba.engine import accepts, moments, pooled
from skbn.engines.numba.pooling import combine
from skbn.engines.numba.transform import normalize, scaling, write

CONTAINER = False

__all__ = [
    "CONTAINER",
    "accepts",
    "combine",
    "find_infinity",
    "moments",
    "normalize",
    "pooled",
    "scaling",
    "write",
]
