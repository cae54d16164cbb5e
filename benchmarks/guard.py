"""Compare two commits on one machine and fail only on a real slow-down."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from benchmarks.asv_names import AsvChangedError
from benchmarks.guard_asv import Comparison, Key, NotRun, NotSelected, Pair

# Other benchmarks have no direction in which they get slower, and cost time.
TIMED_NAMES = r"\btime(raw)?_"


class Outcome(IntEnum):
    """What a comparison found; its value is the exit code of the command.

    Neither 1 nor 2 is used: Python exits with 1 on an exception, and commands with 2
    on a wrong option.
    """

    NOT_SLOWER = 0
    SLOWER = 3
    NOTHING_MEASURED = 4
    DID_NOT_RUN = 5

    @property
    def words(self) -> str:
        return {
            Outcome.NOT_SLOWER: "not slower",
            Outcome.SLOWER: "slower",
            Outcome.NOTHING_MEASURED: "nothing was measured",
            Outcome.DID_NOT_RUN: "did not run",
        }[self]


@dataclass(frozen=True)
class Limits:
    """What counts as slower, what blocks, and who tells whether the machine moved."""

    factor: float = 1.2
    block: float = 1.2
    control: str = "StandardScaler"


@dataclass(frozen=True)
class Report:
    """What was found, and the measurements that it rests on."""

    outcome: Outcome
    reason: str
    pairs: list[Pair] = field(default_factory=list)
    again: dict[Key, Pair] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """The report as text, the slowest first, the outcome last."""
        for name, ratio, second in self.rows():
            confirmation = f", again {second}" if second else ""
            yield f"{ratio}{confirmation}  {name}"
        yield f"{self.outcome.words}: {self.reason}"

    def markdown(self, base: str, head: str) -> Iterator[str]:
        """The report as a section with a table."""
        yield f"## Speed of `{head}` against `{base}`: {self.outcome.words}\n"
        yield f"{self.reason}\n"
        if self.pairs:
            yield "| benchmark | time at head / base | again |\n| --- | ---: | ---: |"
        for name, ratio, second in self.rows():
            yield f"| `{name}` | {ratio} | {second} |"

    def rows(self) -> Iterator[tuple[str, str, str]]:
        # A NaN compares as neither smaller nor larger, so it has a key of its own.
        def order(pair: Pair) -> tuple[bool, float]:
            return not math.isnan(pair.ratio), -pair.ratio

        for pair in sorted(self.pairs, key=order):
            second = self.again.get(pair.key)
            ratio = pair.failure or f"{pair.ratio:.2f} x"
            yield pair.name, ratio, f"{second.ratio:.2f} x" if second else ""


def guard(
    base: str,
    head: str = "HEAD",
    factor: float = 1.2,
    block: float | None = None,
    bench: str = "",
    ours: str = "skbn-.*",
    control: str = "StandardScaler",
    rounds: int = 2,
    config: Path = Path("asv.conf.json"),
    machine: str = "guard",
    report: Path | None = None,
) -> None:
    """Compare the speed of two commits on this machine.

    Both are built and measured in turns, in asv's own environments. What comes out
    slower is measured again, twice as long, and counts if it is slower again. What the
    control, which no commit changes, has become slower by is the machine's doing and is
    taken off.

    The exit code is 0 for 'not slower', 3 for 'slower', 4 for 'nothing was measured'
    and 5 for 'did not run'.

    Parameters
    ----------
    base, head : str
        The commits, by any name that git knows.
    factor : float, default=1.2
        A slow-down is a time beyond this multiple of the time at `base`, with
        99% intervals of the medians that do not overlap.
    block : float, optional
        Slow-downs up to this multiple are told, and exit with 0; by default `factor`.
    bench : str
        Regular expression that selects benchmarks; by default all that measure time.
    ours : str, default="skbn-.*"
        Regular expression for the contenders that a commit can change, which are the
        last parameter of a benchmark; other contenders are not measured.
    control : str, default="StandardScaler"
        The contender that tells whether the machine moved.
    rounds : int, default=2
        How often each commit has its turn.
    config : Path
        asv's configuration file of the repository.
    machine : str, default="guard"
        A name for this machine; no file that is kept holds it.
    report : Path, optional
        A Markdown file to append the result to, such as the summary of a CI job.
    """
    for option, pattern in {"--bench": bench, "--ours": ours}.items():
        try:
            re.compile(pattern)
        except re.error as error:
            print(f"{option} {pattern}: {error}", flush=True)
            raise SystemExit(2) from error
    limits = Limits(factor, max(factor, block or factor), control)
    comparison = Comparison(config.resolve(), (base, head), machine)
    found = compare(comparison, limits, selection(bench, ours, control), rounds)
    print(*found.lines(), sep="\n", flush=True)
    if report is not None:
        with report.open("a", encoding="utf-8") as file:
            print(*found.markdown(base, head), sep="\n", file=file)
    raise SystemExit(int(found.outcome))


def selection(bench: str, ours: str, control: str) -> str:
    """A pattern for asv, which adds parameters to the names that it matches."""
    last = rf".*'(?=[^']*'\)$)(?:{ours}|{re.escape(control)})'\)$"
    return rf"^(?=.*{TIMED_NAMES})(?=.*(?:{bench}))(?:[^(]*$|{last})"


def compare(comparison: Comparison, limits: Limits, bench: str, rounds: int) -> Report:
    """Measure, measure suspects again beside their control, and judge."""
    try:
        pairs = comparison.measure(bench, rounds)
        suspects = slower(pairs, limits, limits.factor)
        again = {}
        if suspects:
            works = {pair.work for pair in suspects}
            names = {p.name for p in pairs if p in suspects or p.work in works}
            exactly = "|".join(map(re.escape, sorted(names)))
            again = {p.key: p for p in comparison.measure(f"^({exactly})$", 2 * rounds)}
    except (NotRun, AsvChangedError) as error:
        return Report(Outcome.DID_NOT_RUN, str(error))
    except NotSelected as error:
        return Report(Outcome.NOTHING_MEASURED, str(error))
    return judge(pairs, again, limits)


def slower(pairs: list[Pair], limits: Limits, factor: float) -> list[Pair]:
    """Benchmarks that are slower than the control's at the same work accounts for."""
    moved = {p.work: p.moved for p in pairs if p.contender == limits.control}
    return [
        pair
        for pair in pairs
        if pair.contender != limits.control
        and pair.is_slower(factor, moved.get(pair.work, 1.0))
    ]


