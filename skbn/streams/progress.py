"""How far a stream has come: rows, rows a second, time left."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic
from typing import Any, Literal, TypeAlias

Advance: TypeAlias = Callable[[int], None]
Progress: TypeAlias = bool | Literal["auto"]

# Seconds between lines where there is no terminal to redraw.
PAUSE = 5.0


@contextmanager
def progress_of(
    asked: Progress, label: str, total: int | None, done: int = 0
) -> Iterator[Advance]:
    """Yield what is to be called with the number of rows that were done.

    Parameters
    ----------
    asked : bool or "auto"
        With "auto", where standard error is a terminal.
    label : str
    total : int or None
        Rows in all, where it is known.
    done : int
        Rows done before.

    Raises
    ------
    ValueError
        ``asked`` is something else.
    """
    if asked not in (True, False, "auto"):
        raise ValueError(f"progress={asked!r} must be True, False or 'auto'.")
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not asked or (asked == "auto" and not is_terminal):
        yield lambda _rows: None
    elif is_terminal and find_spec("rich") is not None:
        with bar(label, total, done) as advance:
            yield advance
    else:
        lines = Lines(label, total, done)
        yield lines.advance
        lines.end()


@contextmanager
def bar(label: str, total: int | None, done: int) -> Iterator[Advance]:
    """Draw a bar on standard error, and yield what is to be called with rows done."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} rows"),
        TextColumn("{task.fields[speed]}"),
        *([] if total is None else [TimeRemainingColumn()]),
    ]
    started = monotonic()
    with Bar(*columns, console=Console(stderr=True)) as drawn:
        task: Any = drawn.add_task(escape(label), total=total, completed=done, speed="")
        seen = 0

        def advance(rows: int) -> None:
            nonlocal seen
            seen += rows
            speed = per_second(seen, monotonic() - started)
            drawn.update(task, advance=rows, speed=speed)

        yield advance


class Lines:
    """A line on standard error now and then, and at the end."""

    def __init__(self, label: str, total: int | None, done: int) -> None:
        self.label, self.total, self.before, self.rows = label, total, done, 0
        self.started = self.printed = monotonic()

    def advance(self, rows: int) -> None:
        """Count rows."""
        self.rows += rows
        if monotonic() - self.printed >= PAUSE:
            self._print()

    def end(self) -> None:
        """Print the last line."""
        self._print()

    def _print(self) -> None:
        self.printed = monotonic()
        print(self.line(self.printed - self.started), file=sys.stderr, flush=True)

    def line(self, seconds: float) -> str:
        """Return the line after so many seconds."""
        done = self.before + self.rows
        parts = [f"{self.label}: {done:,} rows", per_second(self.rows, seconds)]
        if self.total is not None and self.rows:
            parts[0] = f"{self.label}: {done:,} of {self.total:,} rows"
            left = max(0, self.total - done) * seconds / self.rows
            parts.append(f"{left:,.0f} s left")
        return ", ".join(part for part in parts if part)


def per_second(rows: int, seconds: float) -> str:
    """Return rows a second as text."""
    return f"{rows / seconds:,.0f} rows/s" if seconds > 0 and rows else ""
