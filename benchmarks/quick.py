"""The quick side-by-side run: every contender takes its turn at every row."""

import fnmatch
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks import answers, contenders, footprint, measure
from benchmarks.answers import WrongAnswerError
from benchmarks.contenders import BASELINE, Contender
from benchmarks.data import Data
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
# Right answers at a workload in either order, filled in as they are asked for.
RIGHT: defaultdict[Workload, dict[Any, Any]] = defaultdict(dict)


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


class Entrant:
    """An operation that takes its turns until its first error, which it keeps.

    Parameters
    ----------
    operation : type of Operation
        What is timed.
    contender : Contender
        Whose.
    data : Data
        At which; after an error they are what they were.

    Raises
    ------
    NotImplementedError
        The contender cannot do it.
    """

    def __init__(
        self, operation: type[Operation], contender: Contender, data: Data
    ) -> None:
        self.name, self.data = contender.name, data
        self.calls, self.error, self.trouble = 1, 0.0, ""
        with self._watched(NotImplementedError):
            self.operation = operation(contender, data)
            self.operation.check_input()
            self.calls = self.operation.calls

    def renew(self) -> None:
        if not self.trouble:
            with self._watched():
                self.operation.renew()

    def run(self) -> None:
        if not self.trouble:
            with self._watched():
                self.operation.run()

    def check(self) -> None:
        if not self.trouble:
            with self._watched():
                self.error = max(self.error, self.operation.check())

    @contextmanager
    def _watched(self, *passing: type[Exception]) -> Iterator[None]:
        try:
            yield
        except passing:
            raise
        except WrongAnswerError as error:
            self.trouble = f"wrong answer: {error}"
        except Exception as error:  # noqa: BLE001
            # Whatever it is, it is this contender's, and others go on.
            self.trouble = f"failed: {self.name}, {type(error).__name__}: {error}"
        if self.trouble and self.data.changed:
            self.data.restore()


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
    entrants = enter(row, names)
    timed: dict[str, measure.Timed] = {**entrants}
    ready = (e.operation for e in entrants.values() if not e.trouble)
    if (first := next(ready, None)) and (limit := first.memory_limit()):
        timed[LIMIT] = limit
    times = measure.interleave(timed, seconds=seconds)
    return [result(row, entrants, name, times) for name in entrants]


def enter(row: Row, names: list[str]) -> dict[str, Entrant]:
    """The contenders that can do the row's operation, ready to run."""
    data = row.workload.make()
    data.known = RIGHT[replace(row.workload, order="C")]
    ready = {}
    for name in names:
        with suppress(NotImplementedError):
            ready[name] = Entrant(row.operation, contenders.by_name(name), data)
    return ready


def result(row: Row, entrants: dict[str, Entrant], name: str, times: Times) -> Result:
    """What one contender's times say, if its answers were right."""
    found = Result(row.name, row.group, name)
    entrant = entrants[name]
    if entrant.trouble:
        found.note, found.wrong = entrant.trouble, True
        return found
    if entrant.error > FEW_DIGITS:
        found.note = f"{answers.digits(entrant.error):.0f} digits"
    seconds = measure.summary(times[name])
    found.seconds, found.quartiles = seconds.median, (seconds.q1, seconds.q3)
    found.rounds = len(times[name])
    if not entrants[BASELINE].trouble:
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
