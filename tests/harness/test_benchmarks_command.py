"""``python -m benchmarks``: what it measures, prints, writes and refuses."""

import json
import subprocess
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import environment, footprint, quick, report
from benchmarks.contenders import CONTENDERS
from benchmarks.measure import Summary
from benchmarks.quick import Result

PLAIN = {"COLUMNS": "80", "FORCE_COLOR": None, "NO_COLOR": "1", "TERM": "dumb"}
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)


def invoke(*arguments):
    return CliRunner().invoke(command.build_app(), arguments, env=PLAIN)


def test_rows_are_those_of_the_goals(monkeypatch):
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "regular")
    names = [row.name for row in quick.rows()]
    shapes = ("400000x100", "4000000x10", "40000x1000")

    assert names == [
        *(
            f"fit {dtype} {shape}{order}"
            for dtype in ("float64", "float32")
            for shape in shapes
            for order in ("", " F")
        ),
        "fit float64 400000x100 5% NaN",
        "fit float64 400000x100 weighted",
        "fit uint8 400000x100",
        "transform float64 400000x100",
        "transform in place float64 400000x100",
        "partial_fit float64 256x64",
        "partial_fit float64 32x20",
        "partial_fit float64 1x20",
        "transform float64 256x64",
        "transform float64 1x20",
        "memory of fit float64 400000x100",
        "fit CSR 400000x1000 1%",
        "transform CSR 400000x1000 1%",
        "fit CSC 400000x1000 1%",
        "transform CSC 400000x1000 1%",
        *(["fit polars 1000000x50"] if find_spec("polars") else []),
        *(["fit_transform polars 1000000x50"] if find_spec("polars") else []),
    ]


def test_everything_runs_and_is_written(tmp_path):
    files = [tmp_path / "quick.json", tmp_path / "quick.png"]
    options = ["--json", str(files[0]), "--plot", str(files[1]), "--seconds", "0"]
    done = invoke(*options, "--contender", "skbn-numpy")
    assert done.exit_code == 0, done.output
    written = json.loads(files[0].read_text("utf-8"))

    assert {row["workload"] for row in written["rows"]} == {
        r.name for r in quick.rows()
    }
    assert all(row.name in done.stdout for row in quick.rows())
    assert "GB/s read" in done.stdout
    timed = [row for row in written["rows"] if row["rounds"]]
    assert done.stdout.count(" rounds ") == len({row["workload"] for row in timed})
    assert done.stdout.count("MiB") == 2
    assert files[1].read_bytes().startswith(b"\x89PNG")
    check_schema(written)


def check_schema(written):
    assert written["schema"] == 1
    datetime.fromisoformat(written["date"])
    assert set(written["machine"]) == {"cpu", "cores", "ram", "os", "python"}
    assert {"numpy", "scikit-learn"} <= set(written["versions"])
    assert written["profile"] == "fast"
    assert set(written["limits"]) == {"read", "copy"}
    for row in written["rows"]:
        assert set(row) == {
            *("workload", "group", "contender", "seconds", "quartiles", "ratio"),
            *("share_of_limit", "bytes", "note", "rounds"),
        }
        assert (row["group"] == "memory") == (row["seconds"] is None)
        if row["seconds"] is None:
            continue
        assert row["rounds"] >= 7
        q1, q3 = row["quartiles"]
        assert 0 < q1 <= row["seconds"] <= q3
        assert 0 < row["ratio"]["q1"] <= row["ratio"]["median"] <= row["ratio"]["q3"]
        is_matrix = (
            row["group"] in {"fit", "transform in place"} or "400x" in row["workload"]
        )
        in_container = any(name in row["workload"] for name in ("CS", "polars"))
        assert (row["share_of_limit"] is not None) == (is_matrix and not in_container)


def test_memory_that_cannot_be_measured_is_said():
    with pytest.raises(footprint.UnknownError, match="nobody"):
        footprint.of("nobody")


