"""Files that are whole or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a new file that takes the place of ``path`` once all of it is on the disk.

    It is written beside, synced and renamed: whoever opens ``path`` finds what was
    there before or all of what is new. An exception in the ``with`` block removes it.
    What is no regular file, a pipe or a device, is written as it comes.

    Parameters
    ----------
    path : path-like
        Through a symbolic link, what it points to is replaced.

    Yields
    ------
    binary file
        Open for writing. ``name`` is the path of the new file, for a library that
        wants to open it by itself.

    Raises
    ------
    OSError
        The file cannot be written; ``path`` is then as it was.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skbn._files import atomic_write
    >>> with TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder, "a.txt")) as file:
    ...         _ = file.write(b"whole")
    ...     Path(folder, "a.txt").read_text()
    'whole'
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)} is a folder, not a file.")
    if target.exists() and not target.is_file():
        with target.open("wb") as stream:
            yield stream
        return
    # Names are at most 255 bytes long, of up to four bytes a character.
    beside = target.with_name(f".{target.name[:48]}.{secrets.token_hex(6)}.part")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            beside.chmod(target.stat().st_mode & 0o7777)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Let the new name reach the disk too, where the system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
