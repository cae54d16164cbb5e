"""Compare two commits on one machine and fail only on a real slow-down."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from benchmarks.guard_asv import Key, NotRun, NotSelected, Pair, measure

# Other benchmarks have no direction in which they get slower.
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
    bench: str = TIMED_NAMES,
    rounds: int = 2,
    config: Path = Path("asv.conf.json"),
    machine: str = "guard",
    report: Path | None = None,
) -> None:
    """Compare the speed of two commits on this machine.

    Both are built and measured in turns, in asv's own environments. What comes out
    slower is measured again, twice as long, and counts if it is slower again.

    The exit code is 0 for 'not slower', 3 for 'slower', 4 for 'nothing was measured'
    and 5 for 'did not run'.

    Parameters
    ----------
    base, head : str
        The commits, by any name that git knows.
    factor : float, default=1.2
        A slow-down is a time beyond this multiple of the time at `base`, with
        quartiles that do not overlap.
    bench : str
        Regular expression that selects benchmarks; by default all that measure time.
    rounds : int, default=2
        How often each commit has its turn.
    config : Path
        asv's configuration file of the repository.
    machine : str, default="guard"
        A name for this machine; no file that is kept holds it.
    report : Path, optional
        A Markdown file to append the result to, such as the summary of a CI job.
    """
    found = compare(base, head, factor, bench, rounds, config, machine)
    print(*found.lines(), sep="\n", flush=True)
    if report is not None:
        with report.open("a", encoding="utf-8") as file:
            print(*found.markdown(base, head), sep="\n", file=file)
    raise SystemExit(int(found.outcome))


def compare(
    base: str,
    head: str,
    factor: float,
    bench: str,
    rounds: int,
    config: Path,
    machine: str,
) -> Report:
    """Measure, measure suspects again, and judge; parameters as for `guard`."""

    def in_turns(pattern: str, rounds: int) -> list[Pair]:
        return measure(config.resolve(), (base, head), pattern, rounds, machine)

    try:
        pairs = in_turns(bench, rounds)
        suspects = sorted({pair.name for pair in pairs if pair.is_slower(factor)})
        again = {}
        if suspects:
            exactly = "|".join(map(re.escape, suspects))
            again = {p.key: p for p in in_turns(f"^({exactly})$", 2 * rounds)}
    except NotRun as error:
        return Report(Outcome.DID_NOT_RUN, str(error))
    except NotSelected as error:
        return Report(Outcome.NOTHING_MEASURED, str(error))
    return judge(pairs, again, factor)


def judge(pairs: list[Pair], again: dict[Key, Pair], factor: float) -> Report:
    """From measurements to an outcome.

    A benchmark that fails at base is new, or was broken before; neither is a reason to
    fail. If all do, there was nothing to compare with.
    """
    measured = [pair for pair in pairs if not math.isnan(pair.ratio)]
    slower = sorted({p.name for p in again.values() if p.is_slower(factor)})
    lost = sorted({p.name for p in (*pairs, *again.values()) if p.base and not p.head})
    count = f"{len(measured)} measured at both commits, limit {factor:g} x"
    if slower:
        outcome, reason = Outcome.SLOWER, f"{', '.join(slower)} ({count})"
    elif lost:
        outcome, reason = Outcome.DID_NOT_RUN, f"failed at head: {', '.join(lost)}"
    elif measured:
        outcome, reason = Outcome.NOT_SLOWER, count
    elif pairs:
        outcome, reason = Outcome.DID_NOT_RUN, "every benchmark failed at base"
    else:
        outcome, reason = Outcome.NOTHING_MEASURED, "no benchmark of time was run"
    return Report(outcome, reason, pairs, again)
