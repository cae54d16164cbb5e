"""What the guard asks of asv: benchmarks of time at two commits, measured in turns."""

import logging
import math
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks import asv_names, texts

# asv starts a process for each benchmark and round.
SECONDS_TO_START = 3.0


class NotRun(Exception):
    """asv stopped before it measured."""


class NotSelected(Exception):
    """There was nothing that asv could measure."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one benchmark at one commit: median, and its interval of 99%."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Pair:
    """One benchmark at both commits; None where it failed."""

    name: str
    environment: str
    base: Timing | None
    head: Timing | None
    contender: str = ""
    cause: str = ""  # of a failure

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.environment

    @property
    def work(self) -> tuple[str, str]:
        """What contenders at the same work share."""
        return self.name.replace(repr(self.contender), ""), self.environment

    @property
    def ratio(self) -> float:
        """Time at head over time at base; NaN where either failed."""
        if self.base is None or self.head is None:
            return math.nan
        return self.head.median / self.base.median

    @property
    def failure(self) -> str:
        """Where it failed, in words; empty where it did not."""
        sides = {"base": self.base, "head": self.head}
        missing = [side for side, timing in sides.items() if timing is None]
        return f"failed at {' and '.join(missing)}" if missing else ""

    @property
    def moved(self) -> float:
        """The ratio where intervals lie apart, so that it is no chance; else 1."""
        if self.base is None or self.head is None:
            return 1.0
        slower, quicker = self.head.low > self.base.high, self.head.high < self.base.low
        return self.ratio if slower or quicker else 1.0

    def is_slower(self, factor: float, moved: float = 1.0) -> bool:
        """Beyond the factor, and with intervals that lie apart.

        What the machine has become slower by, as the control tells, is taken off.
        """
        if self.base is None or self.head is None:
            return False
        apart = self.head.low > moved * self.base.high
        return apart and self.ratio > factor * moved


@dataclass(frozen=True)
class Comparison:
    """Two commits of a repository, and which of its benchmarks to measure at both."""

    config: Path
    names: tuple[str, str]
    machine: str

    def measure(self, bench: str, rounds: int) -> list[Pair]:
        """Run benchmarks at base and head in turns; read the files that asv wrote.

        Raises
        ------
        NotRun, NotSelected
            They tell apart what asv's exit code does not.
        """
        if not self.config.is_file():
            raise NotRun(f"there is no file {self.config.name} in {self.config.parent}")
        # Once is enough, or each message appears as often.
        if not any(isinstance(h, logging.StreamHandler) for h in logging.root.handlers):
            asv_names.log.enable()
        with (
            tempfile.TemporaryDirectory() as folder,
            chdir(self.config.parent),
            listening() as causes,
        ):
            try:
                return self._run(bench, rounds, Path(folder), causes)
            except (asv_names.UserError, asv_names.ProcessError, OSError) as error:
                reason = causes.of("") or texts.one_line(error) or "asv says no more"
                raise NotRun(reason) from error
            finally:
                asv_names.log.flush()

    def _run(
        self, bench: str, rounds: int, scratch: Path, causes: "Causes"
    ) -> list[Pair]:
        """Run asv with its results in a folder of their own, where nothing old lies."""
        conf = asv_names.load(self.config)
        conf.results_dir = str(scratch)
        hashes = self._hashes(conf)
        benchmarks = discover(conf, hashes, bench)
        asv_names.log.info(estimate(benchmarks, rounds))
        asv_names.Run.run(
            conf,
            range_spec=hashes[::-1],
            bench=[bench],
            attribute={"rounds": rounds},
            show_stderr=True,
            machine=self.machine,
            interleave_rounds=True,
            pull=False,
            _machine_file=describe_machine(self.machine, scratch),
        )
        found = [Timings(conf, h, self.machine, benchmarks).by_key() for h in hashes]
        return pairs(*found, causes=[causes.of(commit) for commit in hashes])

    def _hashes(self, conf: Any) -> list[str]:
        """The full hashes of the two commits."""
        repo = asv_names.get_repo(conf)
        repo.pull()
        try:
            hashes = [repo.get_hash_from_name(name) for name in self.names]
        except asv_names.NoSuchNameError as error:
            raise NotRun(f"there is no commit {error}") from error
        if hashes[0] == hashes[1]:
            raise NotSelected(f"{' and '.join(self.names)} are the same commit")
        return hashes


def discover(conf: Any, hashes: list[str], bench: str) -> Any:
    """The benchmarks that match, found at the first commit that can be built."""
    environments = list(asv_names.get_environments(conf, None))
    asv_names.Setup.perform_setup(environments, parallel=1)
    repo = asv_names.get_repo(conf)
    found = asv_names.Benchmarks.discover(
        conf, repo, environments, hashes[::-1], regex=[bench]
    )
    if not any(each["type"] == "time" for each in found.values()):
        raise NotSelected("no benchmark of time is selected")
    return found


def estimate(benchmarks: Any, rounds: int) -> str:
    """How long it takes at most, less the builds, in words."""
    seconds, count = 0.0, 0
    for name, benchmark in benchmarks.items():
        selected = benchmarks.benchmark_selection[name]
        number = 1 if selected is None else len(selected)
        repeat = benchmark.get("repeat", 0)
        longest = repeat[2] if isinstance(repeat, list | tuple) else 1.0
        count += number
        seconds += number * (SECONDS_TO_START + longest)
    minutes = max(1, round(2 * rounds * seconds / 60))
    what = f"{texts.amount(count, 'benchmark')} at 2 commits in {rounds} rounds"
    return f"about {minutes} min: {what}, and the builds"


def describe_machine(name: str, scratch: Path) -> str:
    """Write asv's file about this machine, or it would read or ask for the user's."""
    path = str(scratch / "asv-machine.json")
    described = asv_names.Machine.get_defaults() | {"machine": name}
    asv_names.MachineCollection.save(name, described, path)
    return path


class Causes(logging.Handler):
    """What asv says of failures, by commit: its results do not hold it."""

    def __init__(self) -> None:
        super().__init__()
        self.commit = ""
        self.said: defaultdict[str, list[str]] = defaultdict(list)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if found := re.search(r"For \S+ commit (\w{8})", text):
            self.commit = found[1]
        elif record.levelno >= logging.WARNING:
            self.said[self.commit].append(text)

    def of(self, commit: str) -> str:
        """In one line: of what kind, and what was said last."""
        together = "\n".join(self.said[commit[:8]])
        kinds = {
            "wrong answer": "WrongAnswerError",
            "import": r"Importing benchmark suite failed|benchmark\.py discover",
            "build": r"Error running|Failure creating|returned non-zero",
            "run": "Traceback|benchmark failed|timed out",
        }
        for kind, pattern in kinds.items():
            if re.search(pattern, together):
                return f"{kind}: {last_error(together)}"
        return ""


def last_error(text: str) -> str:
    """The line of an exception, or else the last that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip(" -")]
    lines = [line for line in lines if not line.startswith("asv: benchmark failed")]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return texts.one_line((errors or lines or [""])[-1])


