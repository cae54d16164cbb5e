"""``python -m benchmarks``: the quick side-by-side run, and the harness's commands."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from benchmarks import bandwidth, contenders, environment, quick, report, validation
from benchmarks.quick import Row
from benchmarks.record import Record
from benchmarks.workloads import PROFILES, VARIABLE, profile

if TYPE_CHECKING:
    import typer

INSTALL = 'benchmarks: the command needs more: python -m pip install -e ".[bench]"'
# Exit codes. A wrong option has 2; those of the guard follow.
WRONG_ANSWER, FAILED = 1, 5
COMMANDS = {
    "compare": "benchmarks.comparison",
    "guard": "benchmarks.guard",
    "publish": "benchmarks.dashboard",
    "vendor": "benchmarks.dashboard",
}


def main() -> None:
    """Run the command; without its extra, say so in one line."""
    if any(find_spec(needed) is None for needed in ("typer", "rich", "matplotlib")):
        print(INSTALL, file=sys.stderr)
        raise SystemExit(FAILED)
    build_app()()


def build_app() -> "typer.Typer":
    """Return the command as a typer application."""
    import typer

    app = typer.Typer(add_completion=False)

    @app.callback(invoke_without_command=True)
    def benchmarks(
        context: typer.Context,
        contender: Annotated[
            list[str] | None,
            typer.Option(
                help="Only this one; may be repeated. One of the list, or "
                "[NAME=]package.module:Class of any package."
            ),
        ] = None,
        workload: Annotated[
            list[str] | None,
            typer.Option(
                help="Only the row of this name, or rows that match it or hold it."
            ),
        ] = None,
        profile: Annotated[str | None, typer.Option(help="Size of the data.")] = None,
        seconds: Annotated[
            float | None,
            typer.Option(
                min=0.0,
                help="For each row at most, if quartiles are not within 10% before.",
            ),
        ] = None,
        as_json: Annotated[
            Path | None, typer.Option("--json", help="File for the results.")
        ] = None,
        plot: Annotated[Path | None, typer.Option(help="File for a picture.")] = None,
        list_: Annotated[
            bool, typer.Option("--list", help="Show rows and contenders, and stop.")
        ] = False,
    ) -> None:
        """Time every scaler side by side and print a table.

        The exit code is 1 if an answer was wrong, else 5 if a contender failed.
        """
        if context.invoked_subcommand is not None:
            return
        choose_profile(profile)
        names = [choose_contender(each) for each in contender or ()]
        listed = quick.chosen(workload or ())
        if not listed:
            raise typer.BadParameter("no row matches; --list shows them")
        if list_:
            show_list(listed)
            return
        try_paths(as_json, plot)
        record = measure(listed, names, seconds)
        show(record, as_json, plot)
        outcomes = {row.outcome for row in record.rows}
        code = WRONG_ANSWER if "wrong" in outcomes else FAILED * ("failed" in outcomes)
        raise typer.Exit(code)

    for name, module in COMMANDS.items():
        app.command(name)(getattr(import_module(module), name))
    return app


def choose_profile(name: str | None) -> None:
    """Put the profile where other processes find it too."""
    import typer

    if name is not None:
        os.environ[VARIABLE] = name
    try:
        profile()
        contenders.everyone()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def choose_contender(given: str) -> str:
    """The name of a contender; strangers are put where other processes find them."""
    import typer

    name = given
    if ":" in given:
        try:
            entry = contenders.stranger(given)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
        if not entry.installed:
            raise typer.BadParameter(f"{given} needs {', '.join(entry.missing)}")
        name, known = entry.name, os.environ.get(contenders.VARIABLE, "").split()
        if name in contenders.names() and given not in known:
            raise typer.BadParameter(f"{given}: there is a contender {name} already")
        os.environ[contenders.VARIABLE] = " ".join(dict.fromkeys([*known, given]))
    installed = contenders.names()
    if name not in installed:
        raise typer.BadParameter(
            f"no contender {name!r}; installed are {', '.join(installed)}"
        )
    return name


def try_paths(as_json: Path | None, plot: Path | None) -> None:
    """Refuse files that could not be written when all has been measured."""
    import typer
    from matplotlib.backend_bases import FigureCanvasBase

    forms = FigureCanvasBase.get_supported_filetypes()
    if plot and plot.suffix.lstrip(".") not in forms:
        known = ", ".join(sorted(forms))
        raise typer.BadParameter(f"--plot {plot}: the ending is none of {known}")
    for option, path in {"--json": as_json, "--plot": plot}.items():
        if path is None:
            continue
        is_new = not path.exists()
        try:
            path.open("ab").close()
        except OSError as error:
            raise typer.BadParameter(f"{option} {path}: {error.strerror}") from error
        if is_new:
            path.unlink()


def show_list(listed: list[Row]) -> None:
    print("rows:", *(f"  {row.name}" for row in listed), sep="\n")
    print("contenders:")
    for each in contenders.everyone():
        needs = f" (needs {', '.join(each.missing)})" if each.missing else ""
        print(f"  {each.name}{needs}")
    print(f"profiles: {', '.join(PROFILES)}; {profile().name} is chosen")


def measure(listed: list[Row], names: list[str], seconds: float | None) -> Record:
    """Measure all, and what the machine was like before and after."""
    if environment.SLOWS_DOWN in os.environ:
        print(
            f"{environment.SLOWS_DOWN} is set: NumPy's BLAS is slowed", file=sys.stderr
        )
    taking_part = quick.taking_part(names)
    record = Record(
        profile=profile().name,
        commit=environment.commit(),
        date=datetime.now(UTC),
        machine=environment.machine(),
        load={"before": environment.load()},
        limits={"before": bandwidth.limits()},
        lenient=validation.leniency(taking_part),
    )
    with progress(len(listed)) as advance:
        each = quick.run(listed, names, seconds=seconds, advance=advance)
        record.rows = list(each)
    record.load["after"] = environment.load()
    record.limits["after"] = bandwidth.limits()
    record.versions = environment.versions(contenders.modules(taking_part))
    return record


def show(record: Record, as_json: Path | None, plot: Path | None) -> None:
    """Print the table, and write the files asked for."""
    from rich.console import Console

    from benchmarks.dashboard import picture

    if as_json:
        record.write(as_json)
    if plot:
        picture(record, plot)
    console = Console(highlight=False, markup=False)
    console.print(report.table(record))
    for line in report.below(record):
        console.print(line, soft_wrap=True)


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on the terminal, or lines; each row is told of before it begins."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(stderr=True, highlight=False, markup=False)
    started = iter(range(total))
    if not console.is_terminal:
        yield lambda name: console.print(
            f"{next(started) + 1}/{total} {name}", soft_wrap=True
        )
        return
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    words = TextColumn("{task.description}")
    with Progress(*columns, words, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, completed=next(started), description=name)


if __name__ == "__main__":
    main()
