"""What a run has found, as it is kept: rows of figures, and where they come from.

The table, the start page, the plots and comparisons all read this and nothing else.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import texts
from benchmarks.contenders import BASELINE
from benchmarks.errors import HarnessError
from benchmarks.measure import Summary

SCHEMA = 2
# Unlike rows have no common median: there is one for each of these.
HEADLINES = ("fit", "partial_fit", "transform", "stream", "sparse")
# Bandwidths before and after a run that differ by more are of two machines.
MOVED = 1.2
MEANINGLESS = "the ratios mean nothing"


@dataclass
class Figure:
    """One contender at one row: time or memory, or why there is neither."""

    workload: str
    group: str
    contender: str
    seconds: float | None = None
    quartiles: tuple[float, float] | None = None
    ratio: Summary | None = None  # StandardScaler's time over this one's
    share_of_limit: float | None = None
    above_limit: str = ""  # why a share is above 100%
    bytes: int | None = None
    rounds: int | None = None
    note: str = ""
    outcome: str = ""  # "wrong" or "failed"
    times: list[float] = field(default_factory=list, repr=False)  # a call, by round


@dataclass
class Record:
    """A run, or what asv tracked at one commit."""

    rows: list[Figure] = field(default_factory=list)
    profile: str = ""
    commit: str | None = None
    date: datetime | None = None
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    # Both "before" and "after": bytes a second by kind, and the load average.
    limits: dict[str, dict[str, float]] = field(default_factory=dict)
    load: dict[str, float | None] = field(default_factory=dict)
    # What contenders take that scikit-learn refuses.
    lenient: dict[str, list[str]] = field(default_factory=dict)

    def warnings(self) -> Iterator[str]:
        """Why ratios mean less than they seem to."""
        if self.profile == "fast":
            yield f"Profile fast, for tests, has tiny data: {MEANINGLESS}."
        load, cores = self.load.get("before"), self.machine.get("cores")
        if load is not None and cores and load >= cores / 2:
            busy = f"Load average {load:.1f} on {texts.amount(cores, 'core')}"
            yield f"{busy} before the run, the machine was busy: {MEANINGLESS}."
        before, after = self.limits.get("before", {}), self.limits.get("after", {})
        for kind in before.keys() & after.keys():
            if max(before[kind], after[kind]) > MOVED * min(before[kind], after[kind]):
                change = f"{texts.speed(before[kind])} to {texts.speed(after[kind])}"
                yield f"Memory's {kind} went from {change} meanwhile: {MEANINGLESS}."

    def provenance(self) -> str:
        """Profile, machine, commit and date in one line."""
        parts = [
            f"profile {self.profile or 'not known'}",
            str(self.machine.get("cpu") or self.machine.get("machine") or ""),
            f"commit {self.commit[:8]}" if self.commit else "",
            f"{self.date:%Y-%m-%d}" if self.date else "",
        ]
        return " · ".join(filter(None, parts))

    def label(self, contender: str) -> str:
        """The contender's name, with a mark where it validates less."""
        return f"{contender}*" if self.lenient.get(contender) else contender

    def groups(self) -> dict[str, dict[str, list[Figure]]]:
        """Rows by group and workload, in the order of the file."""
        found: dict[str, dict[str, list[Figure]]] = {}
        for row in self.rows:
            of_group = found.setdefault(row.group, {})
            of_group.setdefault(row.workload, []).append(row)
        return found

    def headlines(self) -> dict[str, dict[str, list[float]]]:
        """Speeds against StandardScaler by contender and group."""
        found: dict[str, dict[str, list[float]]] = {}
        for row in self.rows:
            if row.ratio and row.contender != BASELINE and row.group in HEADLINES:
                of_contender = found.setdefault(row.contender, {})
                of_contender.setdefault(row.group, []).append(row.ratio.median)
        return found

    def write(self, path: Path) -> None:
        content = {"schema": SCHEMA, **asdict(self)}
        content["date"] = self.date.isoformat(timespec="seconds") if self.date else None
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> Record:
    """Read what ``python -m benchmarks --json FILE`` wrote.

    Raises
    ------
    HarnessError
        If there is no such file, or if it has another form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content.pop("schema")
        if schema != SCHEMA:
            raise HarnessError(f"{path} has schema {schema}, not {SCHEMA}")
        content["rows"] = [figure(row) for row in content["rows"]]
        if content["date"]:
            content["date"] = datetime.fromisoformat(content["date"])
        return Record(**content)
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise HarnessError(
            f"{path} is not a report of the quick run: {type(error).__name__} {error}"
        ) from error


def figure(row: dict[str, Any]) -> Figure:
    ratio, quartiles = row["ratio"], row["quartiles"]
    given = row | {
        "seconds": finite(row["seconds"]),
        "quartiles": tuple(quartiles) if quartiles else None,
        "ratio": Summary(**ratio) if ratio else None,
        "share_of_limit": finite(row["share_of_limit"]),
    }
    return Figure(**given)


def finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
