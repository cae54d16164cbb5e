"""What the start page shows: the current figures, and those of earlier commits."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.dashboard.errors import DashboardError

SCHEMA = 1
BASELINE = "StandardScaler"


@dataclass(frozen=True)
class Ratio:
    """StandardScaler's time over a contender's: median and quartiles."""

    median: float
    q1: float
    q3: float


@dataclass(frozen=True)
class Row:
    """One contender at one workload."""

    workload: str
    group: str
    contender: str
    seconds: float | None = None
    quartiles: tuple[float, float] | None = None
    ratio: Ratio | None = None
    share: float | None = None  # of the memory limit
    bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Current:
    """The newest figures, and where they were measured."""

    rows: list[Row] = field(default_factory=list)
    commit: str | None = None
    date: datetime | None = None
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)

    def groups(self) -> dict[str, dict[str, list[Row]]]:
        """Rows by group and workload, in the order of the file."""
        found: dict[str, dict[str, list[Row]]] = {}
        for row in self.rows:
            of_group = found.setdefault(row.group, {})
            of_group.setdefault(row.workload, []).append(row)
        return found

    def speeds(self) -> dict[str, list[float]]:
        """Ratios of each contender over all workloads."""
        found: dict[str, list[float]] = {}
        for row in self.rows:
            if row.ratio and row.contender != BASELINE:
                found.setdefault(row.contender, []).append(row.ratio.median)
        return dict(sorted(found.items(), key=lambda item: -median(item[1])))


def read_quick(path: Path) -> Current:
    """Read what ``python -m benchmarks --json FILE`` wrote.

    Raises
    ------
    DashboardError
        If there is no such file, or if it has another form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise DashboardError(f"{path} has schema {content['schema']}, not {SCHEMA}")
        return Current(
            rows=[read_row(row) for row in content["rows"]],
            commit=content["commit"],
            date=datetime.fromisoformat(content["date"]),
            machine=content["machine"],
            versions=content["versions"],
            limits=content["limits"] or {},
        )
    except OSError as error:
        raise DashboardError(f"cannot read {path}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DashboardError(
            f"{path} is not a report of the quick run: {type(error).__name__} {error}"
        ) from error


def read_row(row: dict[str, Any]) -> Row:
    ratio = row["ratio"]
    quartiles = row["quartiles"]
    return Row(
        row["workload"],
        row["group"],
        row["contender"],
        finite(row["seconds"]),
        (quartiles[0], quartiles[1]) if quartiles else None,
        Ratio(ratio["median"], ratio["q1"], ratio["q3"]) if ratio else None,
        finite(row["share_of_limit"]),
        row["bytes"],
        row["note"] or "",
    )


def finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


@dataclass(frozen=True)
class Point:
    """One value that asv tracked."""

    commit: str
    benchmark: str
    parameters: dict[str, str]
    value: float

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


def from_history(history: History) -> Current:
    """Current figures from asv's newest commit, if there is no quick run."""
    shares = {
        (point.workload, point.contender): point.value
        for point in history.newest("track_share")
    }
    rows = [
        Row(
            point.workload,
            "ratios tracked by asv",
            point.contender,
            ratio=Ratio(point.value, point.value, point.value),
            share=shares.get((point.workload, point.contender)),
        )
        for point in history.newest("track_ratio")
    ]
    commit, date = next(reversed(history.commits.items()), (None, None))
    return Current(rows, commit, date, history.machine)


def workloads(items: Iterable[Row | Point]) -> list[str]:
    """Names of workloads, in the order in which they appear."""
    return list(dict.fromkeys(item.workload for item in items))
