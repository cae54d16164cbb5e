"""``skbn merge`` and ``skbn inspect``: scalers that were saved."""

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from skbn.cli.reports import (
    STANDARD,
    check_output,
    help_text,
    misused,
    named,
    plural,
    read_fitted,
    read_scaler,
    reporting,
    say,
    summary,
    write_scaler,
)
from skbn.transformer import BatchNormTransformer

if TYPE_CHECKING:
    import typer
    from rich.table import Table

MERGE = help_text(
    "Merge scalers that were fitted on parts of the data, in the order of the data.",
    "skbn merge monday.json tuesday.json -o week.json",
    "The result is what one scaler would be that has seen all parts, one after the "
    "other.",
)
INSPECT = help_text(
    "Show what a scaler has learnt.",
    """
    skbn inspect scaler.json
    skbn inspect scaler.json --json | jq ".features[0]"
    """,
)


def add_to(app: "typer.Typer") -> None:
    """Add the commands."""
    from typer import Argument, Option

    @app.command("merge", help=MERGE)
    @reporting
    def merge(
        scalers: Annotated[
            list[str], Argument(metavar="SCALER", help="Scalers, oldest data first.")
        ],
        output: Annotated[
            str, Option("--output", "-o", help="File for the scaler of all.")
        ],
        quiet: Annotated[bool, Option("--quiet", "-q", help="No summary.")] = False,
    ) -> None:
        if scalers.count(STANDARD) > 1:
            raise misused("standard input holds one scaler")
        check_output(output)
        merged = merge_files(scalers)
        write_scaler(merged, output)
        if not quiet:
            say(f"{named(output, 'standard output')}: {summary(merged)}")

    @app.command("inspect", help=INSPECT)
    @reporting
    def inspect(
        scaler: Annotated[
            str, Argument(metavar="SCALER", help="A scaler; - for standard input.")
        ],
        as_json: Annotated[
            bool, Option("--json", help="Print JSON instead of a table.")
        ] = False,
        limit: Annotated[
            int, Option(min=0, help="Features in the table; 0 for all.")
        ] = 100,
    ) -> None:
        if as_json:
            print_json(read_scaler(scaler))
        else:
            print_table(read_fitted(scaler), named(scaler), limit)


def merge_files(paths: list[str]) -> BatchNormTransformer:
    """Return what the scalers in files have seen together."""
    first, *rest = paths
    merged = read_fitted(first)
    for path in rest:
        other = read_fitted(path)
        try:
            merged.merge(other)
        except ValueError as error:
            raise ValueError(f"{named(path)}: {error}") from error
    return merged


# What a scaler has learnt


def print_json(scaler: BatchNormTransformer) -> None:
    """Print all of it as one JSON object; NaN is null."""
    is_fitted = hasattr(scaler, "n_features_in_")
    report = {
        "averaging": averaging_of(scaler),
        "n_features": scaler.n_features_in_ if is_fitted else None,
        "n_batches_seen": scaler.n_batches_seen_ if is_fitted else 0,
        "features": features_of(scaler) if is_fitted else [],
    }
    print(json.dumps(report, indent=2, allow_nan=False))


def print_table(scaler: BatchNormTransformer, name: str, limit: int) -> None:
    """Print a line about it, and a table of its features."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    features = features_of(scaler)
    console.print(Text(f"{name}: {averaging_of(scaler)}", style="bold"))
    console.print(Text(f"{summary(scaler)}, {constants_of(features)}"))
    shown = features[: limit or None]
    console.print(table(shown))
    if len(shown) < len(features):
        more = plural(len(features) - len(shown), "more feature")
        console.print(f"and {more}: --limit 0 shows all", style="dim")


def averaging_of(scaler: BatchNormTransformer) -> str:
    """How rows are weighed, in words."""
    if scaler.momentum is not None:
        return f"each batch weighs {scaler.momentum:g} (momentum)"
    if scaler.halflife is not None:
        return f"a row's weight halves in {scaler.halflife:g} rows (half-life)"
    return "every row counts the same"


def constants_of(features: list[dict[str, Any]]) -> str:
    """How many features are constant."""
    return f"{sum(feature['constant'] for feature in features):,} of them constant"


def features_of(scaler: BatchNormTransformer) -> list[dict[str, Any]]:
    """Name, mean, standard deviation, rows seen and constancy of each feature."""
    view = scaler._view()
    (mean, _), variance = view.statistics
    with np.errstate(invalid="ignore"):
        columns = [
            map(str, scaler.get_feature_names_out()),
            map(_or_none, mean.tolist()),
            map(_or_none, np.sqrt(variance).tolist()),
            np.broadcast_to(view.running.n_samples, mean.shape).tolist(),
            view.scaling[0].tolist(),
        ]
    keys = ("name", "mean", "std", "seen", "constant")
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


def table(features: list[dict[str, Any]]) -> "Table":
    """Return the features as a table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    drawn.add_column("feature", overflow="fold")
    for heading in ("mean", "standard deviation", "rows seen"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    drawn.add_column("")
    for feature in features:
        drawn.add_row(
            Text(feature["name"]),
            _or_dash(feature["mean"]),
            _or_dash(feature["std"]),
            f"{feature['seen']:,}",
            "constant" if feature["constant"] else "",
        )
    return drawn


def _or_none(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(value)


def _or_dash(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.6g}"