def judge(pairs: list[Pair], again: dict[Key, Pair], limits: Limits) -> Report:
    """From measurements to an outcome.

    A benchmark that fails at base is new, or was broken before; neither is a reason to
    fail. If all do, there was nothing to compare with.
    """
    both = [*pairs, *again.values()]
    measured = [pair for pair in pairs if not math.isnan(pair.ratio)]
    second = list(again.values())
    blocking = names(slower(second, limits, limits.block))
    mild = names(slower(second, limits, limits.factor))
    lost = [pair for pair in both if pair.base and not pair.head]
    count = f"{len(measured)} measured at both commits, limit {limits.factor:g} x"
    count += told_of_control(both, limits)
    if blocking:
        outcome, reason = Outcome.SLOWER, f"{blocking} ({count})"
    elif lost:
        causes = sorted({pair.cause for pair in lost if pair.cause})
        outcome = Outcome.DID_NOT_RUN
        reason = f"failed at head: {names(lost)}{why(causes)}"
    elif mild:
        outcome = Outcome.NOT_SLOWER
        reason = f"by {limits.block:g} x, but by {limits.factor:g} x: {mild} ({count})"
    elif measured:
        outcome, reason = Outcome.NOT_SLOWER, count
    else:
        causes = sorted({pair.cause for pair in pairs if pair.cause})
        outcome = Outcome.DID_NOT_RUN
        reason = f"every benchmark failed at base{why(causes)}"
    return Report(outcome, reason, pairs, again)


def names(pairs: list[Pair]) -> str:
    """The first few."""
    each = sorted({pair.name for pair in pairs})
    rest = f" and {len(each) - 3} more" if len(each) > 3 else ""
    return ", ".join(each[:3]) + rest


def why(causes: list[str]) -> str:
    return f" ({'; '.join(causes)})" if causes else ""


def told_of_control(pairs: list[Pair], limits: Limits) -> str:
    """Whether the machine moved between the commits, in words."""
    ratios = [
        pair.ratio
        for pair in pairs
        if pair.contender == limits.control and not math.isnan(pair.ratio)
    ]
    if not ratios:
        return "; no control was measured"
    low, high = min(ratios), max(ratios)
    moved = high > limits.factor or low < 1 / limits.factor
    held = "so the machine moved" if moved else "so the machine held still"
    return f"; {limits.control} took {low:.2f} to {high:.2f} x, {held}"
