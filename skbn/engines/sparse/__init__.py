"""The engine for SciPy's sparse matrices and arrays: CSR and CSC, as they are.

Entries that are not stored are zeros, and count. NumPy's code computes, also where
Numba was asked for by name: values of other dtypes than float32, float64, bool and
integers, arrays with strides, indices of two dtypes, and what becomes, or was, a linear
operator.
"""

from __future__ import annotations

from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from skbn.engines.base import is_sparse_frame
from skbn.engines.sparse.checks import check, check_map
from skbn.engines.sparse.entries import find_infinity
from skbn.engines.sparse.maps import normalize
from skbn.engines.sparse.sums import moments

CONTAINER = True

__all__ = [
    "CONTAINER",
    "accepts",
    "check",
    "check_map",
    "find_infinity",
    "moments",
    "normalize",
]


def accepts(X: object) -> bool:
    """Whether X is sparse, or a linear operator: that may have come from here."""
    return issparse(X) or isinstance(X, LinearOperator) or is_sparse_frame(X)
