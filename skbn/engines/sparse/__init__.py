"""The engine for SciPy's sparse matrices and arrays: CSR and CSC, as they are.

Entries that are not stored are zeros, and count.
"""

from __future__ import annotations

from typing import Any

from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from skbn.engines.sparse.checks import check, check_map
from skbn.engines.sparse.dispatch import forget_compiled
from skbn.engines.sparse.moments import find_infinity, moments
from skbn.engines.sparse.normalize import normalize

CONTAINER = True

__all__ = [
    "CONTAINER",
    "accepts",
    "check",
    "check_map",
    "find_infinity",
    "forget_compiled",
    "moments",
    "normalize",
    "rows",
]


def accepts(X: object) -> bool:
    """Whether X is sparse, or a linear operator: that may have come from here."""
    return issparse(X) or isinstance(X, LinearOperator)


def rows(X: Any, start: int, stop: int) -> Any:
    """Return the rows from start to stop."""
    return X[start:stop]
