"""Sparse containers for tests: well kept, and with bad habits."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import strategies as st

CONTAINERS = [sp.csr_array, sp.csc_array, sp.csr_matrix, sp.csc_matrix]
HABITS = st.sets(st.sampled_from(["zeros", "duplicates", "unsorted", "padding"]))
INDICES = st.sampled_from([np.int32, np.int64])
RNG = np.random.default_rng(0)
containers = pytest.mark.parametrize("container", CONTAINERS)


def stored(D, container=sp.csr_array, index=np.int32, habits=()):
    """D as a sparse container, with bad habits, read-only."""
    rng = np.random.default_rng(1)
    by_rows = container in (sp.csr_array, sp.csr_matrix)
    A = D if by_rows else D.T
    place = A != 0
    if "zeros" in habits:
        place |= rng.random(A.shape) < 0.3
    majors, minors = np.nonzero(place)
    values = A[majors, minors]
    if "duplicates" in habits:  # halves, that add up without an error
        twice = np.repeat(np.arange(len(values)), 2)
        majors, minors, values = majors[twice], minors[twice], values[twice]
        values = (values / 2).astype(D.dtype) if D.dtype.kind == "f" else values
    if "unsorted" in habits:
        order = np.lexsort((rng.random(len(values)), majors))
        majors, minors, values = majors[order], minors[order], values[order]
    ends = np.searchsorted(majors, np.arange(len(A) + 1))
    X = container((values, minors, ends), shape=D.shape)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    if "padding" in habits:  # arrays longer than what they hold
        X.data = np.append(X.data, np.ones(3, X.dtype))
        X.indices = np.append(X.indices, np.zeros(3, index))
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    return X


def thinned(D, density, rng=RNG):
    D = D.copy()
    D[rng.random(D.shape) >= density] = 0
    return D


def state(X):
    """All that a sparse container is, to be compared."""
    arrays = {"data", "indices", "indptr"}
    rest = {k: v for k, v in vars(X).items() if k not in arrays}
    return (*(getattr(X, name).tobytes() for name in sorted(arrays)), str(rest))


def large(container, n=60_000, width=50, density=0.4):
    return _large(container, n, width, density).copy()


@cache  # to draw them takes as long as what is done with them
def _large(container, n, width, density):
    random = np.random.default_rng(0)
    return container(sp.random(n, width, density, random_state=random))
