"""Standard input and the like as a source: what is read once, from a binary file."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from skbn.streams.base import FromTheStart
from skbn.streams.columns import Column, Selection, pyarrow
from skbn.streams.files import naming, not_text
from skbn.streams.formats import Csv, Rows, named_cell

# What is read to see the types of columns: pyarrow looks at as much of a file.
FIRST = 2**20
OTHERS = {b"PAR1": "Parquet", b"\x93NUMPY": ".npy"}
ARROW_FILE, ARROW_STREAM = b"ARROW1\0\0", b"\xff\xff\xff\xff"


class Pipe(FromTheStart):
    """CSV with a header, or Arrow IPC, that a binary file yields.

    Raises
    ------
    ValueError
        What it yields cannot be read from its beginning to its end.
    """

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__(source)
        name = getattr(source, "name", None)
        self.name = name if isinstance(name, str) else "standard input"
        self.name = self.name.replace("<stdin>", "standard input")
        first = beginning_of(source)
        for begin, kind in OTHERS.items():
            if first.startswith(begin):
                raise ValueError(f"{self.name}: {kind} can be read from a file only.")
        rest: Any = io.BufferedReader(Joined(first, source))
        with naming(self.name):
            self.pipe = _pipe(first, rest)
        self.schema, self.names = self.pipe.schema, tuple(self.pipe.schema.names)

    def check(self, selection: Selection) -> Selection:
        """Return the columns to learn."""
        chosen = super().check(selection)
        if isinstance(self.pipe, PipedCsv):
            self.pipe.floats = not_text(self.schema, chosen.names)
        return chosen

    def read_as_text(self, writer: Any, features: Sequence[Column] | None) -> None:
        """Let columns of CSV that go to CSV be texts, all but the features."""
        if isinstance(self.pipe, PipedCsv) and writer.__name__ == "CsvWriter":
            self.pipe.texts = [n for n in self.names or () if n not in (features or ())]

    def parts(self, columns: Sequence[Column], size: int) -> Iterator[Any]:
        """Yield some columns of all rows."""
        with naming(self.name):
            for _, rows in self.pipe.read(columns, size, 0):
                yield rows


def beginning_of(file: IO[bytes]) -> bytes:
    """Return the first bytes, however few a read gives."""
    first = bytearray()
    while len(first) < FIRST and (more := file.read(FIRST - len(first))):
        first += more
    return bytes(first)


def _pipe(first: bytes, rest: IO[bytes]) -> PipedCsv | PipedIpc:
    if first.startswith((ARROW_FILE, ARROW_STREAM)):
        if first.startswith(ARROW_FILE):
            rest.read(len(ARROW_FILE))  # a stream, with an index behind it
        return PipedIpc(rest)
    return PipedCsv(first, rest)


class PipedCsv(Csv):
    """Text with a header, by one thread: that knows the row of what is wrong."""

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        whole_lines = first[: first.rfind(b"\n") + 1] or first
        super().__init__(io.BytesIO(whole_lines))  # type: ignore[arg-type]
        self.path: Any = rest

    def _open(
        self, columns: Sequence[Column] | None = None, *, use_threads: bool = False
    ) -> Any:
        return super()._open(columns, use_threads=use_threads)

    @contextmanager
    def _naming_the_row(self, columns: Sequence[Column] | None) -> Iterator[None]:
        try:
            yield
        except pyarrow().ArrowInvalid as error:
            raise ValueError(named_cell(error, getattr(self, "names", ()))) from error


class PipedIpc:
    """Record batches of an Arrow IPC stream."""

    def __init__(self, file: IO[bytes]) -> None:
        self.reader = pyarrow().ipc.open_stream(file)
        self.schema = self.reader.schema

    def read(self, columns: Sequence[Column], size: int, start: int) -> Rows:
        """Yield all rows."""
        row = 0
        for batch in self.reader:
            yield row, pyarrow().Table.from_batches([batch]).select(list(columns))
            row += batch.num_rows


class Joined(io.RawIOBase):
    """A file whose beginning has been read before."""

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        self.first, self.rest = memoryview(first), rest

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes."""
        size = len(buffer)
        part = self.first[:size] or self.rest.read(size)
        self.first = self.first[size:]
        buffer[: len(part)] = part
        return len(part)
