"""Which kernels read sparse entries: NumPy's or Numba's."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from skbn import engines
from skbn.engines.sparse import numpy_kernels
from skbn.engines.sparse.entries import Entries

# Entries that repay the compiler: it takes two seconds for them, and NumPy's code as
# long (27 ms) as for half of ``engines.LARGE`` dense values.
LARGE = 2**21

_compiled: set[tuple[Any, ...]] = set()


def kernels_for(
    engine: str, use: str, entries: Entries, *, weighted: bool = False
) -> Any:
    """Return the module that adds up, or scales, such entries."""
    if engine == "numpy":
        return numpy_kernels
    arrays = entries.by_rows, entries.data.dtype, entries.indices.dtype
    key = use, weighted, *arrays
    if engine == "numba":
        engines.load("numba")
    elif key not in _compiled and (entries.count < LARGE or find_spec("numba") is None):
        return numpy_kernels
    numba: Any = import_module("skbn.engines.sparse.numba_kernels")
    if not numba.reads(entries):
        return numpy_kernels
    _compiled.add(key)
    return numba


def forget_compiled() -> None:
    """Let ``engine="auto"`` choose as in a new process."""
    _compiled.clear()
