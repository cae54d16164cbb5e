"""The quick side-by-side run: every contender takes its turn at every row."""

import fnmatch
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import (
    answers,
    contenders,
    environment,
    first_calls,
    footprint,
    measure,
    texts,
)
from benchmarks.contenders import BASELINE, Contender, UnableError
from benchmarks.data import Data
from benchmarks.errors import FailedError, WrongAnswerError
from benchmarks.measure import Times
from benchmarks.operations import (
    Fit,
    FitTransformBatches,
    FitTransformInPipeline,
    Operation,
    PartialFit,
    Transform,
    TransformBatches,
    TransformInPlace,
)
from benchmarks.record import Figure
from benchmarks.workloads import FLOATS, WORKLOADS, Profile, Workload, profile

LIMIT = "memory"
# An error that is worth a note beside the time that it saved.
FEW_DIGITS = 1e-6
# Right answers at a workload in either order, filled in as they are asked for.
RIGHT: defaultdict[Workload, dict[Any, Any]] = defaultdict(dict)


@dataclass(frozen=True)
class Row:
    """One line of the table: something that is done at a workload."""

    what: str
    workload: Workload
    group: str
    operation: type[Operation] | None = None  # None measures in other processes

    @property
    def name(self) -> str:
        if self.group == "start-up":
            return self.what
        # Times are those of one batch.
        return f"{self.what} {replace(self.workload, batches=0).label}"

    def measure(self, names: list[str], seconds: float) -> list[Figure]:
        """Figures of the contenders that can do it."""
        if self.group == "memory":
            return measure_memory(self, names)
        if self.group == "start-up":
            return measure_first_calls(self, names)
        return measure_in_turns(self, names, seconds)

    def figure(self, contender: str, **values: Any) -> Figure:
        return Figure(self.name, self.group, contender, **values)


def rows(size: Profile | None = None) -> list[Row]:
    """Every row in the size of a profile, by default the one that is chosen."""
    floats = [Row("fit", workload, "fit", Fit) for workload in FLOATS]
    named = [
        Row(what, WORKLOADS[name], group, operation)
        for what, group, operation, names in NAMED
        for name in names
    ]
    return [
        replace(row, workload=row.workload.at(size or profile()))
        for row in [*floats, *named]
        if row.workload.available
    ]


# What is done at which workloads, and the group that it belongs to.
NAMED: list[tuple[str, str, type[Operation] | None, tuple[str, ...]]] = [
    ("fit", "fit", Fit, ("missing", "weighted", "uint8")),
    ("transform", "transform", Transform, ("dense", "float32", "missing", "uint8")),
    ("transform in place", "transform", TransformInPlace, ("dense",)),
    (
        *("partial_fit", "partial_fit", PartialFit),
        ("large batch", "minibatch", "small", "one row"),
    ),
    ("transform", "transform", TransformBatches, ("minibatch", "one row")),
    (
        *("stream", "stream", FitTransformBatches),
        ("minibatch", "one row"),
    ),
    ("fit", "sparse", Fit, ("csr", "csc")),
    ("transform", "sparse", Transform, ("csr", "csc")),
    ("fit", "frames", Fit, ("polars",)),
    ("fit_transform", "frames", FitTransformInPipeline, ("polars",)),
    ("memory of fit", "memory", None, ("dense",)),
    *((step, "start-up", None, ("minibatch",)) for step in first_calls.STEPS),
]


def chosen(patterns: Iterable[str] = ()) -> list[Row]:
    """Rows that a pattern chooses: by its whole name, as a pattern, or by a part of it.

    What chooses a row in an earlier of these ways chooses none in a later.
    """
    found = [row for pattern in patterns for row in of_pattern(pattern)]
    return [row for row in rows() if row in found] if [*patterns] else rows()


def of_pattern(pattern: str) -> list[Row]:
    ways: list[Callable[[str], bool]] = [
        lambda name: name == pattern,
        lambda name: fnmatch.fnmatchcase(name, pattern),
        lambda name: pattern in name,
    ]
    each = ([row for row in rows() if way(row.name)] for way in ways)
    return next(filter(None, each), [])


def run(
    listed: list[Row],
    names: Iterable[str] = (),
    *,
    seconds: float | None = None,
    advance: Callable[[str], object] = str,
) -> Iterator[Figure]:
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
    budget = profile().seconds if seconds is None else seconds
    for row in listed:
        advance(row.name)
        yield from row.measure(taking_part(names), budget)


def taking_part(names: Iterable[str] = ()) -> list[str]:
    """The contenders of these names that are installed, and StandardScaler."""
    wanted = {*names, BASELINE} if [*names] else None
    return [n for n in contenders.names() if wanted is None or n in wanted]


