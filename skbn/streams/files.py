"""Files as a source: which they are, and that they belong together."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skbn.streams.base import Source
from skbn.streams.columns import Column, Selection, check_numbers, is_number, pyarrow
from skbn.streams.formats import KINDS, Csv, Ipc, kind_of
from skbn.streams.pieces import Piece, Place, cut, n_rows

# What readers raise for files that they cannot read.
READING = EOFError, KeyError, NotImplementedError, OSError, TypeError, ValueError


@contextmanager
def naming(path: Any) -> Iterator[None]:
    """Put the name of the file in front of what its reader complains of."""
    try:
        yield
    except READING as error:
        message = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OSError) and error.errno is not None:
            if os.fspath(path) in message:
                raise
            raise type(error)(error.errno, message, os.fspath(path)) from error
        raise ValueError(f"{path}: {message}") from error


def listed(source: Any) -> list[Path]:
    """Return the files of a path, a folder, a glob, or a list of paths.

    Raises
    ------
    FileNotFoundError
        There is none.
    ValueError
        It is not known how to read them.
    """
    if source == "":
        raise FileNotFoundError("The path is empty.")
    if isinstance(source, (list, tuple)):
        paths = [path for each in source for path in listed(each)]
    elif (path := Path(source)).is_dir():
        paths = sorted(p for p in path.rglob("*") if _is_data(p.relative_to(path), p))
    elif path.exists() or not glob.has_magic(os.fspath(source)):
        paths = [path]
    else:
        paths = sorted(map(Path, glob.glob(os.fspath(source), recursive=True)))  # noqa: PTH207
    if not paths:
        raise FileNotFoundError(f"{source}: there is no file to read.")
    for path in paths:
        if kind_of(path) is None:
            raise ValueError(
                f"{path}: it is not known how to read this file; known are "
                f"{', '.join(KINDS)}."
            )
    kinds = {KINDS[str(kind_of(path))]: path for path in paths}
    if len(kinds) > 1:
        first, second = list(kinds.values())[:2]
        raise ValueError(
            f"{source}: {first.name} and {second.name} are files of different kinds; "
            "choose some by a glob."
        )
    return paths


def _is_data(name: Path, path: Path) -> bool:
    """Whether a file of a folder is not hidden, and of a known kind."""
    hidden = any(part.startswith((".", "_")) for part in name.parts)
    return not hidden and kind_of(path) is not None and path.is_file()


class Files(Source):
    """Files of one kind and of the same columns, in the order of their names.

    Raises
    ------
    ValueError, OSError
        One of them cannot be read.
    """

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.paths = listed(source)
        is_one = isinstance(source, (str, os.PathLike)) and len(self.paths) > 1
        self.name = os.fspath(source if is_one else self.paths[0])
        self.files: list[Any] = []
        self.stamps: list[tuple[int, int]] = []
        for path in self.paths:
            with naming(path):
                self.stamps.append(_stamp(path))
                self.files.append(KINDS[str(kind_of(path))](path))
        self.names = self.files[0].names
        self.schema = self.files[0].schema
        self.one_dictionary = len(self.files) == 1 and isinstance(self.files[0], Ipc)
        rows = [part.n_rows for part in self.files]
        self.n_rows = None if None in rows else sum(rows)

    def check(self, selection: Selection) -> Selection:
        """Return the columns to learn, once all files are known to have them.

        Raises
        ------
        ValueError
            A file has other columns, or one does not hold numbers.
        """
        for part in self.files:
            chosen = selection.among(part.names, os.fspath(part.path))
            if part.schema is not None:
                _check_numbers(part, chosen.names)
            if selection.columns is None:
                self._compare_names(part)
            if isinstance(part, Csv):
                part.floats = not_text(part.schema, chosen.names)
        return selection.among(self.files[0].names, self.name)

    def check_alike(self) -> None:
        """Raise a ValueError that names a column in which files differ."""
        first = self.files[0]
        for part in self.files[1:]:
            self._compare_names(part)
            if part.schema is None or isinstance(part, Csv):
                continue
            for name in first.names:
                ours, theirs = first.schema.field(name), part.schema.field(name)
                if ours.type != theirs.type:
                    raise ValueError(
                        f"{part.path}: column {name!r} is {theirs.type}, and "
                        f"{ours.type} in {first.path}."
                    )

    def read_as_text(self, writer: Any, features: Sequence[Column] | None) -> None:
        """Let columns of CSV that go to CSV be texts, all but the features."""
        if isinstance(self.files[0], Csv) and writer.__name__ == "CsvWriter":
            for part in self.files:
                part.texts = [n for n in part.names if n not in (features or ())]

    def _compare_names(self, part: Any) -> None:
        differ = set(part.names) ^ set(self.files[0].names)
        if differ:
            other = min(differ, key=str)
            here, there = self.paths[0], part.path
            if other in part.names:
                here, there = there, here
            raise ValueError(
                f"{part.path}: column {other!r} is in {here} and not in {there}; say "
                "with columns which ones to take."
            )

    def pieces(
        self, columns: Sequence[Column], size: int, start: Place
    ) -> Iterator[Piece]:
        """Yield the rows from ``start`` on."""
        first = start.row
        for i, part in enumerate(self.files[start.part :], start.part):
            with naming(part.path):
                self._check_unchanged(i)
                for row, data in part.read(list(columns), size, first):
                    n = n_rows(data)
                    if row + n > first:
                        before = max(0, first - row)
                        rows = cut(data, before, n) if before else data
                        yield Piece(rows, Place(i, row + before))
            first = 0

    def rows_of_pieces(self, size: int, n_columns: int) -> int:
        """Rows of most pieces, if about ``size`` are asked for."""
        first = self.files[0]
        knows = hasattr(first, "rows_of_pieces")
        return first.rows_of_pieces(size, n_columns) if knows else size

    def groups(self, columns: Sequence[Column], size: int) -> Iterator[Piece] | None:
        """Yield all rows, none of two groups together, if the files have groups."""
        if not hasattr(self.files[0], "read_groups"):
            return None
        return self._groups(columns, size)

    def ends_group(self, place: Place) -> bool:
        """Whether a group of rows ends before a place."""
        file = self.files[place.part]
        return not hasattr(file, "ends_group") or file.ends_group(place.row)

    def _groups(self, columns: Sequence[Column], size: int) -> Iterator[Piece]:
        for i, part in enumerate(self.files):
            with naming(part.path):
                self._check_unchanged(i)
                for row, data in part.read_groups(list(columns), size):
                    yield Piece(data, Place(i, row))

    def _check_unchanged(self, i: int) -> None:
        if _stamp(self.paths[i]) != self.stamps[i]:
            raise ValueError("the file was changed while the files were read")

    def part(self, place: Place) -> str:
        """Name of the file that a place is in."""
        return os.fspath(self.paths[place.part])

    def identity(self) -> list[str]:
        """What tells these files from others, and from what they become."""
        return [
            f"{path.resolve()}, {size} bytes, changed at {time} ns"
            for path, (size, time) in zip(self.paths, self.stamps, strict=True)
        ]


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _check_numbers(part: Any, names: Sequence[Column]) -> None:
    """Raise a ValueError that names a column without numbers, in CSV also the row."""
    try:
        check_numbers(part.schema, names, os.fspath(part.path))
    except ValueError as error:
        texts = [n for n in names if not is_number(part.schema.field(n).type)]
        cell = part.what_is_wrong(texts, texts) if isinstance(part, Csv) else None
        if cell is None:
            raise
        raise ValueError(f"{error} ({cell})") from error


def not_text(schema: Any, names: Sequence[Column]) -> list[Column]:
    """Columns that are read as float64: numbers, but no booleans."""
    pa = pyarrow()
    return [n for n in names if not pa.types.is_boolean(schema.field(n).type)]
