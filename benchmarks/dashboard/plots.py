"""Plots, as functions that draw on a canvas of any width and theme."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contenders import BASELINE
from benchmarks.dashboard.canvas import (
    LINE,
    WIDE,
    Canvas,
    Draw,
    add_legend,
    appearance,
    plain_ticks,
    styled,
)
from benchmarks.dashboard.records import History, Point, workloads
from benchmarks.dashboard.style import LIGHT, Look, looks
from benchmarks.record import Figure as Row
from benchmarks.record import Record
from benchmarks.texts import offset

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


LINES = 50  # more of them, and a wide figure has two columns

Value = Callable[[Row], tuple[float, float, float]]


def picture(record: Record, path: Path) -> None:
    """Save the plot of speed as a file of its own."""
    footer = (*record.warnings(), record.provenance())
    with styled(LIGHT):
        figure = speed(record)(Canvas(WIDE, LIGHT, footer))
        figure.savefig(path, dpi=120)


def speed(record: Record) -> Draw:
    """Speed against StandardScaler for each workload, with quartiles."""
    shown = [row for row in record.rows if is_speed(row)]

    def value(row: Row) -> tuple[float, float, float]:
        assert row.ratio is not None, "rows without a ratio are left out"
        return row.ratio.median, row.ratio.q1, row.ratio.q3

    def draw(canvas: Canvas) -> "Figure":
        figure, columns = strips(canvas, record, shown, value)
        for axes in columns:
            axes.set_xscale("log")
            axes.axvline(1, color=canvas.theme.faint, linewidth=1.2, zorder=1)
            axes.set_xlabel(f"times as fast as {BASELINE} (the line at 1): faster →")
        few = canvas.narrow or len(columns) > 1
        # Columns share their axis.
        for axes in columns:
            plain_ticks(axes.xaxis, "{:g} ×", most=5 if few else 9)
        return figure

    return draw


def is_speed(row: Row) -> bool:
    """Imports and first calls are seconds that nobody waits for twice."""
    return bool(row.ratio) and row.contender != BASELINE and row.group != "start-up"


def share(record: Record) -> Draw:
    """Share of the memory limit for each workload."""
    shown = [row for row in record.rows if row.share_of_limit is not None]

    def value(row: Row) -> tuple[float, float, float]:
        percent = 100 * (row.share_of_limit or 0.0)
        return percent, percent, percent

    def draw(canvas: Canvas) -> "Figure":
        figure, columns = strips(canvas, record, shown, value)
        for axes in columns:
            axes.axvline(100, color=canvas.theme.faint, linewidth=1.2, zorder=1)
            axes.set_xlim(0, max(105, *(1.05 * value(row)[0] for row in shown)))
            axes.set_xlabel("% of the speed of memory (the line at 100): faster →")
        return figure

    return draw


def strips(
    canvas: Canvas, record: Record, rows: list[Row], value: Value
) -> tuple["Figure", list["Axes"]]:
    """A strip for each workload, with a line for each of its contenders."""
    chosen = looks([row.contender for row in rows])
    count = 1 if canvas.narrow or len(rows) <= LINES else 2
    inside = canvas.narrow or count > 1
    names = workloads(rows)
    middle = -(-len(names) // count)
    parts = [
        [r for r in rows if names.index(r.workload) // middle == c]
        for c in range(count)
    ]
    placed = [place(part, spare=2.2 if inside else 1.0) for part in parts]
    longest = max(edges[-1] for _, edges in placed)
    figure = canvas.blank(1.3 + LINE * longest)
    columns = list(figure.subplots(1, count, squeeze=False, sharex=True).flat)
    for axes, part, (lines, edges) in zip(columns, parts, placed, strict=True):
        for y, row in lines:
            draw_row(
                axes, y, value(row), appearance(chosen[row.contender], canvas.theme)
            )
        axes.set_ylim(longest, 0)
        label_strips(axes, canvas, workloads(part), edges, inside)
    marked = {record.label(name): look for name, look in chosen.items()}
    add_legend(figure, canvas, marked, lines=False)
    return figure, columns


def place(rows: list[Row], spare: float) -> tuple[list[tuple[float, Row]], list[float]]:
    """Heights of rows, and the edges of strips, counted in lines."""
    edges = [0.0]
    lines = []
    for name in workloads(rows):
        of_strip = [row for row in rows if row.workload == name]
        lines += [(edges[-1] + spare + i, row) for i, row in enumerate(of_strip)]
        edges.append(edges[-1] + spare + len(of_strip))
    return lines, edges


def draw_row(
    axes: "Axes", y: float, value: tuple[float, float, float], look: dict[str, Any]
) -> None:
    middle, low, high = value
    axes.plot([low, high], [y, y], color=look["color"], linewidth=1.6, zorder=2)
    axes.plot(middle, y, clip_on=False, zorder=3, **look)


def label_strips(
    axes: "Axes", canvas: Canvas, names: list[str], edges: list[float], inside: bool
) -> None:
    """Names of workloads left of their strips, or inside them where width is scarce."""
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    for edge in edges:
        axes.axhline(edge, color=canvas.theme.grid, linewidth=0.7)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    if not inside:
        axes.set_yticks([(top + end) / 2 for top, end in pairwise(edges)], names)
        return
    axes.set_yticks([])
    for top, name in zip(edges, names, strict=False):
        where = {"transform": axes.get_yaxis_transform(), "va": "center"}
        axes.text(0, top + 0.9, name, backgroundcolor=canvas.theme.page, **where)


def accuracy(points: list[Point]) -> Draw:
    """Correct digits by offset, one line for each contender."""
    offsets = sorted({float(point.parameters["offset"]) for point in points})
    places = {each: index for index, each in enumerate(offsets)}
    chosen = looks([point.contender for point in points])

    def draw(canvas: Canvas) -> "Figure":
        figure = canvas.blank(4.4 if canvas.narrow else 4.0)
        axes = figure.add_subplot()
        for index, (name, look) in enumerate(chosen.items()):
            line = sorted(
                (places[float(point.parameters["offset"])], point.value)
                for point in points
                if point.contender == name
            )
            shown = appearance(look, canvas.theme, look.line)
            # What lies under another of the same value stands out behind it.
            shown["markersize"] = max(5, 13 - 4 * index)
            axes.plot(*zip(*line, strict=True), **shown)
        axes.set_xticks(range(len(offsets)), list(map(offset, offsets)))
        axes.set_xlabel("offset of the data, in their standard deviations")
        axes.set_ylabel("correct digits: better →")
        axes.set_ylim(0, max(16.5, *(point.value + 0.5 for point in points)))
        axes.grid(axis="y")
        add_legend(figure, canvas, chosen)
        return figure

    return draw


def history(history: History, points: list[Point]) -> Draw:
    """Speed against StandardScaler over commits, a panel for each workload."""
    names = workloads(points)
    measured = {point.commit for point in points}
    commits = {c: date for c, date in history.commits.items() if c in measured}
    chosen = looks([p.contender for p in points if p.contender != BASELINE])

    def draw(canvas: Canvas) -> "Figure":
        columns = 1 if canvas.narrow else min(2, len(names))
        rows = -(-len(names) // columns)
        figure = canvas.blank(1.0 + 2.3 * rows)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for axes, name in zip(panels.flat, names, strict=False):
            of_panel = [p for p in points if p.workload == name]
            draw_lines(axes, canvas, of_panel, list(commits), chosen)
            axes.set_title(name, loc="left")
            label_commits(axes, canvas, commits)
        for axes in panels.flat[len(names) :]:
            axes.set_visible(False)
        figure.supylabel(
            f"times as fast as {BASELINE}: faster →",
            fontsize=10,
            color=canvas.theme.faint,
        )
        add_legend(figure, canvas, chosen)
        return figure

    return draw


def draw_lines(
    axes: "Axes",
    canvas: Canvas,
    points: list[Point],
    commits: list[str],
    chosen: dict[str, Look],
) -> None:
    """One workload's ratios over commits, quartiles as bands."""
    for name, look in chosen.items():
        line = [p for p in points if p.contender == name]
        if not line:
            continue
        line.sort(key=lambda p: commits.index(p.commit))
        places = [commits.index(p.commit) for p in line]
        shown = appearance(look, canvas.theme, look.line)
        low, high = ([getattr(p.summary, q) for p in line] for q in ("q1", "q3"))
        axes.fill_between(
            places, low, high, color=shown["color"], alpha=0.25, linewidth=0
        )
        axes.plot(places, [p.value for p in line], **shown)
    axes.axhline(1, color=canvas.theme.faint, linewidth=1.2, zorder=1)
    axes.set_yscale("log")
    plain_ticks(axes.yaxis, "{:g} ×", most=5)
    axes.grid(axis="y")


def label_commits(axes: "Axes", canvas: Canvas, commits: dict[str, Any]) -> None:
    """The date above the hash, for as many as there is room, the newest too."""
    every = max(1, -(-len(commits) // (4 if canvas.narrow else 5)))
    shown = list(range(len(commits) - 1, -1, -every))
    words = [f"{date:%Y-%m-%d}\n{commit[:7]}" for commit, date in commits.items()]
    axes.set_xticks(shown, [words[i] for i in shown])
    axes.set_xlim(-0.5, len(commits) - 0.5)
    axes.tick_params(axis="x", labelbottom=True, labelsize=7.5)
