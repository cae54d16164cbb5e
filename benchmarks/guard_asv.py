"""What the guard asks of asv: benchmarks of time at two commits, measured in turns."""

import math
import tempfile
from contextlib import chdir
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any


class NotRun(Exception):
    """asv stopped before it measured."""


class NotSelected(Exception):
    """There was nothing that asv could measure."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one benchmark at one commit: median and quartiles."""

    median: float
    q1: float
    q3: float


@dataclass(frozen=True)
class Pair:
    """One benchmark at both commits; None where it failed."""

    name: str
    environment: str
    base: Timing | None
    head: Timing | None

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.environment

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

    def is_slower(self, factor: float) -> bool:
        """Beyond the factor, and with quartiles that lie apart."""
        if self.base is None or self.head is None:
            return False
        return self.ratio > factor and self.head.q1 > self.base.q3


def measure(
    config: Path, names: tuple[str, str], bench: str, rounds: int, machine: str
) -> list[Pair]:
    """Run benchmarks at base and head in turns; read the files that asv wrote.

    Raises
    ------
    NotRun, NotSelected
        They tell apart what asv's exit code does not.
    """
    from asv.console import log
    from asv.util import ProcessError, UserError

    if not config.is_file():
        raise NotRun(f"there is no file {config.name} in {config.parent}")
    log.enable()
    with tempfile.TemporaryDirectory() as folder, chdir(config.parent):
        try:
            return run(config, names, bench, rounds, machine, Path(folder))
        except (UserError, ProcessError, OSError) as error:
            raise NotRun(" ".join(str(error).split()) or "asv says no more") from error
        finally:
            log.flush()


def run(
    config: Path,
    names: tuple[str, str],
    bench: str,
    rounds: int,
    machine: str,
    scratch: Path,
) -> list[Pair]:
    """Run asv with its results in a folder of their own, where nothing old can lie."""
    from asv.commands.run import Run

    conf = load(config, scratch)
    hashes = commits(conf, names)
    returned: dict[str, Any] = {}
    code = Run.run(
        conf,
        range_spec=hashes[::-1],
        bench=[bench],
        attribute={"rounds": rounds},
        machine=machine,
        interleave_rounds=True,
        _machine_file=describe_machine(machine, scratch),
        _returns=returned,
    )
    if "benchmarks" not in returned:
        raise why_not(scratch, bench, code)
    found = [
        Timings(conf, commit, machine, returned["benchmarks"]) for commit in hashes
    ]
    return pairs(*(each.by_key() for each in found))


def load(config: Path, scratch: Path) -> Any:
    """Load asv's configuration and plugins, as its command does."""
    from asv.config import Config
    from asv.plugin_manager import plugin_manager

    conf = Config.load(str(config))
    for plugin in conf.plugins:
        plugin_manager.import_plugin(plugin)
    conf.results_dir = str(scratch)
    return conf


def commits(conf: Any, names: tuple[str, str]) -> list[str]:
    """The full hashes of two commits."""
    from asv.repo import NoSuchNameError, get_repo

    repo = get_repo(conf)
    repo.pull()
    try:
        hashes = [repo.get_hash_from_name(name) for name in names]
    except NoSuchNameError as error:
        raise NotRun(f"there is no commit {error}") from error
    if hashes[0] == hashes[1]:
        raise NotSelected(f"{' and '.join(names)} are the same commit")
    return hashes


def describe_machine(name: str, scratch: Path) -> str:
    """Write asv's file about this machine, or it would read or ask for the user's."""
    from asv.machine import Machine, MachineCollection

    path = str(scratch / "asv-machine.json")
    MachineCollection.save(name, Machine.get_defaults() | {"machine": name}, path)
    return path


def why_not(results: Path, bench: str, code: int | None) -> Exception:
    # asv lists what it discovered before it finds that nothing of it is selected.
    if (results / "benchmarks.json").is_file():
        return NotSelected(f"no benchmark matches {bench}")
    return NotRun(f"asv stopped with {code} before it looked for benchmarks")


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
        from asv.results import iter_results_for_machine_and_hash

        files = iter_results_for_machine_and_hash(
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


def timing(value: float | None, stats: dict[str, float] | None) -> Timing | None:
    if value is None:
        return None
    stats = stats or {}
    return Timing(value, stats.get("q_25", value), stats.get("q_75", value))


def pairs(base: dict[Key, Timing | None], head: dict[Key, Timing | None]) -> list[Pair]:
    """Pair timings, without benchmarks that were skipped on either side."""
    keys = sorted(base.keys() | head.keys())
    both = [Pair(*key, base.get(key), head.get(key)) for key in keys]
    return [
        pair
        for pair in both
        if not any(side and math.isnan(side.median) for side in (pair.base, pair.head))
    ]
