"""``python -m benchmarks``: what it measures, prints, writes and refuses."""

import importlib
import json
import subprocess
import sys
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import environment, footprint, quick, record, subprocesses
from benchmarks.contenders import CONTENDERS
from benchmarks.errors import FailedError
from benchmarks.measure import Summary
from benchmarks.record import Figure
from benchmarks.workloads import PROFILES, WORKLOADS

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
    calls = ("partial_fit", "transform", "weighted fit")

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
        "transform float32 400000x100",
        "transform float64 400000x100 5% NaN",
        "transform uint8 400000x100",
        "transform in place float64 400000x100",
        "partial_fit float64 1024x512",
        "partial_fit float64 256x64",
        "partial_fit float64 32x20",
        "partial_fit float64 1x20",
        "transform float64 256x64",
        "transform float64 1x20",
        "stream float64 256x64",
        "stream float64 1x20",
        "fit CSR 400000x1000 1%",
        "fit CSC 400000x1000 1%",
        "transform CSR 400000x1000 1%",
        "transform CSC 400000x1000 1%",
        *(["fit polars 1000000x50"] if find_spec("polars") else []),
        *(["fit_transform polars 1000000x50"] if find_spec("polars") else []),
        "memory of fit float64 400000x100",
        "import",
        *(f"first {c} 256x64, {state}" for c in calls for state in ("cold", "cached")),
    ]


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """Everything, for two contenders."""
    folder = tmp_path_factory.mktemp("run")
    files = [folder / "quick.json", folder / "quick.png"]
    options = ["--json", str(files[0]), "--plot", str(files[1]), "--seconds", "0"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKBN_BENCH_PROFILE", "fast")
        done = invoke(*options, "--contender", "skbn-numpy")
    assert done.exit_code == 0, done.output
    return done, *files


def test_everything_runs_and_is_written(whole_run):
    done, as_json, plot = whole_run
    written = json.loads(as_json.read_text("utf-8"))

    names = [row.name for row in quick.rows()]
    if sys.platform == "win32":
        names = [name for name in names if not name.startswith("memory")]
    assert list(dict.fromkeys(row["workload"] for row in written["rows"])) == names
    assert all(name in done.stdout for name in names)
    assert "GB/s read" in done.stdout
    timed = {row["workload"] for row in written["rows"] if (row["rounds"] or 0) > 1}
    assert done.stdout.count(" rounds ") == len(timed)
    assert plot.read_bytes().startswith(b"\x89PNG")
    check_schema(written)


def check_schema(written):
    assert written["schema"] == record.SCHEMA
    datetime.fromisoformat(written["date"])
    assert {"cpu", "cores", "cache", "ram", "os"} <= set(written["machine"])
    assert {"numpy", "scikit-learn"} <= set(written["versions"])
    assert written["profile"] == "fast"
    for when in ("before", "after"):
        assert min(written["limits"][when][kind] for kind in ("read", "copy")) > 0
        assert written["load"][when] is None or written["load"][when] >= 0
    for row in written["rows"]:
        assert (row["group"] == "memory") == (row["seconds"] is None)
        if row["seconds"] is None:
            assert row["bytes"] >= 0
            continue
        assert row["rounds"] == len(row["times"])
        assert row["rounds"] >= (1 if row["group"] == "start-up" else 7)
        q1, q3 = row["quartiles"]
        assert 0 < q1 <= row["seconds"] <= q3
        assert 0 < row["ratio"]["q1"] <= row["ratio"]["median"] <= row["ratio"]["q3"]
        sizes = ("400x100", "4000x", "40x")
        is_matrix = row["group"] != "sparse" and any(
            s in row["workload"] for s in sizes
        )
        assert (row["share_of_limit"] is not None) == is_matrix
        assert bool(row["above_limit"]) == ((row["share_of_limit"] or 0) > 1)


def test_what_is_written_is_read(whole_run):
    _, path, _ = whole_run
    again = path.with_name("again.json")
    record.read(path).write(again)
    assert again.read_text("utf-8") == path.read_text("utf-8")


def test_the_table_says_what_its_figures_are_worth(whole_run):
    """The profile, the marks in names, the reason for shares above 100%."""
    done, path, _ = whole_run
    lines = done.stdout.splitlines()
    assert any("fast" in line and record.MEANINGLESS in line for line in lines)
    assert any(line.startswith("F: each column") for line in lines)
    assert any(line.startswith("5% NaN: ") for line in lines)
    above = {row.above_limit for row in record.read(path).rows} - {""}
    assert all(f"† more than 100%, {reason}: " in done.stdout for reason in above)


def test_progress_without_a_terminal_is_a_line_a_row(whole_run):
    done, *_ = whole_run
    lines = done.stderr.splitlines()
    names = [row.name for row in quick.rows()]
    assert lines == [f"{i}/{len(names)} {name}" for i, name in enumerate(names, 1)]


def test_progress_on_a_terminal_is_a_bar(monkeypatch):
    from rich.console import Console

    monkeypatch.setattr(Console, "is_terminal", True)
    options = ["--workload", "partial_fit*1x20", "--contender", "skbn-numpy"]
    done = CliRunner().invoke(
        command.build_app(), options, env=PLAIN | {"TERM": "xterm"}
    )
    assert "0/1 " in done.stderr
    assert "1/1 partial_fit float64 1x20\n" not in done.stderr


def test_a_process_that_fails_is_told_in_one_line():
    with pytest.raises(FailedError, match=r"^KeyError: 'nobody'$"):
        footprint.of("nobody", "float64 400x100")
    with pytest.raises(FailedError, match="No module named no_such_module"):
        subprocesses.ask("no_such_module")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells no peak")
def test_memory_that_is_taken_is_measured(monkeypatch):
    """A copy of the data is as large as they are."""
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "regular")
    monkeypatch.setattr(footprint.Fit, "run", lambda _: np.ones(2**23).sum())
    monkeypatch.setattr(footprint.Fit, "check", lambda _: 0.0)
    workload = WORKLOADS["narrow"].at(PROFILES["fast"])
    monkeypatch.setattr(footprint, "find", lambda _: workload)
    assert footprint.measure("skbn-numpy", workload.label) > 0.9 * 2**26


