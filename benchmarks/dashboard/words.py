"""Plots in words, for those who do not see them."""

from statistics import median

from benchmarks.contenders import BASELINE
from benchmarks.dashboard.records import History, Point, workloads
from benchmarks.record import Record
from benchmarks.texts import amount, extent, percent, times


def speed(record: Record) -> str:
    """Medians and ranges, apart for what is alike."""
    parts = [
        f"{name} {group} {times(median(values))} ({extent(values)}, "
        f"{amount(len(values), 'workload')})"
        for name, of_groups in record.headlines().items()
        for group, values in of_groups.items()
    ]
    return f"Speed against {BASELINE}, median and range: {'; '.join(parts)}."


def share(record: Record) -> str:
    parts = [
        f"{row.contender} at {row.workload} {percent(row.share_of_limit)}"
        for row in sorted(record.rows, key=lambda row: -(row.share_of_limit or 0.0))
        if row.share_of_limit is not None
    ]
    return f"Share of the speed of memory: {'; '.join(parts)}."


def accuracy(points: list[Point]) -> str:
    least: dict[str, float] = {}
    for point in points:
        least[point.contender] = min(point.value, least.get(point.contender, 99.0))
    parts = [f"{name} {digits:.1f} digits or more" for name, digits in least.items()]
    return f"Correct digits over all offsets: {'; '.join(parts)}."


def history(history: History, points: list[Point]) -> str:
    """First and last value of each line."""
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
