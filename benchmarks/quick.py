"""The quick side-by-side run: every contender takes its turn at every row."""

import fnmatch
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from benchmarks import answers, contenders, footprint, measure
from benchmarks.answers import Statistics, WrongAnswerError
from benchmarks.contenders import BASELINE
from benchmarks.measure import Summary, Times
from benchmarks.operations import (
    Fit,
    FitTransformInPipeline,
    Operation,
    PartialFit,
    Transform,
    TransformBatches,
    TransformInPlace,
)
from benchmarks.workloads import FLOATS, WORKLOADS, Workload, profile

LIMIT = "memory"
MEMORY = "memory of fit"
# An error that is worth a note beside the time that it saved.
FEW_DIGITS = 1e-6
# Right statistics of a workload in either order, filled in as they are asked for.
RIGHT: defaultdict[Workload, dict[str, Statistics]] = defaultdict(dict)


@dataclass(frozen=True)
class Row:
    """One line of the table: an operation at a workload."""

    group: str
    workload: Workload
    operation: type[Operation] | None = None  # None measures memory

    @property
    def name(self) -> str:
        # Times are those of one batch.
        return f"{self.group} {replace(self.workload, batches=0).label}"


@dataclass
class Result:
    """One contender at one row."""

    workload: str
    group: str
    contender: str
    seconds: float | None = None
    quartiles: tuple[float, float] | None = None
    ratio: Summary | None = None  # StandardScaler's time over this one's
    share_of_limit: float | None = None
    bytes: int | None = None
    note: str = ""
    rounds: int | None = None
    wrong: bool = field(default=False, repr=False)


def rows() -> list[Row]:
    """Every row, in the size of the profile."""
    fits = [*FLOATS, *(WORKLOADS[name] for name in ("missing", "weighted", "uint8"))]
    dense = WORKLOADS["dense"]
    small = {name: WORKLOADS[name] for name in ("minibatch", "small", "one row")}
    listed = [
        *(Row("fit", workload, Fit) for workload in fits),
        Row("transform", dense, Transform),
        Row("transform in place", dense, TransformInPlace),
        *(Row("partial_fit", workload, PartialFit) for workload in small.values()),
        *(
            Row("transform", small[name], TransformBatches)
            for name in ("minibatch", "one row")
        ),
        Row(MEMORY, dense),
        *(
            Row(group, WORKLOADS[name], operation)
            for name in ("csr", "csc")
            for group, operation in (("fit", Fit), ("transform", Transform))
        ),
        Row("fit", WORKLOADS["polars"], Fit),
        Row("fit_transform", WORKLOADS["polars"], FitTransformInPipeline),
    ]
    return [
        Row(r.group, r.workload.at(profile()), r.operation)
        for r in listed
        if r.workload.available
    ]


def chosen(patterns: Iterable[str] = ()) -> list[Row]:
    """Rows whose names match one of the patterns, or hold it; all without any."""
    patterns = list(patterns)
    if not patterns:
        return rows()
    return [
        row
        for row in rows()
        if any(p in row.name or fnmatch.fnmatch(row.name, p) for p in patterns)
    ]


def run(
    listed: list[Row],
    names: Iterable[str] = (),
    *,
    seconds: float | None = None,
    advance: Callable[[str], object] = str,
) -> Iterator[Result]:
    """Measure rows one after another.

    Parameters
    ----------
    listed : list of Row
        What to measure.
    names : iterable of str
        Contenders beside StandardScaler; by default all that are installed.
    seconds : float, optional
        For each row; by default the profile's.
    advance : callable
        Told the name of each row before it is measured.
    """
    taking_part = [
        n for n in contenders.names() if not names or n in {*names, BASELINE}
    ]
    budget = profile().seconds if seconds is None else seconds
    for row in listed:
        advance(row.name)
        if row.operation is None:
            yield from measure_memory(row, taking_part)
        else:
            yield from measure_row(row, taking_part, budget)


def measure_row(row: Row, names: list[str], seconds: float) -> list[Result]:
    """Time one operation by turns, with the limit that memory sets."""
    timed = operations(row, names)
    limit = timed[BASELINE].memory_limit()
    taking_turns = timed if limit is None else {**timed, LIMIT: limit}
    times = measure.interleave(taking_turns, seconds=seconds)
    return [result(row, operation, times) for operation in timed.values()]


def operations(row: Row, names: list[str]) -> dict[str, Operation]:
    """The contenders that can do the row's operation, ready to run."""
    data = row.workload.make()
    data.right = RIGHT[replace(row.workload, order="C")]
    ready = {}
    for name in names:
        try:
            ready[name] = row.operation(contenders.by_name(name), data)
        except NotImplementedError:
            continue
    return ready


def result(row: Row, operation: Operation, times: Times) -> Result:
    """What one contender's times say, if its answer was right."""
    name = operation.contender.name
    found = Result(row.name, row.group, name)
    try:
        error = operation.check()
    except WrongAnswerError as error:
        found.note, found.wrong = f"wrong answer: {error}", True
        return found
    if error > FEW_DIGITS:
        found.note = f"{answers.digits(error):.0f} digits"
    seconds = measure.summary(times[name])
    found.seconds, found.quartiles = seconds.median, (seconds.q1, seconds.q3)
    found.rounds = len(times[name])
    found.ratio = measure.ratio(times[BASELINE], times[name])
    if LIMIT in times:
        found.share_of_limit = measure.ratio(times[LIMIT], times[name]).median
    return found


def measure_memory(row: Row, names: list[str]) -> list[Result]:
    """Memory that a fit takes beyond the data, each in a process of its own."""
    found = []
    for name in names:
        if not contenders.by_name(name).can >= {"fit", *row.workload.needs}:
            continue
        each = Result(row.name, "memory", name)
        try:
            each.bytes = footprint.of(name)
        except footprint.UnknownError as error:
            each.note = str(error)
        found.append(each)
    return found
