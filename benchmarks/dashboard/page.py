"""The start page: figures as tables and plots, in one file and its pictures."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

from benchmarks import report, texts
from benchmarks.contenders import BASELINE
from benchmarks.dashboard import canvas, plots, words
from benchmarks.dashboard.records import History, Point, plain, workloads
from benchmarks.dashboard.style import DARK, LIGHT
from benchmarks.record import HEADLINES, Record
from benchmarks.workloads import explained

TEMPLATES = Path(__file__).parent / "templates"
MISSING = {
    "speed": "No speeds have been measured.",
    "share": "No shares of the memory limit have been measured.",
    "accuracy": "No accuracy has been measured.",
    "history": "No history has been measured.",
}


@dataclass(frozen=True)
class Picture:
    """A plot's files by width and theme, and what it shows in words."""

    files: dict[str, str]
    words: str


def write_page(site: Path, project: str, current: Record, history: History) -> Path:
    """Write ``index.html`` and its pictures into the folder `site`.

    Parameters
    ----------
    site : Path
        The folder, beside asv's pages in ``asv/``.
    project : str
        The name that the page shows.
    current : Record
        Figures of the tables and of the plots of speed and memory.
    history : History
        What asv tracked: accuracy, and speeds at earlier commits.

    Returns
    -------
    Path
        The page.
    """
    site.mkdir(parents=True, exist_ok=True)
    text = (
        environment()
        .get_template("page.html.j2")
        .render(
            project=project,
            baseline=BASELINE,
            current=current,
            warnings=list(current.warnings()),
            explained=explained(row.workload for row in current.rows),
            above_limit=list(report.above_limit(current)),
            groups=[g for g in HEADLINES if g in current.groups()],
            history=history,
            pictures=draw_all(site, current, history),
            missing=MISSING,
            digits=digits(history.newest("track_digits")),
            graphs=list(graphs(history)),
            light=LIGHT,
            dark=DARK,
            css=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        )
    )
    page = site / "index.html"
    page.write_text(text, encoding="utf-8")
    return page


def environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (texts.seconds, texts.size, texts.figures, texts.times, texts.percent)
    others = (texts.amount, texts.day, texts.extent, texts.speed, median)
    for function in (*shown, *others):
        found.filters[function.__name__] = function
    return found


def draw_all(site: Path, current: Record, past: History) -> dict[str, Picture]:
    """Plots for which there is something to show, with what they were made from."""
    tracked = past.named("track_ratio")
    exact = [p for p in past.newest("track_digits") if "offset" in p.parameters]
    shares = [row for row in current.rows if row.share_of_limit]
    warnings = tuple(current.warnings())
    now = (*warnings, current.provenance())
    # asv's results are of another run, whatever the machine's state in this one.
    then = (past.record().provenance(),)
    wanted = [
        ("speed", current.headlines(), plots.speed(current), words.speed(current), now),
        ("share", shares, plots.share(current), words.share(current), now),
        ("accuracy", exact, plots.accuracy(exact), words.accuracy(exact), then),
        (
            *("history", tracked, plots.history(past, tracked)),
            *(words.history(past, tracked), then),
        ),
    ]
    return {
        name: Picture(canvas.save(draw, site, name, footer), described)
        for name, shown, draw, described, footer in wanted
        if shown
    }


def digits(points: list[Point]) -> tuple[list[str], dict[str, dict[str, float]]]:
    """Contenders, and digits by offset and contender."""
    points = [point for point in points if "offset" in point.parameters]
    table: dict[str, dict[str, float]] = {}
    for point in sorted(points, key=lambda p: float(p.parameters["offset"])):
        offset = texts.offset(float(point.parameters["offset"]))
        table.setdefault(offset, {})[point.contender] = point.value
    return list(dict.fromkeys(point.contender for point in points)), table


def graphs(history: History) -> list[tuple[str, str]]:
    """Names of workloads, and addresses of asv's graphs of their contenders."""
    points = history.named("track_ratio")
    first = {point.workload: point for point in reversed(points)}
    return [(name, graph_address(history, first[name])) for name in workloads(points)]


def graph_address(history: History, point: Point) -> str:
    """asv's graph with all contenders at one workload."""
    benchmark = history.benchmarks[point.benchmark]
    # Ratios range over powers of ten, and commits come in bursts.
    chosen = ["y-axis-scale=log", "x-axis-scale=even"]
    pairs = zip(benchmark["param_names"], benchmark["params"], strict=True)
    for name, values in pairs:
        if name == "contender":
            shown = values
        else:
            shown = [v for v in values if plain(v) == point.parameters[name]]
        chosen += [f"p-{quote(name, safe='')}={quote(v, safe='')}" for v in shown]
    return f"asv/index.html#{quote(point.benchmark)}?{'&'.join(chosen)}"
