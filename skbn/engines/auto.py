"""What ``engine="auto"`` computes with: NumPy at once, or Numba's kernels."""

from __future__ import annotations

from collections.abc import Hashable
from importlib.util import find_spec

from skbn.engines.base import load

# Kinds of work whose kernels are compiled, or loaded from the disk, in this process.
_compiled: set[Hashable] = set()


def use_numba(engine: str, kind: Hashable, n_values: int, worth: int) -> bool:
    """Whether compiled kernels do such work.

    Parameters
    ----------
    engine : str
        The parameter: "numba" and "numpy" decide; all else is "auto".
    kind : hashable
        What a kernel is compiled for.
    n_values : int
        Values to work on.
    worth : int
        Values that repay the compiler. Once compiled, fewer are worth it.

    Raises
    ------
    ImportError
        ``engine="numba"``, and Numba is not installed.
    """
    if engine == "numpy":
        return False
    if engine == "numba":
        load("numba")
    elif kind not in _compiled and (n_values < worth or find_spec("numba") is None):
        return False
    _compiled.add(kind)
    return True


def forget_compiled() -> None:
    """Choose as in a new process."""
    _compiled.clear()
