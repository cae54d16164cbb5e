"""asv's history, read through asv."""

import ast
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks import asv_names, quick
from benchmarks.errors import HarnessError
from benchmarks.measure import Summary
from benchmarks.record import Figure, Record
from benchmarks.workloads import PROFILES


@dataclass(frozen=True)
class Point:
    """One value that asv tracked: its median and quartiles."""

    commit: str
    benchmark: str
    parameters: dict[str, str]
    summary: Summary

    @property
    def value(self) -> float:
        return self.summary.median

    @property
    def contender(self) -> str:
        return self.parameters.get("contender", "")

    @property
    def workload(self) -> str:
        """The other parameters, or the benchmark's own name if there are none."""
        others = [v for k, v in self.parameters.items() if k != "contender"]
        return ", ".join(others) or self.benchmark.rpartition(".")[2]


@dataclass(frozen=True)
class History:
    """Tracked values of one machine and environment, commits from old to new."""

    commits: dict[str, datetime] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    benchmarks: dict[str, dict[str, Any]] = field(default_factory=dict)

    def named(self, fragment: str) -> list[Point]:
        """Values of the benchmarks whose own name starts with the fragment."""
        return [
            point
            for point in self.points
            if point.benchmark.rpartition(".")[2].startswith(fragment)
        ]

    def newest(self, fragment: str) -> list[Point]:
        """The newest value for each combination of parameters."""
        order = {commit: index for index, commit in enumerate(self.commits)}
        newest: dict[tuple[str, ...], Point] = {}
        for point in sorted(self.named(fragment), key=lambda p: order[p.commit]):
            newest[point.benchmark, point.workload, point.contender] = point
        return list(newest.values())

    @property
    def profile(self) -> str:
        """The profile whose rows were tracked; empty if that cannot be told."""
        tracked = {point.workload for point in self.named("track_ratio")}
        found = [name for name, rows in known_rows().items() if tracked <= rows.keys()]
        return found[0] if tracked and len(found) == 1 else ""

    def record(self) -> Record:
        """The newest commit's figures, for pages without a quick run."""
        shares = {
            (point.workload, point.contender): point.value
            for point in self.newest("track_share")
        }
        groups = {k: g for rows in known_rows().values() for k, g in rows.items()}
        rows = [
            Figure(
                point.workload,
                groups.get(point.workload, "tracked by asv"),
                point.contender,
                ratio=point.summary,
                share_of_limit=shares.get((point.workload, point.contender)),
            )
            for point in self.newest("track_ratio")
        ]
        commit, date = next(reversed(self.commits.items()), (None, None))
        return Record(rows, self.profile, commit, date, self.machine)


def known_rows() -> dict[str, dict[str, str]]:
    """Groups of the quick run's rows by profile and name."""
    return {
        name: {row.name: row.group for row in quick.rows(size)}
        for name, size in PROFILES.items()
    }


def read_history(results: Path, machine: str = "") -> History:
    """Read what asv tracked, on one machine in one environment.

    Parameters
    ----------
    results : Path
        asv's ``results_dir``.
    machine : str, optional
        A machine's name; by default the one with the most commits.

    Raises
    ------
    HarnessError
        If there are no results, or none of that machine.
    """
    conf = SimpleNamespace(results_dir=str(results), benchmark_dir="")
    try:
        benchmarks = asv_names.Benchmarks.load(conf)
    except asv_names.UserError as error:
        raise HarnessError(f"{results} holds no results of asv: {error}") from error
    runs: dict[tuple[str, str], list[Any]] = {}
    for result in asv_names.iter_results(str(results)):
        name = result.params["machine"]
        if machine in ("", name):
            runs.setdefault((name, result.env_name), []).append(result)
    if not runs:
        of_machine = f"of the machine {machine}" if machine else "of any commit"
        raise HarnessError(f"{results} holds no results {of_machine}")
    chosen = max(runs.values(), key=lambda each: (len(each), max(r.date for r in each)))
    return build(sorted(chosen, key=lambda result: result.date), benchmarks)


def build(results: list[Any], benchmarks: Any) -> History:
    """Gather results, given from old to new."""
    keys = ("machine", "cpu", "num_cpu", "os", "ram")
    return History(
        commits={
            result.commit_hash: datetime.fromtimestamp(result.date / 1000, UTC)
            for result in results
        },
        points=[point for result in results for point in points(result, benchmarks)],
        machine={key: results[-1].params.get(key, "") for key in keys},
        benchmarks={name: dict(each) for name, each in benchmarks.items()},
    )


def points(result: Any, benchmarks: Any) -> Iterator[Point]:
    """Values of the tracking benchmarks that were measured at one commit."""
    for name in sorted(result.get_result_keys(benchmarks)):
        if benchmarks[name]["type"] != "track":
            continue
        params = benchmarks[name]["params"]
        names = benchmarks[name]["param_names"]
        values = result.get_result_value(name, params)
        stats = result.get_result_stats(name, params)
        each = zip(product(*params), values, stats, strict=True)
        for combination, value, spread in each:
            if value is not None and math.isfinite(value):
                parameters = dict(zip(names, map(plain, combination), strict=True))
                quartiles = ((spread or {}).get(q, value) for q in ("q_25", "q_75"))
                summary = Summary(value, *quartiles)
                yield Point(result.commit_hash, name, parameters, summary)


def plain(parameter: str) -> str:
    """A parameter as text; asv keeps the representation of its value."""
    try:
        return str(ast.literal_eval(parameter))
    except (SyntaxError, ValueError):
        return parameter


def workloads(items: Iterable[Figure | Point]) -> list[str]:
    """Names of workloads, in the order in which they appear."""
    return list(dict.fromkeys(item.workload for item in items))
