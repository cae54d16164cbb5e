"""What the dashboards read: asv's history and the quick run's report."""

import json
import re
from collections import Counter
from datetime import UTC, datetime

import asv_toys
import pytest

from benchmarks import quick, record
from benchmarks.dashboard.records import History, Point, plain, read_history
from benchmarks.errors import HarnessError
from benchmarks.measure import Summary
from benchmarks.workloads import PROFILES


def test_history_is_read_through_asv(results):
    history = read_history(results)

    assert len(history.commits) == asv_toys.COMMITS
    assert list(history.commits.values()) == sorted(history.commits.values())
    assert history.machine["cpu"] == asv_toys.MACHINE["cpu"]
    newest = {
        (point.workload, point.contender): point.value
        for point in history.newest("track_ratio")
    }
    assert newest["fit, 400,000 × 100", "skbn-numba"] == 22.0
    assert newest["transform, 256 × 64", "ondil"] == 0.5
    assert len(newest) == len(asv_toys.WORKLOADS) * len(asv_toys.CONTENDERS)


def test_what_could_not_be_measured_is_left_out(results):
    history = read_history(results)
    counts = Counter(point.contender for point in history.named("track_ratio"))

    assert counts["skbn-numba"] == asv_toys.COMMITS * len(asv_toys.WORKLOADS)
    assert counts["ondil"] == len(asv_toys.WORKLOADS)


@pytest.mark.usefixtures("base")
def test_the_machine_with_the_most_commits_is_shown(tmp_path):
    repository = asv_toys.make_repository(tmp_path / "repository")
    laptop = asv_toys.MACHINE | {"machine": "laptop"}
    for day in range(3):
        found = asv_toys.commit(repository, "A commit", day)
        asv_toys.add_results(repository, *found, 0)
    asv_toys.add_results(repository, *found, 1, laptop)
    folder = repository / ".asv" / "results"

    assert read_history(folder).machine["machine"] == "bench"
    assert len(read_history(folder, "laptop").commits) == 1
    with pytest.raises(HarnessError, match="no results of the machine phone"):
        read_history(folder, "phone")


@pytest.mark.usefixtures("base")
def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(HarnessError, match="holds no results of asv"):
        read_history(tmp_path)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [("'River'", "River"), ("1000.0", "1000.0"), ("<class 'int'>", "<class 'int'>")],
)
def test_parameters_are_read_as_values(parameter, expected):
    assert plain(parameter) == expected


def test_the_quick_run_is_read(tmp_path):
    current = record.read(asv_toys.write_quick(tmp_path / "quick.json"))

    assert current.date == datetime(2026, 1, 7, 12, tzinfo=UTC)
    assert current.rows[0].ratio.median == 22.0
    assert list(current.groups()) == ["fit", "partial_fit", "transform"]
    first, speeds = next(iter(current.headlines().items()))
    assert (first, speeds["fit"]) == ("skbn-numba", [22.0])
    assert "StandardScaler" not in current.headlines()
    assert (current.label("River"), current.label("torch")) == ("River*", "torch")


def test_what_the_quick_run_says_of_itself(tmp_path):
    current = record.read(asv_toys.write_quick(tmp_path / "quick.json"))
    assert current.provenance() == (
        "profile regular · Imaginary CPU at 3 GHz · 2026-01-07"
    )
    assert list(current.warnings()) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"schema": 1}, "has schema 1, not 2"),
        ({"rows": [{}]}, "is not a report of the quick run: KeyError"),
        ({"date": "yesterday"}, "is not a report of the quick run: ValueError"),
    ],
)
def test_another_report_is_refused(tmp_path, change, reason):
    path = asv_toys.write_quick(tmp_path / "quick.json")
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(HarnessError, match=reason):
        record.read(path)


@pytest.mark.parametrize("content", [None, "no JSON"])
def test_a_report_that_cannot_be_read_is_refused(tmp_path, content):
    path = tmp_path / "quick.json"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(HarnessError, match=re.escape("quick.json")):
        record.read(path)


def test_without_a_quick_run_the_newest_commit_is_shown(results):
    history = read_history(results)
    current = history.record()

    assert current.commit == list(history.commits)[-1]
    assert current.rows[0].ratio.median == 22.0
    assert current.rows[0].share_of_limit == pytest.approx(0.77)
    assert current.rows[0].seconds is None


def test_spread_is_that_of_the_rounds(results):
    point = read_history(results).newest("track_ratio")[0]
    assert point.summary.q1 <= point.value < point.summary.q3


@pytest.mark.parametrize("size", PROFILES.values(), ids=PROFILES)
def test_the_profile_of_a_history_is_told_by_its_names(size):
    """Whatever profile is chosen now; names of streams alone are those of all."""
    one, rows = Summary(1.0, 1.0, 1.0), quick.rows(size)

    def history(rows):
        each = [Point("c", "a.track_ratio", {"work": row.name}, one) for row in rows]
        return History({"c": datetime(2026, 1, 1, tzinfo=UTC)}, each)

    assert history(rows).profile == size.name
    assert history([row for row in rows if row.group == "stream"]).profile == ""
    found = history(rows).record()
    assert found.profile == size.name
    assert [row.group for row in found.rows] == [row.group for row in rows]
