"""How plots are set up and saved, in two widths and two themes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.dashboard.style import THEMES, Look, Theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, NARROW = 9.4, 4.4  # inches
SIZES = {"wide": WIDE, "narrow": NARROW}


@dataclass(frozen=True)
class Canvas:
    """How wide a figure is and how it looks."""

    width: float
    theme: Theme

    @property
    def narrow(self) -> bool:
        return self.width <= NARROW


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


def save(draw: Draw, folder: Path, name: str) -> dict[str, str]:
    """Write a plot for every theme and width; return file names by theme and width."""
    written = {}
    for theme in THEMES:
        for size, width in SIZES.items():
            with styled(theme):
                text = StringIO()
                figure = draw(Canvas(width, theme))
                figure.savefig(text, format="svg", metadata={"Date": None})
            file = f"{name}-{size}-{theme.name}.svg"
            (folder / file).write_text(text.getvalue(), encoding="utf-8")
            written[f"{size}_{theme.name}"] = file
    return written


def blank(canvas: Canvas, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(canvas.width, height), layout="constrained")


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
    figure.legend(
        handles=handles, loc="outside upper left", ncols=legend_columns(canvas)
    )


def legend_columns(canvas: Canvas) -> int:
    return 2 if canvas.narrow else 5


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


def plain_ticks(axis: Any, form: str, most: float) -> None:
    """Ticks in plain figures: at 1, 2, 5, 10, ..., or at powers of ten.

    Powers of ten are enough when the axis has more of them than `most`.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = axis.get_view_interval()
    subs = (1.0,) if high > low * 10**most else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: form.format(value)))
