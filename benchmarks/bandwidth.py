"""The limit that memory sets, measured beside what it limits.

Every core that the process may use takes part, each on its own blocks.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.util import find_spec
from typing import Any

import joblib
import numpy as np

from benchmarks.measure import interleave
from benchmarks.workloads import profile

Kernel = Callable[[Any], Any]
BLOCKS_PER_THREAD = 4


class Limit:
    """Reading, or moving, the bytes of an array as fast as the machine can."""

    calls = 1
    out = False

    def __init__(self, X: Any) -> None:
        self.values = words(X)

    def renew(self) -> None:
        """Nothing changes."""

    def run(self) -> None:
        raise NotImplementedError

    def check(self) -> None:
        """There is no answer."""

    def for_each_block(self, function: Callable[..., Any], *arrays: Any) -> None:
        threads = joblib.cpu_count()
        blocks = (np.array_split(each, BLOCKS_PER_THREAD * threads) for each in arrays)
        list(pool(threads).map(function, *blocks))


class ReadLimit(Limit):
    """Every byte is read once, by the kernel that is fastest here."""

    def __init__(self, X: Any, kernel: Kernel | None = None) -> None:
        super().__init__(X)
        self.kernel = kernel or best_kernel()

    def run(self) -> None:
        self.for_each_block(self.kernel, self.values)


class CopyLimit(Limit):
    """Every byte is copied to a new array."""

    def renew(self) -> None:
        self.copy = None

    def run(self) -> None:
        self.copy = np.empty_like(self.values)
        self.for_each_block(np.copyto, self.copy, self.values)


class UpdateLimit(Limit):
    """Every byte is read, and written where it was."""

    def __init__(self, X: Any) -> None:
        super().__init__(X.copy(order="K"))

    def run(self) -> None:
        self.for_each_block(np.invert, self.values, self.values)


def words(X: Any) -> Any:
    """The bytes of an array in the order of memory, eight at a time."""
    flat = X.ravel(order="K").view(np.uint8)
    return flat[: flat.size // 8 * 8].view(np.uint64)


def limits() -> dict[str, float]:
    """Bytes a second that are read, and that a copy reads and writes."""
    X = np.ones(profile().limit_bytes // 8)
    timed = {"read": ReadLimit(X), "copy": CopyLimit(X)}
    times = interleave(timed, seconds=profile().seconds / 3, rounds=(5, 50))
    best = {name: min(each) for name, each in times.items()}
    return {"read": X.nbytes / best["read"], "copy": 2 * X.nbytes / best["copy"]}


@cache
def best_kernel() -> Kernel:
    """The kernel that reads fastest here: the limit must be one."""
    X = np.ones(profile().limit_bytes // 16)
    timed = {name: ReadLimit(X, kernel) for name, kernel in kernels().items()}
    times = interleave(timed, seconds=0.0, rounds=(5, 5))
    return kernels()[min(times, key=lambda name: min(times[name]))]


@cache
def kernels() -> dict[str, Kernel]:
    """What reads an array of 64-bit words and does little with them."""
    found: dict[str, Kernel] = {
        "NumPy, add": np.add.reduce,
        "NumPy, or": np.bitwise_or.reduce,
    }
    if find_spec("numba") is not None:
        found["Numba, xor"] = _numba_xor()
    return found


def _numba_xor() -> Kernel:
    import numba

    @numba.njit(nogil=True)
    def xor(values):
        result = np.uint64(0)
        for value in values:
            result ^= value
        return result

    return xor


@cache
def pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="limit")
