"""Private names of asv: what the benchmarks use is there, and used in one module."""

import inspect
import re
from pathlib import Path

import pytest

pytest.importorskip("asv")

from benchmarks import asv_names
from benchmarks.asv_names import AsvChangedError

FOLDER = Path(asv_names.__file__).parent
# Parameters that are passed, and attributes of what comes back.
PARAMETERS = {
    "Run.run": {
        *("range_spec", "bench", "attribute", "show_stderr", "machine", "pull"),
        *("interleave_rounds", "_machine_file"),
    },
    "Benchmarks.discover": {"conf", "repo", "environments", "commit_hash", "regex"},
    "Setup.perform_setup": {"environments", "parallel"},
    "MachineCollection.save": {"machine_name", "_path"},
    "get_environments": {"conf"},
    "iter_results_for_machine_and_hash": {"results", "machine_name", "commit"},
}
USED_IN_RESULTS = (
    *("get_all_result_keys", "get_result_keys", "get_result_value"),
    *("get_result_stats", "env_name", "commit_hash", "date", "params"),
)


@pytest.mark.parametrize("name", asv_names.NAMES)
def test_names_are_there(name):
    assert getattr(asv_names, name) is not None


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_there(name):
    first, *rest = name.split(".")
    found = getattr(asv_names, first)
    for part in rest:
        found = getattr(found, part)
    missing = PARAMETERS[name] - inspect.signature(found).parameters.keys()
    assert not missing, f"asv's {name} has no {missing} any more"


def test_results_have_what_is_read():
    from asv.results import Results

    missing = [name for name in USED_IN_RESULTS if not hasattr(Results, name)]
    assert not missing, f"asv's results have no {missing} any more"


def test_intervals_are_in_the_statistics():
    from asv_runner.statistics import compute_stats

    _, stats = compute_stats([1.0, 2.0, 3.0] * 4, 1)
    assert {"ci_99_a", "ci_99_b", "q_25", "q_75"} <= stats.keys()


def test_a_name_that_has_gone_is_told(monkeypatch):
    monkeypatch.setitem(asv_names.NAMES, "Gone", "asv.util")
    monkeypatch.setitem(asv_names.NAMES, "Moved", "asv.no_such_module")
    for name in ("asv.util.Gone", "asv.no_such_module.Moved"):
        with pytest.raises(AsvChangedError, match=rf"asv [\d.]+ has no {name}, which"):
            getattr(asv_names, name.rpartition(".")[2])
    with pytest.raises(AttributeError, match="something"):
        _ = asv_names.something


def test_no_other_module_imports_asv():
    pattern = re.compile(r"^\s*(from|import) asv\b", re.MULTILINE)
    found = [p for p in FOLDER.rglob("*.py") if pattern.search(p.read_text("utf-8"))]
    assert found == []
