"""The ``skbn`` command. Its extra, typer and rich, is loaded when it runs.

Each module here adds its commands to the application by ``add_to(app)``.
"""

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

from skbn import __version__
from skbn.cli import data, demo, reports, states
from skbn.cli.reports import INTERRUPTED, help_text

if TYPE_CHECKING:
    import typer

__all__ = ["INSTALL", "build_app", "main"]

INSTALL = 'skbn: the command needs typer and rich: python -m pip install "skbn[cli]"'
HELP = help_text(
    "Standardise features on streams.",
    """
    skbn fit "data/*.parquet" -o scaler.json
    skbn inspect scaler.json
    skbn transform scaler.json data/new.parquet -o normalised.parquet
    """,
    "The means and standard deviations of data of any size are learnt file by file; "
    "data are normalised with them. `skbn COMMAND --help` has more examples.",
)


def main() -> None:
    """Run the command; without its extra, exit with 1 and one line that says so."""
    if find_spec("typer") is None or find_spec("rich") is None:
        sys.exit(INSTALL)
    try:
        build_app()(prog_name="skbn")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code and reports.opened:
            # Threads of pyarrow may wait for what never comes through a pipe, and would
            # be waited for.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code if isinstance(ended.code, int) else reports.ERROR)
        raise


def build_app() -> "typer.Typer":
    """Return the command as a typer application."""
    import typer

    def print_version(asked: bool) -> None:
        if asked:
            typer.echo(f"skbn {__version__}")
            raise typer.Exit

    app = typer.Typer(
        no_args_is_help=True, help=HELP, pretty_exceptions_show_locals=False
    )
    version = typer.Option(
        "--version", is_eager=True, callback=print_version, help="Show the version."
    )

    @app.callback()
    def skbn(_version: Annotated[bool, version] = False) -> None:
        pass

    for module in (data, states, demo):
        module.add_to(app)
    return app
