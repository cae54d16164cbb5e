"""The regression guard: what it finds in a repository with a planted slow-down."""

import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import asv_toys
import pytest

from benchmarks.guard import Limits, Outcome, judge, selection, slower
from benchmarks.guard_asv import Pair, Timing, estimate, last_error

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
    params = ["skbn-a b", "StandardScaler", "theirs"]
    param_names = ["contender"]
    repeat = (8, 8, 0.3)
    sample_time = 0.001
    warmup_time = 0.0

    def time_work(self, contender):
        if contender == "skbn-a b":
            toy.work()
        if contender == "theirs":
            raise AssertionError("the guard measures those of others")

    def time_skipped(self, contender):
        pass
    time_skipped.setup = lambda contender: skip()

def skip():
    raise NotImplementedError

def track_number():
    return 1
"""
WRONG = """

class WrongAnswerError(AssertionError):
    pass

class Lies(Work):
    def teardown(self, contender):
        if contender == "skbn-a b" and toy.work() > 50_000:
            raise WrongAnswerError("error 1e-3")
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


def said(done):
    return done.stdout + done.stderr


def last_line(done):
    assert done.stdout, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_planted_slow_down_is_found(toy, tmp_path):
    report = tmp_path / "summary.md"
    done = toy.guard("quick", "slow", "--bench", "time_work", "--report", str(report))

    assert done.returncode == Outcome.SLOWER, done.stdout + done.stderr
    assert last_line(done).startswith(
        "slower: work.Work.time_work('skbn-a b') (2 measured"
    )
    assert "again" in done.stdout
    assert re.search(r"about \d min: 2 benchmarks at 2 commits in 2", said(done))
    assert "; StandardScaler took " in last_line(done)
    assert "'theirs')" not in done.stdout
    assert "slower" in report.read_text(encoding="utf-8").splitlines()[0]
    assert "| `work.Work.time_work('skbn-a b')` |" in report.read_text(encoding="utf-8")


def test_the_same_speed_passes(toy):
    done = toy.guard("quick", "same")

    assert done.returncode == Outcome.NOT_SLOWER, done.stdout + done.stderr
    assert last_line(done).startswith(
        "not slower: 2 measured at both commits, limit 2 "
    )
    assert "time_skipped" not in "".join(done.stdout.splitlines()[-4:])
    assert not (toy.path / ".asv" / "results").exists(), "results are not kept"


@pytest.mark.parametrize(
    ("benchmarks", "bench", "head", "reason"),
    [
        ("import no_such_module\n", "time", "same", "import: ModuleNotFoundError: No"),
        (BENCHMARKS, "Work.time_w", "broken", "failed at head: work.Work.time_work('S"),
        (
            BENCHMARKS + WRONG,
            "Lies.time_w",
            "slow",
            "(wrong answer: benchmarks",
        ),
    ],
    ids=["import", "run", "wrong answer"],
)
def test_why_it_did_not_run_is_in_the_last_line(toy, benchmarks, bench, head, reason):
    toy.write(benchmarks)
    done = toy.guard("quick", head, "--bench", bench)

    assert done.returncode == Outcome.DID_NOT_RUN, done.stdout + done.stderr
    assert last_line(done).startswith("did not run: ")
    assert reason in last_line(done)
    if head == "broken":
        assert "(run: ZeroDivisionError: division by zero)" in last_line(done)


def test_a_build_that_fails_is_told_as_one(toy):
    config = json.loads((toy.path / "asv.conf.json").read_text("utf-8"))
    config["build_command"] = ["python toy.py"]
    other = toy.path / "other.conf.json"
    other.write_text(json.dumps(config), "utf-8")
    options = ("--config", str(other), "--bench", "time_work")
    done = toy.guard("quick", "broken", *options)

    assert done.returncode == Outcome.DID_NOT_RUN, done.stdout + done.stderr
    assert last_line(done).startswith(
        "did not run: failed at head: work.Work.time_work"
    )
    assert "(build: ZeroDivisionError: division by zero)" in last_line(done)
    config["build_command"] = ["python no_such_file.py"]
    other.write_text(json.dumps(config), "utf-8")
    done = toy.guard("quick", "same", *options)

    assert done.returncode == Outcome.DID_NOT_RUN, done.stdout + done.stderr
    assert last_line(done).startswith("did not run: build: ")


def test_commits_that_cannot_be_measured(toy):
    done = toy.guard("quick", "no-such-branch")

    assert done.returncode == Outcome.DID_NOT_RUN, done.stdout + done.stderr
    assert last_line(done).startswith("did not run: there is no commit no-such-branch")


def test_a_bad_pattern_is_one_line(toy):
    done = toy.guard("quick", "same", "--bench", "time_(")

    assert done.returncode == 2
    assert done.stdout.splitlines() == [
        "--bench time_(: missing ), unterminated subpattern at position 5"
    ]
    assert done.stderr == ""


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


def pair(base, head, name="time_work('skbn-a')", contender="skbn-a", cause=""):
    return Pair(name, "env", base, head, contender, cause)


def control(base, head):
    return pair(base, head, "time_work('StandardScaler')", "StandardScaler")


