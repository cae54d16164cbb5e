"""``skbn merge`` and ``skbn inspect``."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import skbn
from skbn import BatchNormTransformer, cli
from skbn.state import to_bytes, to_document

PLAIN = {"COLUMNS": "80", "FORCE_COLOR": None, "NO_COLOR": "1", "TERM": "dumb"}
ROWS = np.arange(24.0).reshape(8, 3) * [1.0, -0.5, 0.0] + [0.0, 0.25, 7.0]


def invoke(*arguments, **options):
    return CliRunner().invoke(
        cli.build_app(), [*map(str, arguments)], env=PLAIN, **options
    )


@pytest.fixture
def saved(tmp_path):
    """Scalers of three parts of the rows."""
    paths = []
    for i, part in enumerate(np.array_split(ROWS, 3)):
        paths.append(tmp_path / f"{i}.json")
        skbn.save(BatchNormTransformer(halflife=3).fit(part), paths[-1])
    return paths


def test_merge_is_the_merge_of_the_library(saved, tmp_path):
    result = invoke("merge", *saved, "-o", tmp_path / "all.json.gz")

    first, *rest = map(skbn.load, saved)
    assert result.exit_code == 0
    assert to_document(skbn.load(tmp_path / "all.json.gz")) == to_document(
        first.merge(*rest)
    )
    assert result.stderr == (
        f"skbn: {tmp_path / 'all.json.gz'}: 3 features, 8 rows in 3 batches\n"
    )
    assert result.stdout == ""


def test_merge_into_one_of_its_own(saved):
    assert invoke("merge", *saved, "-o", saved[0], "-q").stderr == ""
    assert skbn.load(saved[0]).n_samples_seen_ == 8


def test_merge_through_standard_input_and_output(saved):
    given = saved[0].read_bytes()
    result = invoke("merge", "-", saved[1], "-o", "-", input=given)

    whole = skbn.load(saved[0]).merge(skbn.load(saved[1]))
    assert result.exit_code == 0
    assert result.stdout_bytes == to_bytes(whole)


def test_what_cannot_be_merged_names_the_file(saved, tmp_path):
    skbn.save(BatchNormTransformer(halflife=3).fit(ROWS[:, :2]), tmp_path / "two.json")
    result = invoke("merge", *saved, tmp_path / "two.json", "-o", tmp_path / "all.json")

    assert result.exit_code == 1
    assert result.stderr == (
        f"skbn: {tmp_path / 'two.json'}: Cannot merge transformers fitted on 3 and 2 "
        "features.\n"
    )
    assert not (tmp_path / "all.json").exists()


def test_the_table_of_inspect(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pytest.importorskip("pandas").DataFrame(
        ROWS, columns=["[red]height[/]", "gaps", "seven"]
    )
    frame.loc[2:, "gaps"] = np.nan
    skbn.save(BatchNormTransformer().fit(frame), tmp_path / "a.json")
    result = invoke("inspect", "a.json")

    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert " ".join(lines[0]) == "a.json: every row counts the same"
    assert " ".join(lines[1]) == "3 features, 8 rows in 1 batch, 1 of them constant"
    assert ["[red]height[/]", "10.5", "6.87386", "8"] in lines
    assert ["gaps", "-1", "0.75", "2"] in lines
    assert ["seven", "7", "0", "8", "constant"] in lines
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_inspect_says_as_json_what_the_library_says(saved):
    report = json.loads(invoke("inspect", saved[1], "--json").stdout)
    scaler = skbn.load(saved[1])

    assert report["averaging"] == "a row's weight halves in 3 rows (half-life)"
    assert (report["n_features"], report["n_batches_seen"]) == (3, 1)
    features = report["features"]
    assert [each["name"] for each in features] == ["x0", "x1", "x2"]
    assert [each["mean"] for each in features] == scaler.mean_.tolist()
    assert [each["std"] for each in features] == np.sqrt(scaler.var_).tolist()
    assert [each["constant"] for each in features] == [False, False, True]
    assert [each["seen"] for each in features] == [3, 3, 3]


def test_inspect_reads_standard_input(saved):
    given = saved[0].read_bytes()
    assert "x2" in invoke("inspect", "-", input=given).stdout
    assert invoke("inspect", "-", "--json", input=given).stdout == (
        invoke("inspect", saved[0], "--json").stdout
    )


def test_unknown_statistics_are_null_and_a_dash(tmp_path):
    skbn.save(BatchNormTransformer().fit([[np.nan, 1.0]]), tmp_path / "a.json")

    features = json.loads(invoke("inspect", tmp_path / "a.json", "--json").stdout)
    assert features["features"][0]["mean"] is None
    assert ["x0", "-", "-", "0"] in [
        line.split()
        for line in invoke("inspect", tmp_path / "a.json").stdout.splitlines()
    ]


def test_parameters_that_hide_statistics_do_not_hide_them_here(tmp_path):
    fitted = BatchNormTransformer(with_mean=False, with_std=False).fit(ROWS)
    skbn.save(fitted, tmp_path / "a.json")
    report = json.loads(invoke("inspect", tmp_path / "a.json", "--json").stdout)

    assert report["features"][0]["mean"] == ROWS[:, 0].mean()


def test_many_features_are_shown_in_part(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    skbn.save(BatchNormTransformer(momentum=0.1).fit(np.ones((2, 120))), "a")
    shown = invoke("inspect", "a").stdout

    assert "each batch weighs 0.1 (momentum)" in shown
    assert ("x99 " in shown, "x100 " in shown) == (True, False)
    assert "and 20 more features: --limit 0 shows all" in shown
    assert "x119 " in invoke("inspect", "a", "--limit", 0).stdout


def test_weights_are_called_so(tmp_path):
    fitted = BatchNormTransformer().fit(ROWS, sample_weight=np.full(8, 0.25))
    skbn.save(fitted, tmp_path / "a.json")
    result = invoke("merge", tmp_path / "a.json", "-o", tmp_path / "b.json")

    assert result.stderr.endswith(": 3 features, a weight of 2 in 1 batch\n")


def test_not_fitted(tmp_path):
    skbn.save(BatchNormTransformer(), tmp_path / "a.json")
    report = json.loads(invoke("inspect", tmp_path / "a.json", "--json").stdout)
    assert (report["features"], report["n_features"]) == ([], None)

    result = invoke("inspect", tmp_path / "a.json")
    assert result.exit_code == 1
    assert result.stderr == (
        f"skbn: {tmp_path / 'a.json'}: this scaler has not learnt anything yet.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["inspect"], 2, "SCALER"),
        (["merge", "a.json"], 2, "--output"),
        (["merge", "-", "-", "-o", "x"], 2, "standard input holds one scaler"),
        (["merge", "a.json", "-o", "missing/x"], 1, "there is no folder missing"),
        (["inspect", "missing.json"], 1, "missing.json: No such file"),
        (["inspect", "."], 1, "Is a directory"),
        (["unknown"], 2, "unknown"),
    ],
)
def test_errors_and_exit_codes(arguments, code, problem, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)

    assert result.exit_code == code
    assert problem in " ".join(result.stderr.replace("│", " ").split())
    assert code == 2 or len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 1000])
def test_what_is_no_scaler_is_one_line(content, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    result = invoke("inspect", tmp_path / "a.json")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"skbn: {tmp_path / 'a.json'}: ")
    assert result.stderr.count("\n") == 1
    piped = invoke("inspect", "-", input=content)
    assert piped.stderr.startswith("skbn: standard input: ")


def test_the_real_command(saved):
    command = [sys.executable, "-c", "from skbn.cli import main; main()", "inspect"]
    done = subprocess.run(
        [*command, saved[0]], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "standard deviation" in done.stdout
