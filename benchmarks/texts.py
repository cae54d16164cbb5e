"""Numbers as people read them: the same in tables, on pages and in plots."""

from datetime import datetime

NOTHING = "—"
UNITS = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]


def seconds(value: float | None) -> str:
    """Three figures in a readable unit."""
    if value is None:
        return NOTHING
    scale, unit = next((u for u in UNITS if value >= 0.9995 * u[0]), UNITS[-1])
    return f"{figures(value / scale, 3)} {unit}"


def size(n_bytes: float | None) -> str:
    """Memory has one unit everywhere, so that sizes can be compared."""
    return NOTHING if n_bytes is None else f"{n_bytes / 2**20:.1f} MiB"


def figures(value: float, count: int = 2) -> str:
    """So many significant figures, without an exponent."""
    magnitude = int(f"{value:.{count - 1}e}".partition("e")[2])
    return f"{value:.{max(0, count - 1 - magnitude)}f}"


def times(value: float | None) -> str:
    return NOTHING if value is None else f"{figures(value)} ×"


def percent(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{100 * value:.0f}%" if value >= 0.005 else "< 1%"


def speed(bytes_a_second: float) -> str:
    return f"{bytes_a_second / 1e9:.1f} GB/s"


def day(date: datetime) -> str:
    return f"{date.day} {date:%B %Y}"


def offset(value: float) -> str:
    """An offset as people write it: 1e6, not 1e+06."""
    mantissa, e, exponent = f"{value:g}".partition("e")
    return f"{mantissa}{e}{int(exponent)}" if e else mantissa


def amount(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def extent(values: list[float]) -> str:
    low, high = figures(min(values)), figures(max(values))
    return low if low == high else f"{low} to {high}"


def one_line(words: object, most: int = 160) -> str:
    """What an exception says, however it was laid out."""
    line = " ".join(str(words).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
