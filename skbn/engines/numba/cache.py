"""Numba's cache on disk, where several processes compile at the same time.

Numba numbers the files of a function's signatures, and writes a file after the index
that names it. Of two processes that save two signatures together, one may so leave its
code under the other's name, and a later process run it with arrays of another dtype.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from numba.core.caching import IndexDataCacheFile


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


def name_by_signature(compiled: Any) -> Any:
    """Let a compiled function save its code so; it is returned."""
    compiled._cache._cache_file.__class__ = SignatureFiles
    return compiled