@pytest.mark.parametrize("pattern", ["fit uint8", "*uint8*", "fit ?int8*"])
def test_rows_and_contenders_are_chosen(pattern, tmp_path):
    file = tmp_path / "chosen.json"
    options = ["--workload", pattern, "--contender", "skbn-numpy", "--json", str(file)]
    done = invoke(*options)
    rows = json.loads(file.read_text("utf-8"))["rows"]

    assert done.exit_code == 0
    assert [(row["group"], row["contender"]) for row in rows] == [
        ("fit", "skbn-numpy"),
        ("fit", "StandardScaler"),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--contender", "nobody"], "nobody"),
        (["--workload", "nothing"], "--list"),
        (["--profile", "huge"], "regular"),
        (["--seconds", "-1"], "seconds"),
    ],
)
def test_wrong_options_are_refused(options, words):
    done = invoke(*options)
    assert done.exit_code == 2
    assert words in done.output


def test_list():
    done = invoke("--list", "--profile", "fast")
    assert done.exit_code == 0
    assert all(f"  {row.name}\n" in done.stdout for row in quick.rows())
    assert all(f"  {each.name}" in done.stdout for each in CONTENDERS)


def test_the_exit_code_tells_of_a_wrong_answer(monkeypatch):
    wrong = Result("fit", "fit", "liar", note="wrong answer: by 1", wrong=True)
    monkeypatch.setattr(quick, "run", lambda *_, **__: [wrong])
    done = invoke()
    assert done.exit_code == 1
    assert "fit, liar: wrong answer: by 1" in done.stdout


def test_a_variable_that_slows_down_is_told_of(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setattr(quick, "run", lambda *_, **__: [])
    assert "OPENBLAS_CORETYPE is set" in invoke().stderr


def test_progress_is_for_terminals(monkeypatch):
    from rich.console import Console

    options = ["--workload", "partial_fit*1x20", "--contender", "skbn-numpy"]
    assert invoke(*options).stderr == ""
    monkeypatch.setattr(Console, "is_terminal", True)
    done = CliRunner().invoke(
        command.build_app(), options, env=PLAIN | {"TERM": "xterm"}
    )
    assert "partial_fit float64 1x20" in done.stderr


def test_tables_fit_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "regular")
    monkeypatch.setattr(command.bandwidth, "limits", lambda: {"read": 1e9, "copy": 1e9})
    slow, spread = 0.123456, Summary(0.0123, 0.0111, 0.0999)
    results = [
        Result(
            row.name, row.group, each.name, slow, (slow, slow), spread, 1.234, rounds=99
        )
        for row in quick.rows()
        for each in CONTENDERS
    ]
    monkeypatch.setattr(quick, "run", lambda *_, **__: results)
    printed = invoke().stdout
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (12.345, "12.3 s"),
        (0.5, "500 ms"),
        (1.5e-5, "15.0 µs"),
        (2e-7, "0.200 µs"),
    ],
)
def test_durations(seconds, words):
    assert report.duration(seconds) == words


def test_the_commit_is_known_or_not(monkeypatch):
    known = environment.commit()
    assert known is None or len(known) == 40
    monkeypatch.setattr(environment, "__file__", "/nowhere/environment.py")
    monkeypatch.setattr(
        environment.subprocess,
        "run",
        lambda *_, **__: subprocess.CompletedProcess([], 128, "", "fatal"),
    )
    assert environment.commit() is None


@pytest.mark.parametrize("missing", ["typer", "rich", "matplotlib"])
def test_without_its_extra_the_command_stops(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == command.INSTALL


def test_commands_of_the_harness():
    done = invoke("--help")
    assert done.exit_code == 0
    for name in command.COMMANDS:
        assert name in done.stdout
        assert invoke(name, "--help").exit_code == 0


def test_it_is_run_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "skbn-numpy" in done.stdout