@contextmanager
def watched(trouble: dict[str, str]) -> Iterator[None]:
    """Write down what goes wrong with a contender; others go on.

    That it is not able to do something is not wrong, and passes.
    """
    try:
        yield
    except UnableError:
        raise
    except WrongAnswerError as error:
        trouble.update(outcome="wrong", note=texts.one_line(f"wrong answer: {error}"))
    except Exception as error:  # noqa: BLE001
        words = str(error) if isinstance(error, FailedError) else named(error)
        trouble.update(outcome="failed", note=texts.one_line(f"failed: {words}"))


def named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


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
    UnableError
        The contender cannot do it.
    """

    def __init__(
        self, operation: type[Operation], contender: Contender, data: Data
    ) -> None:
        self.data, self.calls, self.error = data, 1, 0.0
        self.trouble: dict[str, str] = {}
        with self._watched():
            self.operation = operation(contender, data)
            self.operation.check_input()
            self.calls = self.operation.calls

    @property
    def out(self) -> bool:
        return bool(self.trouble)

    def renew(self) -> None:
        self._do("renew")

    def run(self) -> None:
        self._do("run")

    def check(self) -> None:
        self.error = max(self.error, self._do("check") or 0.0)

    def _do(self, step: str) -> Any:
        if not self.out:
            with self._watched():
                return getattr(self.operation, step)()
        return None

    @contextmanager
    def _watched(self) -> Iterator[None]:
        with watched(self.trouble):
            yield
        if self.out and self.data.changed:
            self.data.restore()


def measure_in_turns(row: Row, names: list[str], seconds: float) -> list[Figure]:
    """Time one operation by turns, with the limit that memory sets."""
    entrants = enter(row, names)
    timed: dict[str, measure.Timed] = {**entrants}
    ready = (e.operation for e in entrants.values() if not e.out)
    if (first := next(ready, None)) and (limit := first.memory_limit()):
        timed[LIMIT] = limit
    times = measure.interleave(timed, seconds=seconds, against=BASELINE)
    n_bytes = next((e.data.owners[0].nbytes for e in entrants.values()), 0)
    return [result(row, name, each, times, n_bytes) for name, each in entrants.items()]


def enter(row: Row, names: list[str]) -> dict[str, Entrant]:
    """The contenders that can do the row's operation, ready to run."""
    data = row.workload.make()
    data.known = RIGHT[replace(row.workload, order="C")]
    ready = {}
    for name in names:
        with suppress(UnableError):
            ready[name] = Entrant(row.operation, contenders.by_name(name), data)
    return ready


def result(row: Row, name: str, entrant: Entrant, times: Times, n_bytes: int) -> Figure:
    """What one contender's times say, if its answers were right."""
    if entrant.out:
        return row.figure(name, **entrant.trouble)
    found = timed_figure(row, name, times)
    if entrant.error > FEW_DIGITS:
        found.note = f"{answers.digits(entrant.error):.0f} digits"
    if LIMIT in times:
        found.share_of_limit = measure.ratio(times[LIMIT], times[name]).median
        found.above_limit = why_above(found.share_of_limit, n_bytes)
    return found


def timed_figure(row: Row, name: str, times: Times) -> Figure:
    """Median and quartiles of a contender's times, and of its ratios."""
    taken = measure.summary(times[name])
    found = row.figure(name, seconds=taken.median, quartiles=(taken.q1, taken.q3))
    found.times = [float(f"{each:.4g}") for each in times[name]]
    found.rounds = len(times[name])
    if BASELINE in times:
        found.ratio = measure.ratio(times[BASELINE], times[name])
    return found


def why_above(share: float, n_bytes: int) -> str:
    """Faster than memory is what memory did not do, or was not measured well."""
    if share <= 1:
        return ""
    cache = environment.cache()
    if cache is None:
        return "in cache or noise: the size of the cache is not known"
    sizes = f"{texts.size(n_bytes)} of data, {texts.size(cache)} of cache"
    return f"in cache: {sizes}" if n_bytes <= cache else f"noise: {sizes}"


def measure_memory(row: Row, names: list[str]) -> list[Figure]:
    """Memory that a fit takes beyond the data, each in a process of its own."""
    found = []
    for name in names:
        values: dict[str, Any] = {}
        with suppress(UnableError), watched(values):
            contenders.by_name(name).require(row.workload.needs | {"fit"})
            values["bytes"] = footprint.of(name, row.workload.label)
        if values:
            found.append(row.figure(name, **values))
    return found


def measure_first_calls(row: Row, names: list[str]) -> list[Figure]:
    """An import or a first call, in new processes by turns."""
    seconds, failed = first_calls.take_turns(tuple(names), profile().processes)
    times = {
        name: seconds[name, row.what] for name in names if (name, row.what) in seconds
    }
    found = []
    for name in names:
        if name in failed:
            trouble: dict[str, str] = {}
            with watched(trouble):
                raise failed[name]
            found.append(row.figure(name, **trouble))
        elif name in times:
            found.append(timed_figure(row, name, times))
    return found
