"""What ``engine="auto"`` computes with: NumPy at once, or Numba's kernels.

Kernels take time before they save any: some seconds to compile, the first time on a
machine, or a fraction of one to load what that left on the disk. Who rents until the
rent paid equals the price, and then buys, never pays more than twice the least (ski
rental). The rent is what NumPy has worked on so far in this process, counted in values
rather than seconds, so that a run repeats.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from skbn.engines.base import load

# Prices in values that NumPy works on meanwhile, 3 ns each (Intel Xeon Sapphire Rapids,
# 2026-11): 0.4 s to load Numba and kernels, 6 s to compile them.
LOAD, COMPILE = 2**27, 2**31
# What a call costs beside its values: 12 µs.
CALL = 2**12

# Kinds of work whose kernels are compiled, or loaded, in this process.
_compiled: set[Hashable] = set()
_paid: defaultdict[Hashable, int] = defaultdict(int)
# Values that are known to be worked on.
_expected: ContextVar[int] = ContextVar("expected", default=0)


@contextmanager
def expecting(n_values: int) -> Iterator[None]:
    """Let ``auto`` buy at once what it would buy on the way through so many values.

    The same however often the way is interrupted, if all of it is named each time.
    """
    token = _expected.set(n_values)
    try:
        yield
    finally:
        _expected.reset(token)


def use_numba(
    engine: str, kind: tuple[Hashable, ...], n_values: int, worth: int
) -> bool:
    """Whether compiled kernels do such work.

    Parameters
    ----------
    engine : str
        The parameter: "numba" and "numpy" decide; all else is "auto".
    kind : tuple
        What a kernel is compiled for.
    n_values : int
        Values to work on.
    worth : int
        Values that are worth a compiler at once, whatever was paid before.

    Raises
    ------
    ImportError
        ``engine="numba"``, and Numba is not installed.
    """
    if engine == "numpy":
        return False
    if engine == "numba":
        load("numba")
    elif kind not in _compiled:
        _paid[kind] += n_values + CALL
        rent = max(_paid[kind], _expected.get())
        if n_values < worth and (rent < LOAD or rent < _price(kind)):
            return False
        if find_spec("numba") is None:
            return False
    if kind not in _compiled:
        _compiled.add(kind)
        _leave_mark(kind)
    return True


def forget_compiled() -> None:
    """Choose as in a new process."""
    _compiled.clear()
    _paid.clear()
    _price.cache_clear()


@cache
def _price(kind: tuple[Hashable, ...]) -> int:
    return LOAD if any(mark.exists() for mark in _marks(kind)) else COMPILE


def _marks(kind: tuple[Hashable, ...]) -> list[Path]:
    """Files, of which one says that kernels of this kind are on the disk.

    Their name holds the time of the newest of their sources: Numba compiles anew what
    is older. They are where Numba keeps its code: in the folder that it is told, or
    beside the sources, or in the user's cache where nothing may be written there.
    """
    folder = Path(__file__).parent
    newest = max(path.stat().st_mtime_ns for path in folder.glob("*/*.py"))
    words = "-".join(re.sub(r"\W", "", str(part)) for part in kind)
    if told := os.environ.get("NUMBA_CACHE_DIR"):
        places = [Path(told)]
    else:
        users = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        places = [folder / "numba" / "__pycache__", Path(users) / "skbn"]
    return [place / f"skbn-{words}-{newest}.compiled" for place in places]


def _leave_mark(kind: tuple[Hashable, ...]) -> None:
    for mark in _marks(kind):
        try:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        except OSError:  # with nowhere to write a process pays as for a compiler
            continue
        return