def test_a_slow_down_must_be_seen_twice():
    once, again = pair(steady(1.0), steady(1.5)), pair(steady(1.0), steady(1.4))
    not_again = pair(steady(1.0), steady(1.1))

    found = judge([once], {once.key: again}, Limits())
    assert found.outcome is Outcome.SLOWER
    assert "no control was measured" in found.reason
    assert judge([once], {once.key: not_again}, Limits()).outcome is Outcome.NOT_SLOWER


@pytest.mark.parametrize(
    ("head", "is_slower"),
    [
        (steady(1.1), False),
        (steady(1.5), True),
        (steady(0.5), False),
        (Timing(1.5, 1.0, 2.0), False),  # too uncertain
        (Timing(1.5, -math.inf, math.inf), False),  # too few samples
        (None, False),
    ],
)
def test_what_counts_as_slower(head, is_slower):
    assert pair(steady(1.0), head).is_slower(1.2) is is_slower


@pytest.mark.parametrize(
    ("head", "outcome", "words"),
    [
        (1.4, Outcome.SLOWER, "slower: time_work('skbn-a') ("),
        (1.25, Outcome.NOT_SLOWER, "not slower: by 1.3 x, but by 1.2 x: time_work("),
        (1.1, Outcome.NOT_SLOWER, "not slower: 1 measured"),
    ],
)
def test_what_blocks(head, outcome, words):
    found = pair(steady(1.0), steady(head))
    report = judge([found], {found.key: found}, Limits(block=1.3))
    assert report.outcome is outcome
    assert list(report.lines())[-1].startswith(words)


@pytest.mark.parametrize(
    ("of_control", "is_slower", "words"),
    [
        (steady(1.0), True, "so the machine held still"),
        (steady(1.45), False, "so the machine moved"),
        (Timing(1.45, 0.5, 2.5), True, "so the machine moved"),  # by chance
        (steady(0.7), True, "so the machine moved"),
    ],
)
def test_the_control_tells_whether_the_machine_moved(of_control, is_slower, words):
    """What it became slower by at the same work is taken off."""
    both = [pair(steady(1.0), steady(1.5)), control(steady(1.0), of_control)]
    assert [p.contender for p in slower(both, Limits(), 1.2)] == ["skbn-a"] * is_slower
    report = judge(both, {p.key: p for p in both}, Limits())
    assert (report.outcome is Outcome.SLOWER) is is_slower
    assert words in report.reason


def test_the_control_itself_is_never_slower():
    moved = control(steady(1.0), steady(2.0))
    assert judge([moved], {moved.key: moved}, Limits()).outcome is Outcome.NOT_SLOWER


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("fit.time_fit('float64 4x4 (F)', 'skbn-numba')", True),
        ("fit.time_fit('float64 4x4', 'StandardScaler')", True),
        ("fit.time_fit('float64 4x4', 'River')", False),
        ("fit.time_fit('skbn-numba', 'River')", False),
        ("fit.track_fit('float64 4x4', 'skbn-numba')", False),
        ("fit.time_fit", True),
        ("transform.time_transform('float64 4x4', 'skbn-numba')", False),
        ("ratios.track_ratio('fit float64 4x4', 'skbn-numba')", False),
    ],
)
def test_only_what_a_commit_can_change_is_measured(name, chosen):
    pattern = selection("fit|none", "skbn-.*", "StandardScaler")
    assert bool(re.search(pattern, name)) is chosen


def test_the_time_it_takes_is_estimated():
    class Benchmarks(dict):
        pass

    found = Benchmarks(a={"repeat": [2, 10, 27.0]}, b={"repeat": 0})
    found.benchmark_selection = {"a": [0, 3, 4], "b": None}
    assert estimate(found, 3) == (
        "about 9 min: 4 benchmarks at 2 commits in 3 rounds, and the builds"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "Traceback:\n  at x\nValueError: a\nasv: benchmark failed (1)",
            "ValueError: a",
        ),
        ("module.WrongError: b\n\n", "module.WrongError: b"),
        ("STDOUT\nno space left\n------", "no space left"),
        ("", ""),
    ],
)
def test_the_line_that_says_why(text, line):
    assert last_error(text) == line


def test_a_new_benchmark_is_no_reason_to_fail():
    old, new = pair(steady(1.0), steady(1.0)), pair(None, steady(1.0), "time_new")
    found = judge([old, new], {}, Limits())

    assert found.outcome is Outcome.NOT_SLOWER
    assert math.isnan(new.ratio)
    assert next(found.lines()) == "failed at base  time_new"


def test_what_was_broken_before_is_no_reason_to_fail():
    broken = pair(None, None, "time_broken", cause="run: why")

    found = judge([pair(steady(1.0), steady(1.0)), broken], {}, Limits())
    assert found.outcome is Outcome.NOT_SLOWER
    found = judge([broken], {}, Limits())
    assert found.outcome is Outcome.DID_NOT_RUN
    assert found.reason == "every benchmark failed at base (run: why)"


def test_what_fails_in_the_second_look_did_not_run():
    once, lost = pair(steady(1.0), steady(2.0)), pair(steady(1.0), None)

    outcome = judge([once], {once.key: lost}, Limits()).outcome
    assert outcome is Outcome.DID_NOT_RUN


def test_outcomes_differ_in_code_and_words():
    assert len({outcome.words for outcome in Outcome}) == len(Outcome) == 4
    assert {1, 2}.isdisjoint(Outcome)
