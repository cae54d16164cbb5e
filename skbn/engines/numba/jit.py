"""How functions are compiled, and kept on disk for other processes.

With this module imported, compiled functions may call those of ``skbn.pairs``.

Numba looks whether the file of a function has changed, not whether those have of what
it calls: after an upgrade an old kernel might run.

It numbers the files of a function's signatures, and writes a file after the index that
names it. Of two processes that save two signatures together, one may so leave its code
under the other's name, and a later process run it with arrays of another dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import IndexDataCacheFile
from numba.extending import register_jitable

from skbn import pairs
from skbn.engines.numba import hints as hints

# For functions that kernels call, and C does not.
inner: Any = register_jitable(no_cfunc_wrapper=True)

# Of ``pairs.two_product`` the hints have a shorter form.
for _function in (
    *(pairs.two_sum, pairs.quick_two_sum, pairs.split),
    *(pairs.add, pairs.subtract, pairs.multiply, pairs.divide),
):
    inner(_function)


# Files of the package that hold what kernels call, and kernels.
SOURCES = (
    *("engines/numba/*.py", "engines/sparse/loops.py"),
    *("pairs.py", "constant_features.py"),
)


@cache
def digest_of_sources() -> bytes:
    """What tells whether any of them has changed."""
    package, digest = Path(__file__).parents[2], sha256()
    for pattern in SOURCES:
        for path in sorted(package.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.digest()


class SignatureFiles(IndexDataCacheFile):
    """Files named by what they are for, and written before the index.

    What two processes save together may be lost from the index, and is then compiled
    once more.
    """

    def save(self, key: Any, data: Any) -> None:
        """Save code with the signature and the processor that it is for."""
        digest = sha256(repr(key).encode()).digest()
        files: Any = self  # Numba has no types
        name = files._data_name(int.from_bytes(digest[:8], "big"))
        files._save_data(name, data)
        overloads = files._load_index()
        overloads[key] = name
        files._save_index(overloads)


def jit(function: Callable[..., Any]) -> Any:
    """Compile for threads, with NumPy's division; cached on disk where possible.

    The function runs as plain Python where ``NUMBA_DISABLE_JIT`` is set.
    """
    compiled: Any
    try:
        compiled = njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # no folder to write to
        return njit(nogil=True, error_model="numpy")(function)
    if compiled is not function:
        files = compiled._cache._cache_file
        files.__class__, files._source_stamp = SignatureFiles, digest_of_sources()
    return compiled
