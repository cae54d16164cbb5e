"""Which kernels read sparse entries: NumPy's or Numba's."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from skbn.engines.auto import use_numba
from skbn.engines.sparse import numpy_kernels
from skbn.engines.sparse.entries import Entries

# Entries that repay the compiler: it takes two seconds for them, and NumPy's code as
# long (27 ms) as for half of the dense values that do.
LARGE = 2**21


def kernels_for(
    engine: str, use: str, entries: Entries, *, weighted: bool = False
) -> Any:
    """Return the module that adds up, or scales, such entries."""
    kind = use, weighted, entries.by_rows, entries.data.dtype, entries.indices.dtype
    if use_numba(engine, kind, entries.count, LARGE):
        numba: Any = import_module("skbn.engines.sparse.numba_kernels")
        if numba.reads(entries):
            return numba
    return numpy_kernels
