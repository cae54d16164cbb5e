"""The regression guard: what it finds in a repository with a planted slow-down."""

import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import asv_toys
import pytest

from benchmarks.guard import Outcome, judge
from benchmarks.guard_asv import Pair, Timing

ROOT = Path(__file__).parents[2]
COMMAND = "import typer; from benchmarks.guard import guard; typer.run(guard)"
QUICK = "def work():\n    return sum(range(300))\n"
SLOW = "def work():\n    return sum(range(12_000))\n"
# asv leaves its checkout of the commit that it measures in this folder.
BENCHMARKS = """
import os, sys
sys.path.insert(0, os.path.join(os.environ["ASV_ENV_DIR"], "project"))
import toy

class Work:
    params = ["a", "b c"]
    param_names = ["contender"]
    repeat = (2, 3, 0.2)
    sample_time = 0.002
    warmup_time = 0.0

    def time_work(self, contender):
        if contender == "a":
            toy.work()

    def time_skipped(self, contender):
        pass
    time_skipped.setup = lambda contender: skip()

def skip():
    raise NotImplementedError

def track_number():
    return 1
"""


@dataclass(frozen=True)
class Toy:
    """A repository, its commits by name, and a way to change its benchmarks."""

    path: Path
    commits: dict[str, str]

    def write(self, benchmarks):
        (self.path / "benchmarks" / "work.py").write_text(benchmarks, "utf-8")

    def guard(self, base, head, *options):
        config = str(self.path / "asv.conf.json")
        names = (self.commits.get(base, base), self.commits.get(head, head))
        # Twice the default, since the machine may be busy; the planted one is tenfold.
        given = [
            names[0],
            "--head",
            names[1],
            "--config",
            config,
            "--factor",
            "2",
            *options,
        ]
        environment = asv_toys.environment() | {"NO_COLOR": "1", "COLUMNS": "200"}
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *given],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    pytest.importorskip("asv")
    pytest.importorskip("virtualenv")
    nothing = {f"{step}_command": [] for step in ("build", "install", "uninstall")}
    path = asv_toys.make_repository(tmp_path_factory.mktemp("guard") / "toy", **nothing)
    (path / "benchmarks").mkdir()
    (path / "benchmarks" / "__init__.py").touch()
    commits = {}
    for day, (name, code) in enumerate(
        {
            "quick": QUICK,
            "same": f"{QUICK}\n",
            "slow": SLOW,
            "broken": "work = 1 / 0",
        }.items()
    ):
        (path / "toy.py").write_text(code, encoding="utf-8")
        commits[name], _ = asv_toys.commit(path, name, day)
    return Toy(path, commits)


@pytest.fixture(autouse=True)
def _whole_benchmarks(request):
    if "toy" in request.fixturenames:
        request.getfixturevalue("toy").write(BENCHMARKS)


def last_line(done):
    assert done.stdout, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_planted_slow_down_is_found(toy, tmp_path):
    report = tmp_path / "summary.md"
    done = toy.guard("quick", "slow", "--report", str(report))

    assert done.returncode == Outcome.SLOWER, done.stdout + done.stderr
    assert last_line(done).startswith("slower: work.Work.time_work('a') (2 measured")
    assert "again" in done.stdout
    assert "time_skipped" not in done.stdout.splitlines()[-2]
    assert "slower" in report.read_text(encoding="utf-8").splitlines()[0]
    assert "| `work.Work.time_work('a')` |" in report.read_text(encoding="utf-8")


def test_the_same_speed_passes(toy):
    done = toy.guard("quick", "same")

    assert done.returncode == Outcome.NOT_SLOWER, done.stdout + done.stderr
    assert last_line(done) == "not slower: 2 measured at both commits, limit 2 x"
    assert not (toy.path / ".asv" / "results").exists(), "results are not kept"


def test_quicker_passes(toy):
    assert toy.guard("slow", "quick").returncode == Outcome.NOT_SLOWER


def test_a_benchmark_that_does_not_import(toy):
    toy.write("import no_such_module\n")
    done = toy.guard("quick", "same")

    assert done.returncode == Outcome.DID_NOT_RUN, done.stdout + done.stderr
    assert last_line(done).startswith("did not run: ")


@pytest.mark.parametrize(
    ("base", "head", "reason"),
    [
        ("quick", "broken", "failed at head"),
        ("broken", "quick", "every benchmark failed at base"),
        ("quick", "no-such-branch", "there is no commit no-such-branch"),
    ],
)
def test_commits_that_cannot_be_measured(toy, base, head, reason):
    done = toy.guard(base, head)

    assert done.returncode == Outcome.DID_NOT_RUN, done.stdout + done.stderr
    assert last_line(done).startswith(f"did not run: {reason}")


@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("same", ["--bench", "no_such_benchmark"]),
        ("same", ["--bench", "track_number"]),
        ("quick", []),
    ],
)
def test_nothing_to_measure(toy, head, options):
    done = toy.guard("quick", head, *options)

    assert done.returncode == Outcome.NOTHING_MEASURED, done.stdout + done.stderr
    assert last_line(done).startswith("nothing was measured: ")


def test_without_a_configuration_it_does_not_run(toy, tmp_path):
    done = toy.guard("quick", "same", "--config", str(tmp_path / "asv.conf.json"))

    assert done.returncode == Outcome.DID_NOT_RUN
    assert "there is no file asv.conf.json" in last_line(done)


def steady(seconds):
    return Timing(seconds, 0.98 * seconds, 1.02 * seconds)


def pair(base, head, name="time_work"):
    return Pair(name, "env", base, head)


def test_a_slow_down_must_be_seen_twice():
    once, slower = pair(steady(1.0), steady(1.5)), pair(steady(1.0), steady(1.4))
    not_again = pair(steady(1.0), steady(1.1))

    assert judge([once], {once.key: slower}, 1.2).outcome is Outcome.SLOWER
    assert judge([once], {once.key: not_again}, 1.2).outcome is Outcome.NOT_SLOWER


@pytest.mark.parametrize(
    ("head", "slower"),
    [
        (steady(1.1), False),
        (steady(1.5), True),
        (steady(0.5), False),
        (Timing(1.5, 1.0, 2.0), False),  # too uncertain
        (None, False),
    ],
)
def test_what_counts_as_slower(head, slower):
    assert pair(steady(1.0), head).is_slower(1.2) is slower


def test_a_new_benchmark_is_no_reason_to_fail():
    old, new = pair(steady(1.0), steady(1.0)), pair(None, steady(1.0), "time_new")
    found = judge([old, new], {}, 1.2)

    assert found.outcome is Outcome.NOT_SLOWER
    assert math.isnan(new.ratio)
    assert next(found.lines()) == "failed at base  time_new"


def test_what_was_broken_before_is_no_reason_to_fail():
    broken = pair(None, None, "time_broken")

    found = judge([pair(steady(1.0), steady(1.0)), broken], {}, 1.2)
    assert found.outcome is Outcome.NOT_SLOWER
    assert judge([broken], {}, 1.2).outcome is Outcome.DID_NOT_RUN


def test_what_fails_in_the_second_look_did_not_run():
    once, lost = pair(steady(1.0), steady(2.0)), pair(steady(1.0), None)

    assert judge([once], {once.key: lost}, 1.2).outcome is Outcome.DID_NOT_RUN


def test_outcomes_differ_in_code_and_words():
    assert len({outcome.words for outcome in Outcome}) == len(Outcome) == 4
    assert {1, 2}.isdisjoint(Outcome)
