"""Numbers as people read them, and plots in words."""

from datetime import datetime
from statistics import median

from benchmarks.dashboard.figures import BASELINE, History, Point, Row, workloads

NOTHING = "—"
SIZES = [(10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "bytes")]
UNITS = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]


def seconds(value: float | None) -> str:
    if value is None:
        return NOTHING
    scale, unit = next((u for u in UNITS if value >= 0.9995 * u[0]), UNITS[-1])
    return f"{figures(value / scale, 3)} {unit}"


def size(value: int | None) -> str:
    """Bytes in decimal units."""
    if value is None:
        return NOTHING
    scale, unit = next((u for u in SIZES if abs(value) >= 0.9995 * u[0]), SIZES[-1])
    return f"{value / scale:.{0 if scale == 1 else 1}f} {unit}"


def figures(value: float, count: int = 2) -> str:
    """So many significant figures, without an exponent."""
    return f"{value:.{max(0, count - 1 - magnitude(value, count))}f}"


def magnitude(value: float, count: int) -> int:
    """The power of ten of a value, as rounded to so many significant figures."""
    return int(f"{value:.{count - 1}e}".partition("e")[2])


def times(value: float | None) -> str:
    return NOTHING if value is None else f"{figures(value)} ×"


def percent(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{100 * value:.0f}%" if value >= 0.005 else "< 1%"


def day(date: datetime) -> str:
    return f"{date.day} {date:%B %Y}"


def offset(value: float) -> str:
    """An offset as people write it: 1e6, not 1e+06."""
    mantissa, e, exponent = f"{value:g}".partition("e")
    return f"{mantissa}{e}{int(exponent)}" if e else mantissa


def amount(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def extent(values: list[float]) -> str:
    return f"{figures(min(values))} to {figures(max(values))}"


def speed(speeds: dict[str, list[float]]) -> str:
    """The plot of speed, for those who do not see it."""
    parts = [
        f"{name} {times(median(values))} ({extent(values)}, "
        f"{amount(len(values), 'workload')})"
        for name, values in speeds.items()
    ]
    return f"Speed against {BASELINE}, median and range: {'; '.join(parts)}."


def share(rows: list[Row]) -> str:
    """The plot of shares of the memory limit in words."""
    parts = [
        f"{row.contender} at {row.workload} {percent(row.share)}"
        for row in sorted(rows, key=lambda row: -(row.share or 0.0))
        if row.share is not None
    ]
    return f"Share of the speed of memory: {'; '.join(parts)}."


def accuracy(points: list[Point]) -> str:
    """The plot of accuracy in words."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.contender, []).append(point)
    parts = [
        f"{name} {min(each, key=lambda p: p.value).value:.1f} digits or more"
        for name, each in found.items()
    ]
    return f"Correct digits over all offsets: {'; '.join(parts)}."


def history(history: History, points: list[Point]) -> str:
    """The plot of history in words: first and last value of each line."""
    order = list(history.commits)
    parts = []
    for name in workloads(points):
        at = [p for p in points if p.workload == name and p.contender != BASELINE]
        for contender in dict.fromkeys(p.contender for p in at):
            line = [p for p in at if p.contender == contender]
            line.sort(key=lambda p: order.index(p.commit))
            ends = f"{times(line[0].value)} to {times(line[-1].value)}"
            parts.append(f"{contender} at {name} from {ends}")
    return f"Speed against {BASELINE} over {len(order)} commits: {'; '.join(parts)}."
