"""What changed between two runs of the quick run, or between two machines."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record, texts
from benchmarks.contenders import BASELINE
from benchmarks.errors import HarnessError
from benchmarks.measure import ratios
from benchmarks.record import Figure, Record

# Of all rows together, so that among hundreds one in twenty is not taken for news.
CONFIDENCE = 0.95
# Rounds of a run follow one another, and share what no test of rounds can see.
LEAST = 0.05

Key = tuple[str, str]  # row and contender


@dataclass(frozen=True)
class Change:
    """The rounds of both runs, as logarithms of ratios or of times."""

    key: Key
    what: str  # "ratio" or "time"
    before: np.ndarray
    after: np.ndarray

    @cached_property
    def test(self) -> Any:
        """Welch's test of the means of the logarithms."""
        # Its import takes long, and asv imports all modules here.
        from scipy import stats

        return stats.ttest_ind(self.after, self.before, equal_var=False)

    @property
    def p(self) -> float:
        """The probability of such a difference by chance; 1 where there is none."""
        return 1.0 if np.isnan(self.test.pvalue) else float(self.test.pvalue)

    @property
    def factor(self) -> float:
        """The second run's geometric mean over the first's."""
        return float(np.exp(self.after.mean() - self.before.mean()))

    @property
    def words(self) -> str:
        better = (self.factor > 1) is (self.what == "ratio")
        interval = self.test.confidence_interval(CONFIDENCE)
        ends = (texts.figures(float(np.exp(end)), 3) for end in interval)
        change = f"{self.what} {texts.figures(self.factor, 3)} × [{', '.join(ends)}]"
        return f"{'faster' if better else 'slower'}  {change}  {', '.join(self.key)}"


def compare(first: Path, second: Path) -> None:
    """Tell what changed between two runs or machines, with confidence.

    Ratios to StandardScaler are compared by their rounds, so that a machine that is
    quicker as a whole changes none; of StandardScaler itself, the time. A change is
    told if it is one of 5% at least, and certain to 95% for all rows together (Welch's
    test of the logarithms, Holm's correction). Intervals are of 95% for one row.

    Parameters
    ----------
    first, second : Path
        What ``python -m benchmarks --json FILE`` wrote.
    """
    try:
        before, after = record.read(first), record.read(second)
        for line in told(before, after):
            print(line)
    except HarnessError as error:
        raise SystemExit(f"error: {error}") from error


def told(before: Record, after: Record) -> Iterator[str]:
    """All that there is to say, a line each.

    Raises
    ------
    HarnessError
        The runs have no row in common.
    """
    yield from differences(before, after)
    for name, run in {"first": before, "second": after}.items():
        yield from (f"! {name}: {warning}" for warning in run.warnings())
    old, new = by_key(before), by_key(after)
    common = [key for key in old if key in new]
    if not common:
        raise HarnessError(
            f"no row is in both: one is of profile {before.profile or '?'}, "
            f"the other of {after.profile or '?'}"
        )
    changes = [c for key in common if (c := change(key, old, new))]
    certain = holm(changes)
    for each in sorted(certain, key=lambda c: c.factor):
        yield each.words
    for key in common:
        if old[key].outcome != new[key].outcome:
            outcomes = (each.outcome or "right" for each in (old[key], new[key]))
            yield f"{' to '.join(outcomes)}  {', '.join(key)}"
        yield from of_memory(key, old[key].bytes, new[key].bytes)
    for name, one, other in (("first", old, new), ("second", new, old)):
        only = [key for key in one if key not in other]
        if only:
            yield f"only in the {name}: {'; '.join(map(', '.join, only))}"
    same = len(changes) - len(certain)
    yield f"{len(certain)} changed, {same} did not, to {CONFIDENCE:.0%} in all"


def differences(before: Record, after: Record) -> Iterator[str]:
    """Where the runs come from, and which versions are not the same."""
    yield f"first:  {before.provenance()}"
    yield f"second: {after.provenance()}"
    for name in before.versions.keys() | after.versions.keys():
        pair = [run.versions.get(name, "none") for run in (before, after)]
        if pair[0] != pair[1]:
            yield f"{name}: {pair[0]} to {pair[1]}"


def by_key(run: Record) -> dict[Key, Figure]:
    return {(row.workload, row.contender): row for row in run.rows}


def change(key: Key, old: dict[Key, Figure], new: dict[Key, Figure]) -> Change | None:
    """Of one contender at one row; None where there are too few rounds."""
    work, contender = key
    baseline = work, BASELINE
    samples, what = [old[key].times, new[key].times], "time"
    # One round has no spread.
    if min(map(len, samples)) < 2:
        return None
    references = [run[baseline].times if baseline in run else [] for run in (old, new)]
    if contender != BASELINE and all(references):
        pairs = zip(references, samples, strict=True)
        samples, what = [ratios(*pair) for pair in pairs], "ratio"
    return Change(key, what, *map(np.log, samples))


def holm(changes: list[Change]) -> list[Change]:
    """Those that are certain together (Holm 1979), and large enough to matter."""
    certain = []
    for index, each in enumerate(sorted(changes, key=lambda c: c.p)):
        if each.p > (1 - CONFIDENCE) / (len(changes) - index):
            break
        if abs(np.log(each.factor)) >= np.log1p(LEAST):
            certain.append(each)
    return certain


def of_memory(key: Key, old: int | None, new: int | None) -> Iterator[str]:
    """Memory has no rounds: a change of more than a MiB and a tenth is told."""
    if old is None or new is None:
        return
    if abs(new - old) > max(2**20, 0.1 * max(old, new)):
        yield f"memory {texts.size(old)} to {texts.size(new)}  {', '.join(key)}"
