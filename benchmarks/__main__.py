"""``python -m benchmarks``: the quick side-by-side run, and the harness's commands."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from benchmarks import bandwidth, contenders, environment, quick, report
from benchmarks.quick import Result, Row
from benchmarks.workloads import PROFILES, VARIABLE, profile

if TYPE_CHECKING:
    import typer

INSTALL = 'benchmarks: the command needs more: python -m pip install -e ".[bench]"'
COMMANDS = {
    "guard": "benchmarks.guard",
    "publish": "benchmarks.dashboard",
    "vendor": "benchmarks.dashboard",
}


def main() -> None:
    """Run the command; without its extra, exit with 1 and one line that says so."""
    if any(find_spec(needed) is None for needed in ("typer", "rich", "matplotlib")):
        sys.exit(INSTALL)
    build_app()()


def build_app() -> "typer.Typer":
    """Return the command as a typer application."""
    import typer

    app = typer.Typer(add_completion=False)

    @app.callback(invoke_without_command=True)
    def benchmarks(
        context: typer.Context,
        contender: Annotated[
            list[str] | None, typer.Option(help="Only this one; may be repeated.")
        ] = None,
        workload: Annotated[
            list[str] | None,
            typer.Option(help="Only rows with this in their name, or that match it."),
        ] = None,
        profile: Annotated[str | None, typer.Option(help="Size of the data.")] = None,
        seconds: Annotated[
            float | None, typer.Option(min=0.0, help="For each row.")
        ] = None,
        as_json: Annotated[
            Path | None, typer.Option("--json", help="File for the results.")
        ] = None,
        plot: Annotated[Path | None, typer.Option(help="File for a picture.")] = None,
        list_: Annotated[
            bool, typer.Option("--list", help="Show rows and contenders, and stop.")
        ] = False,
    ) -> None:
        """Time every scaler side by side and print a table."""
        if context.invoked_subcommand is not None:
            return
        choose_profile(profile)
        listed, names = quick.chosen(workload or ()), contender or []
        refuse_unknown(names, listed)
        if list_:
            show_list(listed)
            return
        results = measure(listed, names, seconds, as_json, plot)
        raise typer.Exit(any(result.wrong for result in results))

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
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def refuse_unknown(names: list[str], listed: list[Row]) -> None:
    import typer

    installed = contenders.names()
    for name in names:
        if name not in installed:
            raise typer.BadParameter(
                f"no contender {name!r}; installed are {', '.join(installed)}"
            )
    if not listed:
        raise typer.BadParameter("no row matches; --list shows them")


def show_list(listed: list[Row]) -> None:
    print("rows:", *(f"  {row.name}" for row in listed), sep="\n")
    print("contenders:")
    for each in contenders.CONTENDERS:
        print(f"  {each.name}" + ("" if each.installed else " (not installed)"))
    print(f"profiles: {', '.join(PROFILES)}; {profile().name} is chosen")


def measure(
    listed: list[Row],
    names: list[str],
    seconds: float | None,
    as_json: Path | None,
    plot: Path | None,
) -> list[Result]:
    """Measure, print the table, and write the files asked for."""
    from rich.console import Console

    console = Console(highlight=False)
    if environment.SLOWS_DOWN in os.environ:
        print(
            f"{environment.SLOWS_DOWN} is set: NumPy's BLAS is slowed", file=sys.stderr
        )
    limits = bandwidth.limits()
    with progress(len(listed)) as advance:
        results = list(quick.run(listed, names, seconds=seconds, advance=advance))
    console.print(report.table(results))
    console.print(report.bandwidths(limits))
    for result in results:
        if result.note:
            console.print(f"{result.workload}, {result.contender}: {result.note}")
    if as_json:
        as_json.write_text(json.dumps(report.as_dict(results, limits), indent=1) + "\n")
    if plot:
        report.plot(results, plot)
    return results


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on the terminal; what is yielded is told each row before it begins."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    words = TextColumn("{task.description}")
    hidden = console.quiet = not console.is_terminal
    with Progress(
        *columns, words, console=console, transient=True, disable=hidden
    ) as bar:
        task = bar.add_task("", total=total)
        started = iter(range(total))

        def advance(name: str) -> None:
            bar.update(task, completed=next(started), description=name)

        yield advance


if __name__ == "__main__":
    main()
