"""The commands; like all modules here they load without the packages they use.

asv imports every module of the benchmarks, in environments that have few packages.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import asv_names
from benchmarks import record as records_of_runs
from benchmarks.dashboard import asv_pages, page, records
from benchmarks.dashboard.records import History
from benchmarks.dashboard.vendoring import vendor_files
from benchmarks.errors import HarnessError
from benchmarks.record import Record

PACKAGES = {"asv", "jinja2", "matplotlib"}


@contextmanager
def plain_errors() -> Iterator[None]:
    """One line and exit code 1 for what a user can put right."""
    try:
        yield
    except (HarnessError, asv_names.AsvChangedError) as error:
        raise SystemExit(f"error: {error}") from error
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in PACKAGES:
            raise
        raise SystemExit(f"error: the dashboards need {package}") from error


def vendor(html: Path = Path(".asv/html"), cache: Path | None = None) -> None:
    """Make asv's published pages work without a network.

    What they load from content networks is downloaded from the npm registry, checked
    against pinned contents and put beside them with its licences. Doing it again
    changes nothing.

    Parameters
    ----------
    html : Path
        The folder that ``asv publish`` wrote.
    cache : Path, optional
        A folder to keep downloaded archives in.
    """
    with plain_errors():
        added = vendor_files(html, cache)
        print(f"{html}: {len(added)} files added, nothing is loaded from elsewhere")


def publish(
    config: Path = Path("asv.conf.json"),
    site: Path = Path(".asv/site"),
    quick: Path | None = None,
    machine: str = "",
    cache: Path | None = None,
) -> None:
    """Publish asv's results with a start page, for any static web server.

    ``index.html`` in `site` is the start page; asv's own pages are in ``asv/``.

    Parameters
    ----------
    config : Path
        asv's configuration file.
    site : Path
        The folder to write into.
    quick : Path, optional
        What ``python -m benchmarks --json FILE`` wrote: the current figures. Without it
        they are those that asv tracked at the newest commit.
    machine : str, optional
        The machine whose history to show; by default the one with the most commits.
    cache : Path, optional
        A folder to keep downloaded archives in.
    """
    with plain_errors():
        load = asv_names.Config.load
        if not config.is_file():
            raise HarnessError(f"there is no file {config}")
        conf = load(str(config))
        past = records.read_history(config.parent / conf.results_dir, machine)
        current = records_of_runs.read(quick) if quick else past.record()
        refuse_two_profiles(current, past)
        run_asv_publish(config, site / "asv")
        vendor_files(site / "asv", cache)
        asv_pages.dress(site / "asv")
        print(page.write_page(site, conf.project, current, past))


def refuse_two_profiles(current: Record, past: History) -> None:
    """Figures of unlike data are not to be looked at side by side."""
    if past.profile and current.profile != past.profile:
        raise HarnessError(
            f"the quick run is of the profile {current.profile}, asv's results are of "
            f"{past.profile}: a page shows one"
        )


def run_asv_publish(config: Path, html: Path) -> None:
    """Let asv write its pages."""
    options = ["--config", str(config.resolve()), "--html-dir", str(html.resolve())]
    done = subprocess.run(
        [sys.executable, "-m", "asv", "publish", *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HarnessError(f"asv publish failed:\n{done.stdout}{done.stderr}")
