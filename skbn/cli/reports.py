"""What commands share: errors of one line, and ``-`` for standard input and output."""

import csv
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import IO, Any, NoReturn, ParamSpec

import numpy as np

from skbn import _documents, save
from skbn.state import from_bytes, load, to_bytes
from skbn.streams.formats import kind_of
from skbn.transformer import BatchNormTransformer

P = ParamSpec("P")

STANDARD = "-"
ERROR, INTERRUPTED = 1, 130
# Standard input, once it is read as data.
opened: list[str] = []

REPORTED = (ValueError, TypeError, OSError, ImportError, MemoryError)


def reporting(command: Callable[P, None]) -> Callable[P, None]:
    """Let a command end with one line and an exit code, not with a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning  # type: ignore[assignment]
                command(*args, **kwargs)
        except BrokenPipeError:  # whoever reads what is printed has seen enough
            raise
        except REPORTED as error:
            stop(message_of(error), ERROR)
        except KeyboardInterrupt as error:
            notes = getattr(error, "__notes__", ["Interrupted."])
            stop(" ".join(notes), INTERRUPTED)

    return run


def _show_warning(message: Warning | str, *_: Any) -> None:
    say(f"warning: {message}")


def stop(message: str, code: int) -> NoReturn:
    """End the command with a line on standard error."""
    import typer

    say(message)
    raise typer.Exit(code)


def say(message: str) -> None:
    """Print one line on standard error."""
    print("skbn:", " ".join(message.split()), file=sys.stderr)


def message_of(error: BaseException) -> str:
    """What an error says, with the file it is about."""
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}"
    return str(error) or type(error).__name__


def misused(message: str) -> Exception:
    """Return the error of a wrong use, which prints the usage and exits with 2."""
    import typer

    return typer.BadParameter(message)


def help_text(first: str, examples: str, *paragraphs: str) -> str:
    """Return the text of ``--help``, in which lines of examples stay as they are."""
    lines = "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
    return "\n\n".join((first, f"\b\n{lines}", *paragraphs))


def listed(given: Iterable[str], *, by_number: bool) -> list[str | int]:
    """Names, or numbers, of columns: an option may come again, and hold several."""
    names = [name for row in csv.reader(given, skipinitialspace=True) for name in row]
    if not by_number:
        return list(names)
    wrong = next((name for name in names if not name.isdecimal()), None)
    if wrong is not None:
        raise misused(f"columns of .npy are called by number, from 0: {wrong!r}")
    return [int(name) for name in names]


# Scalers


def standard_input() -> IO[bytes]:
    """Return standard input without a buffer.

    A thread may wait for it still when the command ends, and Python's own buffer would
    have that thread's lock.
    """
    given = sys.stdin.buffer
    opened.append(STANDARD)
    try:
        return open(given.fileno(), "rb", buffering=0, closefd=False)
    except OSError:  # no file of the system
        return given


def read_scaler(path: str) -> BatchNormTransformer:
    """Load what was saved to a file, or comes from standard input."""
    if path != STANDARD:
        return load(path)
    try:
        return from_bytes(_documents.read_stream(sys.stdin.buffer))
    except ValueError as error:
        raise ValueError(f"standard input: {error}") from error


def read_fitted(path: str) -> BatchNormTransformer:
    """Load what has learnt something."""
    scaler = read_scaler(path)
    if not hasattr(scaler, "n_features_in_"):
        raise ValueError(f"{named(path)}: this scaler has not learnt anything yet.")
    return scaler


def write_scaler(scaler: BatchNormTransformer, path: str) -> None:
    """Save to a file, or print."""
    if path == STANDARD:
        sys.stdout.buffer.write(to_bytes(scaler))
        sys.stdout.buffer.flush()
    else:
        save(scaler, path)


def check_output(path: str) -> None:
    """Raise before hours of work if a scaler cannot be written to a file."""
    if path == STANDARD:
        return
    if kind_of(Path(path)) is not None:
        raise misused(f"{path} is a name for data; a scaler is JSON, name it .json")
    folder = Path(path).parent
    if Path(path).is_dir() or path.endswith("/"):
        raise IsADirectoryError(f"{path}: this is a folder, not a file.")
    if not folder.is_dir():
        raise FileNotFoundError(f"{path}: there is no folder {folder}.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{path}: the folder {folder} cannot be written to.")


def named(path: str, standard: str = "standard input") -> str:
    """The path, for a message."""
    return standard if path == STANDARD else path


def summary(scaler: BatchNormTransformer) -> str:
    """What a scaler has seen, in a line; rows are those of the fullest feature."""
    seen = np.max(scaler.n_samples_seen_)
    weighted = isinstance(seen, np.floating)
    rows = f"a weight of {seen:,.6g}" if weighted else plural(int(seen), "row")
    batches = plural(scaler.n_batches_seen_, "batch", "es")
    return f"{plural(scaler.n_features_in_, 'feature')}, {rows} in {batches}"


def plural(n: int, noun: str, more: str = "s") -> str:
    """``n`` and the noun, in the plural but for 1."""
    return f"{n:,} {noun}{'' if n == 1 else more}"
