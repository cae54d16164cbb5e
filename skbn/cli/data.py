"""``skbn fit``, ``transform`` and ``inverse``: from data to a scaler, and on."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from skbn import BatchNormTransformer, engines, fit_stream, transform_stream
from skbn.cli.reports import (
    STANDARD,
    check_output,
    help_text,
    listed,
    misused,
    named,
    read_fitted,
    reporting,
    say,
    standard_input,
    summary,
    write_scaler,
)
from skbn.state import to_document
from skbn.streams import files
from skbn.streams.formats import kind_of

if TYPE_CHECKING:
    import typer

Options: TypeAlias = dict[str, Any]

DATA = (
    "Files, folders or quoted patterns of Parquet, Arrow, CSV or .npy; "
    "- for CSV or Arrow on standard input."
)
OUT = (
    "File to write: .parquet, .arrow, .csv or .npy; a folder for a file each; "
    "- for CSV on standard output."
)
FIT = help_text(
    "Learn the means and standard deviations of data, and save them.",
    """
    skbn fit "data/*.parquet" -o scaler.json
    skbn fit data/ -o scaler.json --columns height,weight
    skbn fit sensors.csv -o scaler.json --halflife 1000
    zcat log.csv.gz | skbn fit - -o scaler.json
    """,
    "Memory is bounded, however large the data are. Interrupted by Ctrl-C, or killed, "
    "the same command with --resume goes on where it was, from a checkpoint beside the "
    "result.",
    "By default every row counts the same. With --momentum each batch of rows weighs "
    "so much against all before, as in batch norm; with --halflife a row weighs half "
    "as much so many rows later.",
)
TRANSFORM = help_text(
    "Normalise data with a scaler.",
    """
    skbn transform scaler.json new.parquet -o normalised.parquet
    skbn transform scaler.json data/ -o normalised/
    skbn transform scaler.json - -o - < new.csv
    """,
    "Columns that the scaler does not know pass through. A file has its name once all "
    "of it is written.",
)
INVERSE = help_text(
    "Map normalised data back to the original units.",
    "skbn inverse scaler.json normalised.parquet -o original.parquet",
)


def add_to(app: "typer.Typer") -> None:
    """Add the commands."""
    add_fit(app)
    add_map(app, "transform", TRANSFORM)
    add_map(app, "inverse", INVERSE)


def add_fit(app: "typer.Typer") -> None:
    """Add the command ``fit``."""
    from typer import Argument, Option

    learning, form = "How rows are weighed", "What the scaler does later"

    @app.command("fit", help=FIT)
    @reporting
    def fit(
        data: Annotated[list[str], Argument(metavar="DATA", help=DATA)],
        output: Annotated[
            str,
            Option("--output", "-o", help="File for the scaler; .json or .json.gz."),
        ],
        columns: Annotated[
            list[str] | None,
            Option(
                "--columns", "-c", help="Columns to learn, with commas; all if none."
            ),
        ] = None,
        weight_column: Annotated[
            str | None, Option(help="Column with the weight of each row.")
        ] = None,
        momentum: Annotated[
            float | None,
            Option(help="Weight of a new batch, 0 to 1.", rich_help_panel=learning),
        ] = None,
        halflife: Annotated[
            float | None,
            Option(help="Rows until a weight halves.", rich_help_panel=learning),
        ] = None,
        batch_rows: Annotated[
            int | None,
            Option(min=1, help="Rows of a batch.", rich_help_panel=learning),
        ] = None,
        zero_debias: Annotated[
            bool,
            Option(
                help="Correct momentum's start, or start from 0 and 1 as PyTorch does.",
                rich_help_panel=learning,
            ),
        ] = True,
        ddof: Annotated[
            int,
            Option(
                min=0,
                help="Variances are divided by the number of rows less this.",
                rich_help_panel=learning,
            ),
        ] = 0,
        epsilon: Annotated[
            float,
            Option(min=0, help="Added to variances.", rich_help_panel=form),
        ] = 0.0,
        with_mean: Annotated[
            bool, Option(help="Subtract the mean.", rich_help_panel=form)
        ] = True,
        with_std: Annotated[
            bool, Option(help="Divide by the deviation.", rich_help_panel=form)
        ] = True,
        clip: Annotated[
            float | None,
            Option(help="Bound of normalised values.", rich_help_panel=form),
        ] = None,
        resume: Annotated[
            bool, Option("--resume", help="Go on where this command was interrupted.")
        ] = False,
        engine: Annotated[
            str,
            Option(help="What computes: auto, numpy or numba.", autocompletion=known),
        ] = "auto",
        quiet: Annotated[
            bool, Option("--quiet", "-q", help="No progress, no summary.")
        ] = False,
    ) -> None:
        scaler = new_scaler(
            momentum=momentum,
            halflife=halflife,
            zero_debias=zero_debias,
            ddof=ddof,
            epsilon=epsilon,
            with_mean=with_mean,
            with_std=with_std,
            clip=clip,
            engine=engine,
        )
        options = {
            "columns": columns_of(columns, data),
            "weight_column": the_only(weight_column, data),
            "batch_rows": batch_rows,
            "progress": False if quiet else "auto",
        }
        learn(scaler, data, output, options, resume=resume)
        if not quiet:
            say(f"{named(output, 'standard output')}: {summary(scaler)}")


def add_map(app: "typer.Typer", name: str, text: str) -> None:
    """Add the command ``transform`` or ``inverse``."""
    from typer import Argument, Option

    @app.command(name, help=text)
    @reporting
    def run(
        scaler: Annotated[
            str, Argument(metavar="SCALER", help="File that skbn fit has written.")
        ],
        data: Annotated[list[str], Argument(metavar="DATA", help=DATA)],
        output: Annotated[str, Option("--output", "-o", help=OUT)],
        columns: Annotated[
            list[str] | None,
            Option(
                "--columns",
                "-c",
                help="Columns to map, in the order of the scaler's features; those of "
                "its names if none.",
            ),
        ] = None,
        quiet: Annotated[bool, Option("--quiet", "-q", help="No progress.")] = False,
    ) -> None:
        if scaler == STANDARD and STANDARD in data:
            raise misused("standard input is the scaler or the data, not both")
        source, destination = source_of(data), destination_of(output)
        transform_stream(
            read_fitted(scaler),
            source,
            destination,
            columns=columns_of(columns, data),
            progress=False if quiet else "auto",
            inverse=name == "inverse",
        )


# The scaler


def known(incomplete: str) -> list[str]:
    """Names of engines that begin so, for the shell to complete."""
    return [name for name in sorted(engines.ALWAYS) if name.startswith(incomplete)]


def new_scaler(**parameters: Any) -> BatchNormTransformer:
    """Return a scaler; parameters that are not valid are a wrong use."""
    if parameters["engine"] not in known(""):
        raise misused(
            f"--engine {parameters['engine']}: the engines are {', '.join(known(''))}"
        )
    if parameters["momentum"] is not None and parameters["halflife"] is not None:
        raise misused("--momentum and --halflife exclude each other")
    scaler = BatchNormTransformer(**parameters)
    try:
        to_document(scaler)
    except ValueError as error:
        raise misused(str(error)) from error
    return scaler


def learn(
    scaler: BatchNormTransformer,
    data: list[str],
    output: str,
    options: Options,
    *,
    resume: bool,
) -> None:
    """Fit and save, with a checkpoint beside the result while it goes on."""
    if resume and STANDARD in (*data, output):
        raise misused("--resume needs files: standard input cannot be read again")
    check_output(output)
    source = source_of(data)
    kept = None if STANDARD in (*data, output) else Path(f"{output}.checkpoint")
    if kept is not None and not resume:
        kept.unlink(missing_ok=True)
    try:
        fit_stream(scaler, source, checkpoint=kept, **options)
    except KeyboardInterrupt as error:
        if kept is not None and kept.exists():
            error.add_note("Repeat the command with --resume.")
        raise
    except Exception:
        # What was interrupted is to be gone on with, what is wrong only if so asked.
        if kept is not None and not resume:
            kept.unlink(missing_ok=True)
        raise
    write_scaler(scaler, output)
    if kept is not None:
        kept.unlink(missing_ok=True)


# Data


def source_of(data: list[str]) -> Any:
    """What to read: files, or standard input."""
    if STANDARD not in data:
        return data if len(data) > 1 else data[0]
    if len(data) > 1:
        raise misused("- stands alone: standard input and files do not mix")
    return standard_input()


def destination_of(output: str) -> Any:
    """What to write: a file, or standard output."""
    return sys.stdout.buffer if output == STANDARD else output


def are_arrays(data: list[str]) -> bool:
    """Whether the columns have numbers, not names."""
    return STANDARD not in data and kind_of(files.listed(data)[0]) == ".npy"


def columns_of(given: list[str] | None, data: list[str]) -> list[str | int] | None:
    """The columns that an option names, by number where the data are arrays."""
    return listed(given, by_number=are_arrays(data)) if given else None


def the_only(given: str | None, data: list[str]) -> str | int | None:
    """The column that an option names."""
    columns = columns_of(None if given is None else [given], data)
    if columns is None:
        return None
    if len(columns) != 1:
        raise misused(f"--weight-column takes one column: {given}")
    return columns[0]
