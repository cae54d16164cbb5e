"""The quick run's results as JSON, as a table and as a plot."""

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import environment
from benchmarks.contenders import BASELINE
from benchmarks.quick import Result
from benchmarks.workloads import profile

if TYPE_CHECKING:
    from rich.table import Table

SCHEMA = 1
UNITS = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")]


def as_dict(results: list[Result], limits: dict[str, float]) -> dict[str, Any]:
    """All that the dashboard reads."""
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": environment.machine(),
        "versions": environment.versions(),
        "commit": environment.commit(),
        "profile": profile().name,
        "limits": limits,
        "rows": [row(result) for result in results],
    }


def row(result: Result) -> dict[str, Any]:
    fields = asdict(result)
    del fields["wrong"]
    return fields


def table(results: list[Result]) -> "Table":
    """A line for each workload, and one for each contender at it."""
    from rich import box
    from rich.table import Table

    drawn = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
    )
    drawn.add_column("work", no_wrap=True)
    widths = {"time": 9, f"against\n{BASELINE}": 20, "share of\nlimit": 8}
    for heading, width in widths.items():
        drawn.add_column(heading, justify="right", no_wrap=True, min_width=width)
    for work, group in groupby(results, key=lambda result: result.workload):
        listed = list(group)
        drawn.add_row(work, "", turns(listed), style="bold")
        for result in listed:
            drawn.add_row(*cells(result))
    return drawn


def turns(results: list[Result]) -> str:
    """How many rounds they took part in, which are the same for all."""
    rounds = max((result.rounds or 0 for result in results), default=0)
    return f"{rounds} rounds" if rounds else ""


def cells(result: Result) -> list[str]:
    """The line of one contender."""
    ratio, share = result.ratio, result.share_of_limit
    against = result.note.partition(":")[0]
    if ratio is not None and result.contender != BASELINE:
        median, *quartiles = map(factor, (ratio.median, ratio.q1, ratio.q3))
        against = f"{median} x [{', '.join(quartiles)}]"
    part = f"{share:.0%}" if share is not None else ""
    return [f"  {result.contender}", quantity(result), against, part]


def quantity(result: Result) -> str:
    """Time, or memory."""
    if result.bytes is not None:
        return f"{result.bytes / 2**20:.1f} MiB"
    return duration(result.seconds)


def factor(ratio: float) -> str:
    """Three digits, fewer below one."""
    return f"{ratio:.{2 if ratio < 10 else 1 if ratio < 100 else 0}f}"


def duration(seconds: float | None) -> str:
    """Three digits in a readable unit."""
    if seconds is None:
        return ""
    unit, name = next((u for u in UNITS if seconds >= u[0]), UNITS[-1])
    return f"{seconds / unit:#.3g}".rstrip(".") + f" {name}"


def bandwidths(limits: dict[str, float]) -> str:
    """The limits in words."""
    return (
        f"Memory: {limits['read'] / 1e9:.1f} GB/s read, "
        f"{limits['copy'] / 1e9:.1f} GB/s read and written by a copy to a new array, "
        f"by {environment.machine()['cores']} threads"
    )


def plot(results: list[Result], path: Path) -> None:
    """Draw how much faster than StandardScaler each contender is, and save it."""
    from matplotlib.figure import Figure

    shown = [r for r in results if r.ratio and r.contender != BASELINE]
    works = list(dict.fromkeys(r.workload for r in shown))
    names = list(dict.fromkeys(r.contender for r in shown))
    figure = Figure(figsize=(9, 1.5 + 0.4 * len(works)), layout="constrained")
    axes = figure.subplots()
    for index, name in enumerate(names):
        each = [r for r in shown if r.contender == name]
        places = [
            works.index(r.workload) + 0.12 * (index - len(names) / 2) for r in each
        ]
        ratios = [r.ratio for r in each if r.ratio]
        middle = [ratio.median for ratio in ratios]
        spread = [
            [ratio.median - ratio.q1 for ratio in ratios],
            [ratio.q3 - ratio.median for ratio in ratios],
        ]
        axes.errorbar(middle, places, xerr=spread, fmt="o", markersize=4, label=name)
    axes.set_xscale("log")
    axes.axvline(1.0, color="grey", linewidth=1)
    axes.set_yticks(range(len(works)), works)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(f"{BASELINE}'s time over the contender's: median and quartiles")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    figure.savefig(path, dpi=120)
