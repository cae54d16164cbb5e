"""The skbn command: what it prints, refuses, and says without its extra."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console
from typer.testing import CliRunner

import skbn
from skbn import cli, demo

PLAIN = {"COLUMNS": "80", "FORCE_COLOR": None, "NO_COLOR": "1", "TERM": "dumb"}
RESULT = demo.Result("StandardScaler", 1797, 0.85, 0.012, 0.9, 12.3)
JUDGED = replace(RESULT, mean_error=1e-16, variance_error=1e-16, unscaled=61)


def invoke(*arguments, env=PLAIN):
    return CliRunner().invoke(cli.build_app(), arguments, env=env)


@pytest.fixture
def quick(monkeypatch):
    """A demo that runs at once and notes its settings."""
    calls = []

    def run(scenario, *, advance=lambda: None, **settings):
        calls.append((scenario.name, settings))
        advance()
        return [RESULT if scenario.drifts else JUDGED]

    monkeypatch.setattr(demo, "run", run)
    return calls


def test_version():
    result = invoke("--version")

    assert (result.exit_code, result.stdout) == (0, f"skbn {skbn.__version__}\n")


def test_without_arguments_help_is_shown():
    assert "demo" in invoke().output


@pytest.mark.parametrize(
    "name", ["all", *sorted({each.name for each in demo.SCENARIOS})]
)
def test_every_scenario_can_be_chosen(quick, name):
    result = invoke("demo", "--scenario", name)

    assert result.exit_code == 0
    assert [called for called, _ in quick] == [
        each.name for each in demo.scenarios(name)
    ]
    assert all(each.title in result.stdout for each in demo.scenarios(name))


@pytest.mark.usefixtures("quick")
def test_tables_fit_a_narrow_terminal():
    printed = invoke("demo").stdout

    assert "…" not in printed
    assert "..." not in printed
    assert max(map(len, printed.splitlines())) <= 80
    assert printed.count("85.0 (1.2)") == len(demo.SCENARIOS)


def test_settings_are_passed_on(quick):
    result = invoke("demo", "--batch-size", "8", "--seed", "3", "--scenario", "drift")

    assert quick == [("drift", {"batch_size": 8, "seed": 3})]
    assert "batches of 8" in result.stdout


def test_json_holds_what_the_tables_show(quick):
    report = json.loads(invoke("demo", "--json", "--seed", "5").stdout)

    assert report["seed"] == quick[0][1]["seed"] == 5
    assert report["evaluation"] == cli.demo.EVALUATION
    assert [each["name"] for each in report["scenarios"]] == [
        each.name for each in demo.SCENARIOS
    ]
    (result,) = report["scenarios"][0]["results"]
    assert demo.Result(**result) == JUDGED


@pytest.mark.parametrize(
    "arguments", [["--scenario", "weather"], ["--batch-size", "0"], ["--seed", "-1"]]
)
def test_wrong_options_are_refused(quick, arguments):
    assert invoke("demo", *arguments).exit_code == 2
    assert quick == []


@pytest.mark.usefixtures("quick")
def test_progress_is_for_terminals(monkeypatch):
    arguments = ["demo", "--scenario", "digits"]
    assert invoke(*arguments).stderr == ""

    monkeypatch.setattr(Console, "is_terminal", True)
    assert "digits" in invoke(*arguments, env=PLAIN | {"TERM": "xterm"}).stderr


def test_the_main_job_from_end_to_end(monkeypatch, capsys):
    arguments = ["demo", "--scenario", "digits", "--batch-size", "128", "--json"]
    monkeypatch.setattr(sys, "argv", ["skbn", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()

    assert not stopped.value.code
    (scenario,) = json.loads(capsys.readouterr().out)["scenarios"]
    assert [each["rows_seen"] for each in scenario["results"]] == [1797] * 3


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_the_command_stops(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as stopped:
        cli.main()

    assert stopped.value.code == cli.INSTALL


def test_without_its_extra_the_exit_code_is_1_and_the_message_one_line():
    code = "import sys; sys.modules['typer'] = None; from skbn.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{cli.INSTALL}\n")
    assert 'python -m pip install "skbn[cli]"' in cli.INSTALL
