"""Every asv benchmark runs once, on the smallest data, and checks its answer."""

import itertools
import math
import os
import re
import sys
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
KINDS = {"time", "peakmemory", "track"}
CONTENDERS = ["skbn-numba", "skbn-numpy", "StandardScaler"]
# Others take seconds to import, twice each, in interpreters of their own.
SLOW = {"startup"}


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
            if module in SLOW and combination[-1] not in CONTENDERS:
                continue
            result = run(benchmark, index, cache)
            if result is not None:
                assert is_measured(result), (benchmark.name, combination)
                measured.add(combination[-1])
        able = CONTENDERS if module in SLOW else benchmark._params[-1]
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
            assert set(CONTENDERS) <= set(able), benchmark.name
        assert all(isinstance(value, str) for value in able)


def test_the_baseline_of_memory_is_told_apart(discovered):
    names = {each.name for each in discovered if each.type == "peakmemory"}
    assert names == {
        "memory.FitMemory.peakmem_baseline",
        "memory.FitMemory.peakmem_fit",
    }


@pytest.mark.usefixtures("fast")
def test_modules_need_nothing_more_than_the_package():
    """asv imports them all, in environments without typer, rich and matplotlib."""
    import subprocess

    names = [path.stem for path in FOLDER.glob("*.py")]
    code = (
        "import importlib, sys; sys.modules.update(dict.fromkeys(sys.argv[1].split()));"
        "[importlib.import_module('benchmarks.' + n) for n in sys.argv[2].split()]"
    )
    extras = (
        "asv dask jax matplotlib narwhals numba pandas polars rich river torch typer"
    )
    subprocess.run(
        [sys.executable, "-c", code, extras, " ".join(names)], check=True, cwd=ROOT
    )