@contextmanager
def listening() -> Iterator[Causes]:
    causes = Causes()
    logging.root.addHandler(causes)
    try:
        yield causes
    finally:
        logging.root.removeHandler(causes)


Key = tuple[str, str]  # name with its parameters, environment


@dataclass(frozen=True)
class Timings:
    """The results of one commit, read from asv's files."""

    conf: Any
    commit: str
    machine: str
    benchmarks: Any

    def by_key(self) -> dict[Key, Timing | None]:
        """All selected benchmarks of time; None for one that failed, NaN if skipped."""
        files = asv_names.iter_results_for_machine_and_hash(
            self.conf.results_dir, self.machine, self.commit
        )
        found: dict[Key, Timing | None] = {}
        for result in files:
            for name, benchmark in self.benchmarks.items():
                if benchmark["type"] == "time":
                    found |= self.of(result, name, benchmark["params"])
        return found

    def of(self, result: Any, name: str, params: list[list[str]]) -> dict:
        """The combinations of parameters of one benchmark that were selected."""
        labels = [f"{name}({', '.join(p)})" if p else name for p in product(*params)]
        selected = self.benchmarks.benchmark_selection[name]
        chosen = range(len(labels)) if selected is None else selected
        if name not in result.get_all_result_keys():
            return {(labels[index], result.env_name): None for index in chosen}
        values = result.get_result_value(name, params)
        stats = result.get_result_stats(name, params)
        return {
            (labels[index], result.env_name): timing(values[index], stats[index])
            for index in chosen
        }


def timing(value: float | None, stats: dict[str, Any] | None) -> Timing | None:
    if value is None:
        return None
    low, high = ((stats or {}).get(f"ci_99_{end}") for end in "ab")
    # Of too few samples there is no interval, and nothing is certain.
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return Timing(value, low, high)


def pairs(
    base: dict[Key, Timing | None],
    head: dict[Key, Timing | None],
    causes: list[str],
) -> list[Pair]:
    """Pair timings, without benchmarks that were skipped on either side."""
    found = []
    for key in sorted(base.keys() | head.keys()):
        sides = base.get(key), head.get(key)
        if any(side and math.isnan(side.median) for side in sides):
            continue
        failed = [
            c for side, c in zip(sides, causes, strict=True) if side is None and c
        ]
        found.append(Pair(*key, *sides, contender_of(key[0]), "; ".join(failed)))
    return found


def contender_of(name: str) -> str:
    """The last parameter."""
    found = re.search(r"'([^']*)'\)$", name)
    return found[1] if found else ""
