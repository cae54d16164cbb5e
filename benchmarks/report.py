"""The quick run's results as a table and as lines below it."""

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from benchmarks import texts
from benchmarks.contenders import BASELINE
from benchmarks.record import Figure, Record
from benchmarks.workloads import explained

if TYPE_CHECKING:
    from rich.table import Table

# What a contender could not be, in place of its time.
OUTCOMES = {"wrong": "wrong answer", "failed": "failed"}
NAMES = 36


def table(record: Record) -> "Table":
    """A line for each workload, and one for each contender at it."""
    from rich import box
    from rich.table import Table

    drawn = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True
    )
    drawn.add_column("work", min_width=NAMES, max_width=NAMES, overflow="fold")
    widths = {"time": 9, f"against\n{BASELINE}": 22, "of\nlimit": 6}
    for heading, width in widths.items():
        drawn.add_column(heading, justify="right", no_wrap=True, min_width=width)
    for work, group in groupby(record.rows, key=lambda row: row.workload):
        listed = list(group)
        drawn.add_row(work, "", rounds(listed), style="bold")
        for row in listed:
            drawn.add_row(f"  {record.label(row.contender)}", *cells(row))
    return drawn


def rounds(rows: list[Figure]) -> str:
    """How many rounds they took part in, which are the same for all."""
    most = max((row.rounds or 0 for row in rows), default=0)
    return texts.amount(most, "round") if most else ""


def cells(row: Figure) -> list[str]:
    """Time or memory, ratio, and share of the limit of one contender."""
    measured = (
        texts.seconds(row.seconds) if row.bytes is None else texts.size(row.bytes)
    )
    if row.outcome:
        return ["", OUTCOMES[row.outcome], ""]
    against, share = row.note, ""
    if row.ratio is not None and row.contender != BASELINE:
        quartiles = map(texts.figures, (row.ratio.q1, row.ratio.q3))
        spread = f" [{', '.join(quartiles)}]" if row.rounds != 1 else ""
        against = f"{texts.times(row.ratio.median)}{spread}"
    if row.share_of_limit is not None:
        share = texts.percent(row.share_of_limit) + ("†" if row.above_limit else "")
    return [measured, against, share]


def below(record: Record) -> Iterator[str]:
    """What has to be known to read the table, a line each."""
    yield from (f"! {warning}" for warning in record.warnings())
    yield record.provenance()
    yield from bandwidths(record)
    yield from explained(row.workload for row in record.rows)
    for name, what in record.lenient.items():
        yield f"{name}*: takes what scikit-learn refuses: {', '.join(what)}"
    yield from above_limit(record)
    for row in record.rows:
        if row.note:
            yield f"{row.workload}, {row.contender}: {row.note}"


def above_limit(record: Record) -> Iterator[str]:
    """Why shares are above 100%, a line for each reason."""
    reasons: dict[str, dict[str, None]] = {}
    for row in record.rows:
        if row.above_limit:
            reasons.setdefault(row.above_limit, {})[row.workload] = None
    for reason, works in reasons.items():
        yield f"† more than 100%, {reason}: {'; '.join(works)}"


def bandwidths(record: Record) -> Iterator[str]:
    """What memory allowed, and how busy the machine was."""
    for when, limits in record.limits.items():
        read, copy = (texts.speed(limits[kind]) for kind in ("read", "copy"))
        load = record.load.get(when)
        busy = "" if load is None else f"; load average {load:.1f}"
        yield f"Memory {when}: {read} read, {copy} read and written by a copy{busy}"
