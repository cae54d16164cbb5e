"""``skbn demo``: what normalisation gains, as tables."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from skbn import __version__, demo
from skbn.demo import Result, Scenario

if TYPE_CHECKING:
    import typer
    from rich.table import Table

EVALUATION = "prequential: each batch is predicted before it is learnt from"

Column = tuple[str, Callable[[Result], str]]


def add_to(app: "typer.Typer") -> None:
    """Add the command."""
    import typer

    name = typer.Option(help="What to stream.")
    size = typer.Option(min=1, max=512, help="Rows in a batch.")
    seed_ = typer.Option(min=0, help="Seed of shuffles, noise and classifier.")
    as_json_ = typer.Option("--json", help="Print JSON instead of tables.")

    @app.command("demo")
    def run_demo(
        scenario: Annotated[Literal["all", "digits", "offset", "drift"], name] = "all",
        batch_size: Annotated[int, size] = 32,
        seed: Annotated[int, seed_] = 0,
        as_json: Annotated[bool, as_json_] = False,
    ) -> None:
        """Show what normalisation gains a linear classifier on a stream."""
        report = print_json if as_json else print_tables
        report(scenario, batch_size=batch_size, seed=seed)


def print_json(scenario: str, *, batch_size: int, seed: int) -> None:
    """Run the scenarios of that name and print one JSON object."""
    listed = [
        {
            "name": each.name,
            "title": each.title,
            "results": [
                asdict(result)
                for result in demo.run(each, batch_size=batch_size, seed=seed)
            ],
        }
        for each in demo.scenarios(scenario)
    ]
    settings = {"batch_size": batch_size, "seed": seed, "shuffles": demo.SHUFFLES}
    report = {"version": __version__, "evaluation": EVALUATION, **settings}
    print(json.dumps({**report, "scenarios": listed}, indent=2))


def print_tables(scenario: str, *, batch_size: int, seed: int) -> None:
    """Run the scenarios of that name and print a table after each."""
    from rich.console import Console

    console = Console(highlight=False)
    console.print(
        f"scikit-learn's digits in batches of {batch_size}, through partial_fit into "
        f"an SGDClassifier. Accuracy is {EVALUATION}; mean (standard deviation) over "
        f"{demo.SHUFFLES} shuffles."
    )
    for each in demo.scenarios(scenario):
        results = _run_with_progress(each, batch_size, seed)
        console.print()
        console.print(each.title, style="bold")
        console.print(table(each, results))
        console.print(_legend(each), style="dim")


def table(scenario: Scenario, results: list[Result]) -> "Table":
    """Return the results of a scenario as a table."""
    from rich import box
    from rich.table import Table

    columns = [*SEEN, *(LAG if scenario.drifts else ERRORS), *SCORES]
    drawn = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
    )
    for position, (heading, _) in enumerate(columns):
        drawn.add_column(heading, justify="right" if position else "left", no_wrap=True)
    for result in results:
        drawn.add_row(*(cell(result) for _, cell in columns))
    return drawn


def _run_with_progress(scenario: Scenario, batch_size: int, seed: int) -> list[Result]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    console.quiet = not console.is_terminal
    with Progress(console=console, transient=True, disable=console.quiet) as progress:
        task = progress.add_task(scenario.name, total=demo.n_runs(scenario))
        return demo.run(
            scenario,
            batch_size=batch_size,
            seed=seed,
            advance=lambda: progress.advance(task),
        )


def _legend(scenario: Scenario) -> str:
    if scenario.drifts:
        return (
            "Mean lags by: distance of the running mean from where the feature is at "
            "the end, in standard deviations (median feature). With momentum the "
            "variance is that within batches, without the drift between them."
        )
    return (
        "Errors: largest relative distance from exact rational arithmetic. "
        "Not scaled: features that vary and were taken for constant."
    )


def _or_dash(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)


def _accuracy(result: Result) -> str:
    return f"{100 * result.accuracy:.1f} ({100 * result.accuracy_std:.1f})"


SEEN: list[Column] = [
    ("scaler", lambda result: result.scaler),
    ("rows\nseen", lambda result: str(result.rows_seen)),
]
ERRORS: list[Column] = [
    ("error of\nmean", lambda result: _or_dash(result.mean_error, ".0e")),
    ("error of\nvariance", lambda result: _or_dash(result.variance_error, ".0e")),
    ("not\nscaled", lambda result: _or_dash(result.unscaled, "d")),
]
LAG: list[Column] = [("mean\nlags by", lambda result: _or_dash(result.lag, ".1f"))]
SCORES: list[Column] = [
    ("accuracy\n%", _accuracy),
    ("last\nquarter", lambda result: f"{100 * result.accuracy_last_quarter:.1f}"),
    ("ms per\nbatch", lambda result: f"{result.milliseconds_per_batch:.2f}"),
]
