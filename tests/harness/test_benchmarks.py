"""Every asv benchmark runs once, on the smallest data, and checks its answer."""

import itertools
import math
import os
import re
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("asv")
discovery = pytest.importorskip("asv_runner.discovery")

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
PREFIX = r"(time|timeraw|peakmem|track)_\w+"
MODULES = sorted(
    path.stem
    for path in FOLDER.glob("*.py")
    if re.search(rf"^    def {PREFIX}\(", path.read_text("utf-8"), re.MULTILINE)
)
KINDS = {"time", "track"}
# At all that they can do; others at the first of it.
OURS = ["skbn-numba", "skbn-numpy", "StandardScaler"]
# They begin new interpreters, which takes seconds: for these alone, at the first of it.
SLOW = {"startup", "memory"}
OF_SLOW = ["skbn-numba", "StandardScaler"]


class Quick:
    """What ``asv run --quick`` sets."""

    number, repeat, rounds, min_run_count, warmup_time = 1, 1, 1, 1, 0


@pytest.fixture(scope="module")
def fast():
    """The package, imported anew in the smallest profile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKBN_BENCH_PROFILE", "fast")
        # Where asv's new interpreters find skbn if it is not installed.
        path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
        before = {name for name in sys.modules if name.split(".")[0] == "benchmarks"}
        for name in before:
            patch.delitem(sys.modules, name)
        yield
        for name in list(sys.modules):
            if name.split(".")[0] == "benchmarks":
                del sys.modules[name]


@pytest.fixture(scope="module")
def discovered(fast):  # noqa: ARG001
    found = list(discovery.disc_benchmarks("benchmarks"))
    for benchmark in found:
        benchmark._attr_sources.insert(0, Quick)
    return found


def combinations(benchmark):
    return list(itertools.product(*benchmark._params))


def run(benchmark, index, cache):
    """Run as asv does, but in this process; None if it is skipped."""
    benchmark.set_param_idx(index)
    benchmark.set_cache(cache)
    # asv would begin with a new instance in a new process.
    vars(benchmark.func.__self__).clear()
    try:
        return None if benchmark.do_setup() else benchmark.do_run()
    finally:
        benchmark.do_teardown()
        vars(benchmark.func.__self__).clear()


def is_measured(result):
    values = result["samples"] if isinstance(result, dict) else [result]
    return bool(values) and all(math.isfinite(v) and v >= 0 for v in values)


@pytest.mark.parametrize("module", MODULES)
def test_every_benchmark_runs(module, discovered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    chosen = [each for each in discovered if each.name.split(".")[0] == module]
    assert chosen
    for benchmark in chosen:
        cache = benchmark.do_setup_cache()
        measured = set()
        for index, combination in enumerate(combinations(benchmark)):
            contender = combination[-1]
            if contender in measured and (module in SLOW or contender not in OURS):
                continue
            if module in SLOW and contender not in OF_SLOW:
                continue
            result = run(benchmark, index, cache)
            if result is not None:
                assert is_measured(result), (benchmark.name, combination)
                measured.add(combination[-1])
        able = OF_SLOW if module in SLOW else benchmark._params[-1]
        assert measured == set(able), benchmark.name


def test_all_are_discovered(discovered):
    names = {benchmark.name for benchmark in discovered}
    written = {
        f"{path.stem}.{match['name']}"
        for path in FOLDER.glob("*.py")
        for match in re.finditer(
            rf"^    def (?P<name>{PREFIX})\(", path.read_text("utf-8"), re.MULTILINE
        )
    }

    assert {re.sub(r"\.\w+\.", ".", name) for name in names} == written
    assert len(names) == len(discovered)
    assert {benchmark.type for benchmark in discovered} == KINDS


def test_contenders_are_the_last_parameter(discovered):
    for benchmark in discovered:
        assert benchmark.param_names[-1] == "contender"
        able = benchmark._params[-1]
        if benchmark.name != "ratios.AgainstStandardScaler.track_ratio":
            assert set(OURS) <= set(able), benchmark.name
        assert all(isinstance(value, str) for value in able)


@pytest.mark.parametrize("calls", [1, 50])
def test_asv_is_told_the_time_of_a_call(calls):
    from benchmarks.base import OperationBenchmark

    benchmark = OperationBenchmark()
    benchmark.current = type("Operation", (), {"calls": calls})()
    before, start = time.perf_counter(), benchmark.timer()
    time.sleep(0.01)
    stop, after = benchmark.timer(), time.perf_counter()
    assert 0.01 <= calls * (stop - start) <= after - before


def test_asv_keeps_the_rounds_of_ratios(discovered):
    """As samples, of which it takes median and quartiles."""
    from asv_runner.statistics import compute_stats

    (benchmark,) = (each for each in discovered if each.name.endswith("track_ratio"))
    result = run(benchmark, 0, None)
    value, stats = compute_stats(**result)
    assert len(result["samples"]) >= 7
    assert 0 < stats["q_25"] <= value <= stats["q_75"]


def test_asv_keeps_profiles_apart(discovered):
    """By the version, since some names do not hold their size."""
    for benchmark in discovered:
        if benchmark.name.split(".")[0] in {"ratios", "scaling"}:
            assert benchmark.version == "1-fast"


@pytest.mark.usefixtures("fast")
def test_modules_need_nothing_more_than_the_package():
    """asv imports them all, in environments without typer, rich and matplotlib."""
    import subprocess

    names = [path.stem for path in FOLDER.glob("*.py")]
    code = (
        "import importlib, sys; sys.modules.update(dict.fromkeys(sys.argv[1].split()));"
        "[importlib.import_module('benchmarks.' + n) for n in sys.argv[2].split()]"
    )
    extras = "dask jax matplotlib narwhals numba pandas polars rich river torch typer"
    subprocess.run(
        [sys.executable, "-c", code, extras, " ".join(names)], check=True, cwd=ROOT
    )