@pytest.mark.parametrize("pattern", ["fit uint8", "fit*uint8*", "fit ?int8*"])
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


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("fit float64 400x100", ["fit float64 400x100"]),
        ("fit float64 400x100*", ["", " F", " 5% NaN", " weighted"]),
        ("400x100 weighted", ["fit float64 400x100 weighted"]),
    ],
)
def test_a_whole_name_comes_before_a_pattern_and_a_part(pattern, names):
    names = [n if n.startswith("fit") else f"fit float64 400x100{n}" for n in names]
    assert [row.name for row in quick.chosen([pattern])] == names


@pytest.mark.parametrize(
    ("option", "path", "words"),
    [
        ("--json", "no/such/folder/a.json", "No such file"),
        ("--json", ".", "denied" if sys.platform == "win32" else "Is a directory"),
        ("--plot", "no/such/folder/a.png", "No such file"),
        ("--plot", "a.xyz", "the ending is none of"),
    ],
)
def test_paths_are_tried_before_anything_is_measured(
    option, path, words, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "measure", lambda *_: pytest.fail("measured"))
    done = invoke(option, path)
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
    assert list(tmp_path.iterdir()) == []


def figures(*outcomes):
    return [
        Figure(
            "fit", "fit", "liar", outcome=outcome, note=outcome and f"{outcome}: why"
        )
        for outcome in outcomes
    ]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [([""], 0), (["wrong"], 1), (["failed"], 5), (["failed", "wrong", ""], 1)],
)
def test_the_exit_code_tells_of_wrong_answers_and_of_failures(
    outcomes, code, monkeypatch
):
    monkeypatch.setattr(quick, "run", lambda *_, **__: figures(*outcomes))
    done = invoke("--contender", "skbn-numpy")
    assert done.exit_code == code
    assert all(f"fit, liar: {each}: why" in done.stdout for each in outcomes if each)


def test_a_variable_that_slows_down_is_told_of(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setattr(quick, "run", lambda *_, **__: [])
    assert "OPENBLAS_CORETYPE is set" in invoke().stderr


def test_tables_fit_a_narrow_terminal(monkeypatch):
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "regular")
    slow, spread = 0.123456, Summary(0.0123, 0.0111, 0.0999)
    rows = [
        Figure(row.name, row.group, name, slow, (slow, slow), spread, 1.234, "in cache")
        for row in quick.rows()
        for name in (*(each.name for each in CONTENDERS), "package.module:LongName" * 3)
    ]
    found = record.Record(rows, lenient={"River": ["infinity"]})
    monkeypatch.setattr(command, "measure", lambda *_: found)
    table = invoke().stdout.partition("F: each")[0]
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= 80
    assert "River*" in table


def test_a_machine_that_is_busy_or_moves_is_told_of():
    limits = {"before": {"read": 1e10}, "after": {"read": 7e9}}
    machine = {"cores": 4}
    calm = record.Record(load={"before": 1.9}, machine=machine)
    busy = record.Record(load={"before": 2.1}, machine=machine, limits=limits)
    assert list(calm.warnings()) == []
    load, moved = busy.warnings()
    assert load.startswith("Load average 2.1 on 4 cores")
    assert "10.0 GB/s to 7.0 GB/s" in moved
    assert all(record.MEANINGLESS in warning for warning in (load, moved))


@pytest.mark.parametrize(
    ("share", "n_bytes", "cache", "words"),
    [
        (0.99, 1, 2, ""),
        (1.2, 2**20, 2**21, "in cache: 1.0 MiB of data, 2.0 MiB of cache"),
        (1.2, 2**22, 2**21, "noise: 4.0 MiB of data, 2.0 MiB of cache"),
        (1.2, 2**22, None, "in cache or noise: the size of the cache is not known"),
    ],
)
def test_more_than_memory_allows_is_explained(
    share, n_bytes, cache, words, monkeypatch
):
    monkeypatch.setattr(environment, "cache", lambda: cache)
    assert quick.why_above(share, n_bytes) == words


def test_the_size_of_the_cache_is_read(monkeypatch, tmp_path):
    for index, text in enumerate(("48K", "2048K", "16M")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(f"{text}\n")
    monkeypatch.setattr(environment, "CACHES", tmp_path)
    assert environment.cache() >= 16 * 2**20


def test_versions_of_any_contender_are_recorded(monkeypatch, tmp_path):
    """Of a package, of a module with a version, and of one without."""
    (tmp_path / "with_version.py").write_text("__version__ = '7.8'")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("with_version")
    found = environment.versions(["rich.table", "with_version", "without_version"])
    assert found["rich"] == importlib.metadata.version("rich")
    assert (found["with_version"], found["without_version"]) == ("7.8", "unknown")
    assert found["numpy"] == np.__version__
    sys.modules.pop("with_version")


def test_the_commit_is_known_or_not(monkeypatch):
    known = environment.commit()
    assert known is None or len(known) == 40
    monkeypatch.setenv("PATH", "")
    assert environment.commit() is None


@pytest.mark.parametrize("missing", ["typer", "rich", "matplotlib"])
def test_without_its_extra_the_command_stops(missing, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == command.FAILED
    assert capsys.readouterr().err.strip() == command.INSTALL


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
