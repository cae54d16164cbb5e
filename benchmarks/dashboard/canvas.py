"""How plots are set up and saved, in two widths and two themes."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from benchmarks.dashboard.style import THEMES, Look, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, NARROW = 9.4, 4.4  # inches
SIZES = {"wide": WIDE, "narrow": NARROW}
LINE = 0.15  # inches
LETTERS = 15.5  # of the footer, in an inch


@dataclass(frozen=True)
class Canvas:
    """How wide a figure is, how it looks, and what is written below it."""

    width: float
    theme: Theme
    footer: tuple[str, ...] = ()

    @property
    def narrow(self) -> bool:
        return self.width <= NARROW

    def blank(self, height: float) -> "Figure":
        """A figure of that height, and the footer."""
        from matplotlib.figure import Figure

        letters = int(LETTERS * self.width)
        lines = [line for words in self.footer for line in wrap(words, letters)]
        below = LINE * len(lines) + 0.05
        whole = height + below
        figure = Figure(figsize=(self.width, whole), layout="constrained")
        figure.get_layout_engine().set(rect=(0, below / whole, 1, height / whole))
        look = {"fontsize": 7.5, "va": "top", "color": self.theme.faint}
        for index, line in enumerate(lines):
            figure.text(0.08 / self.width, (below - LINE * index) / whole, line, **look)
        return figure


Draw = Callable[[Canvas], "Figure"]


@contextmanager
def styled(theme: Theme) -> Iterator[None]:
    import matplotlib as mpl

    settings: dict[str, Any] = {
        "axes.edgecolor": theme.grid,
        "axes.facecolor": theme.page,
        "axes.labelcolor": theme.faint,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 10,
        "figure.facecolor": theme.page,
        "font.size": 10,
        "grid.color": theme.grid,
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "legend.handlelength": 2.6,
        "lines.markersize": 6,
        "svg.fonttype": "path",
        "svg.hashsalt": "dashboard",  # the same figures give the same file
        "text.color": theme.text,
        "xtick.color": theme.faint,
        "ytick.color": theme.text,
    }
    with mpl.rc_context(settings):
        yield


def save(
    draw: Draw, folder: Path, name: str, footer: tuple[str, ...]
) -> dict[str, str]:
    """Write a plot for every theme and width; return file names by theme and width."""
    written = {}
    for theme in THEMES:
        for size, width in SIZES.items():
            with styled(theme):
                text = StringIO()
                figure = draw(Canvas(width, theme, footer))
                figure.savefig(text, format="svg", metadata={"Date": None})
            file = f"{name}-{size}-{theme.name}.svg"
            (folder / file).write_text(text.getvalue(), encoding="utf-8")
            written[f"{size}_{theme.name}"] = file
    return written


def add_legend(
    figure: "Figure", canvas: Canvas, chosen: dict[str, Look], lines: bool = True
) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            label=name,
            **appearance(look, canvas.theme, look.line if lines else "none"),
        )
        for name, look in chosen.items()
    ]
    longest = max(map(len, chosen), default=1)
    columns = max(1, int(canvas.width / (0.75 + 0.08 * longest)))
    figure.legend(handles=handles, loc="outside upper left", ncols=columns)


def appearance(look: Look, theme: Theme, line: Any = "none") -> dict[str, Any]:
    colour = look.colour(theme)
    return {
        "color": colour,
        "marker": look.marker,
        "linestyle": line,
        "linewidth": 1.6,
        "markeredgecolor": theme.page,
        "markeredgewidth": 0.6,
        "markersize": 9 if look.marker in "*PX" else 7,
    }


def plain_ticks(axis: Any, form: str, most: int) -> None:
    """Ticks of a logarithmic axis in plain figures, three of them at the least."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    low, high = axis.get_view_interval()
    shown = ticks(low, high, most)
    if len(shown) < 3:
        # The axis is shorter than its steps.
        low, high = low / 1.2, high * 1.2
        axis.axes.set(**{f"{axis.axis_name}lim": (low, high)})
        shown = ticks(low, high, most)
    axis.set_major_locator(FixedLocator(shown))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FixedFormatter([form.format(tick) for tick in shown]))


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers between two, in even ratios as far as there are few; see `most`."""
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = within(low, high, steps)
        if len(found) >= 3:
            every = math.ceil(len(found) / most)
            return found[::-1][::every][::-1] if every > 1 else found
    step = 10.0 ** math.floor(math.log10((high - low) / 3))
    step *= max(m for m in (1, 2, 5) if m * step <= (high - low) / 3)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(n * step, 12) for n in range(first, last + 1)]


def within(low: float, high: float, steps: tuple[float, ...]) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    each = (step * 10.0**decade for decade in decades for step in steps)
    return [float(f"{tick:.6g}") for tick in each if low <= tick <= high]
