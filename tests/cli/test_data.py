"""``skbn fit``, ``transform`` and ``inverse``."""

import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

import skbn
from skbn import BatchNormTransformer, cli
from skbn.cli import data
from skbn.state import to_bytes, to_document
from skbn.streams.fit import Learning

PLAIN = {"COLUMNS": "80", "FORCE_COLOR": None, "NO_COLOR": "1", "TERM": "dumb"}
COMMAND = [sys.executable, "-c", "from skbn.cli import main; main()"]
RANDOM = np.random.default_rng(0)
TABLE = pa.table(
    {
        "id": [f"r{i}" for i in range(300)],
        "a": RANDOM.normal(size=300),
        "b": RANDOM.integers(0, 9, 300),
        "w": RANDOM.integers(0, 3, 300).astype(float),
    }
)


def invoke(*arguments, **options):
    return CliRunner().invoke(
        cli.build_app(), [*map(str, arguments)], env=PLAIN, **options
    )


def done(*arguments, **options):
    """What a command printed that went well."""
    result = invoke(*arguments, **options)
    assert result.exit_code == 0, result.output
    return result


def expected(rows=300, **parameters):
    """What the library learns of a and b, so many rows at a time."""
    scaler = BatchNormTransformer(**parameters)
    for start in range(0, 300, rows):
        scaler.partial_fit(TABLE.slice(start, rows).select(["a", "b"]))
    return to_document(scaler)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory, with the table in several forms."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "parts").mkdir()
    pa.csv.write_csv(TABLE, "x.csv")
    pa.parquet.write_table(TABLE, "x.parquet", row_group_size=70)
    for i in range(3):
        part = TABLE.slice(100 * i, 100)
        pa.parquet.write_table(part, f"parts/{i}.parquet")
    np.save("x.npy", np.column_stack([TABLE["a"], TABLE["b"]]))
    return tmp_path


def names(folder):
    return {path.name for path in folder.iterdir()}


BEFORE = {"parts", "x.csv", "x.parquet", "x.npy"}


# fit


@pytest.mark.parametrize(
    "source",
    [
        ["x.csv"],
        ["x.parquet"],
        ["parts"],
        ["parts/*.parquet"],
        ["parts/0.parquet", "parts/1.parquet", "parts/2.parquet"],
    ],
)
@pytest.mark.parametrize("columns", [["-c", "a,b"], ["--columns", "a", "-c", "b"]])
def test_fit(source, columns, folder):
    result = done("fit", *source, "-o", "s.json", *columns)

    assert to_document(skbn.load("s.json")) == expected()
    assert result.stderr == "skbn: s.json: 2 features, 300 rows in 1 batch\n"
    assert names(folder) == BEFORE | {"s.json"}


@pytest.mark.parametrize(
    ("options", "parameters"),
    [
        (["--momentum", "0.1"], {"momentum": 0.1}),
        (
            ["--momentum", "1", "--no-zero-debias"],
            {"momentum": 1, "zero_debias": False},
        ),
        (["--halflife", "20"], {"halflife": 20.0}),
        (["--ddof", "1", "--epsilon", "1e-5"], {"ddof": 1, "epsilon": 1e-5}),
        (["--no-with-mean", "--clip", "3"], {"with_mean": False, "clip": 3.0}),
        (
            ["--no-with-std", "--engine", "numpy"],
            {"with_std": False, "engine": "numpy"},
        ),
    ],
)
def test_parameters_and_rows_of_a_batch(options, parameters):
    done("fit", "x.csv", "-o", "s.json", "-c", "a,b", "--batch-rows", "40", *options)

    assert to_document(skbn.load("s.json")) == expected(40, **parameters)


def test_weights():
    done("fit", "x.csv", "-o", "s.json", "-c", "a", "--weight-column", "w")

    scaler = BatchNormTransformer().fit(
        TABLE.select(["a"]), sample_weight=TABLE["w"].to_numpy()
    )
    assert to_document(skbn.load("s.json")) == to_document(scaler)


def test_columns_of_arrays_are_numbers():
    done("fit", "x.npy", "-o", "s.json", "-c", "1")
    assert skbn.load("s.json").mean_ == TABLE["b"].to_numpy().mean()

    done("fit", "x.npy", "-o", "s.json", "--weight-column", "1")
    assert skbn.load("s.json").n_samples_seen_ == TABLE["b"].to_numpy().sum()


@pytest.mark.parametrize("source", ["arrays", "arrays/*.npy"])
def test_arrays_in_a_folder(source, folder):
    (folder / "arrays").mkdir()
    for name in ("1.npy", "2.npy"):
        np.save(folder / "arrays" / name, np.load("x.npy"))
    done("fit", source, "-o", "s.json", "-c", "1")

    assert skbn.load("s.json").n_samples_seen_ == 600


def test_names_of_columns_may_hold_commas():
    pa.csv.write_csv(TABLE.rename_columns(["id", "a,b", 'say "c"', "w"]), "y.csv")
    done("fit", "y.csv", "-o", "s.json", "-c", '"a,b",w', "-c", '"say ""c"""')

    names = skbn.load("s.json").get_feature_names_out().tolist()
    assert names == ["a,b", "w", 'say "c"']


def test_standard_input_and_output(folder):
    content = (folder / "x.csv").read_bytes()
    result = done("fit", "-", "-o", "-", "-c", "a,b", input=content)

    done("fit", "x.csv", "-o", "s.json", "-c", "a,b", "-q")
    assert result.stdout_bytes == (folder / "s.json").read_bytes()
    assert result.stderr == "skbn: standard output: 2 features, 300 rows in 1 batch\n"
    assert names(folder) == BEFORE | {"s.json"}


# Interrupted


@pytest.fixture
def stopping(monkeypatch):
    """Let the next fit be interrupted, or fail, at its fifth batch."""
    learn = Learning.learn

    def set_up(error):
        count = iter(range(4))

        def stop(self, batch, task):
            if next(count, None) is None:
                monkeypatch.setattr(Learning, "learn", learn)
                raise error
            return learn(self, batch, task)

        monkeypatch.setattr(Learning, "learn", stop)

    return set_up


FIT = ["fit", "parts", "-o", "s.json", "-c", "a,b", "--batch-rows", "30"]


def test_an_interrupted_fit_is_gone_on_with(stopping, folder):
    stopping(KeyboardInterrupt())
    result = invoke(*FIT)

    assert result.exit_code == 130
    assert result.stderr.startswith("skbn: Interrupted after 120 rows of parts ")
    assert result.stderr.endswith(
        "(s.json.checkpoint). Repeat the command with --resume.\n"
    )
    assert result.stderr.count("\n") == 1
    assert names(folder) == BEFORE | {"s.json.checkpoint"}

    result = done(*FIT, "--resume")
    assert "300 rows in 10 batches" in result.stderr
    assert to_document(skbn.load("s.json")) == expected(30)
    assert names(folder) == BEFORE | {"s.json"}


def test_without_resume_it_begins_anew(stopping, folder):
    stopping(KeyboardInterrupt())
    invoke(*FIT)
    done(*FIT[:-2])

    assert to_document(skbn.load("s.json")) == expected()
    assert names(folder) == BEFORE | {"s.json"}


@pytest.mark.parametrize("resume", [False, True])
def test_an_error_leaves_a_checkpoint_only_if_so_asked(resume, stopping, folder):
    stopping(ValueError("broken"))
    result = invoke(*FIT, *["--resume"] * resume)

    assert result.exit_code == 1
    assert names(folder) == BEFORE | ({"s.json.checkpoint"} if resume else set())


def test_resume_with_nothing_to_resume_begins(folder):
    done(*FIT, "--resume")

    assert to_document(skbn.load("s.json")) == expected(30)
    assert names(folder) == BEFORE | {"s.json"}


def test_resume_of_something_else_is_refused(stopping):
    stopping(KeyboardInterrupt())
    invoke(*FIT)
    result = invoke(*FIT, "--resume", "--momentum", "0.1")

    assert result.exit_code == 1
    assert "s.json.checkpoint" in result.stderr
    assert "momentum" in result.stderr


def test_a_scaler_that_cannot_be_written_leaves_the_checkpoint(folder, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device", "s.json")

    monkeypatch.setattr(data, "write_scaler", fail)
    result = invoke(*FIT)
    assert (result.exit_code, result.stderr) == (
        1,
        "skbn: s.json: No space left on device\n",
    )
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Learning, "learn", None)  # all was learnt
    done(*FIT, "--resume")
    assert to_document(skbn.load("s.json")) == expected(30)


def test_ctrl_c_while_standard_input_is_waited_for():
    process = subprocess.Popen(
        [*COMMAND, "fit", "-", "-o", "s.json"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        process.stdin.write(b"a,b\n" + b"1.5,2\n" * 400_000)
        process.stdin.flush()  # most of it was read
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read().startswith(b"skbn: Interrupted")


# transform, inverse


def test_transform_and_back():
    done("fit", "x.parquet", "-o", "s.json", "-c", "a,b")
    result = done("transform", "s.json", "x.parquet", "-o", "z.parquet")
    assert (result.stdout, result.stderr) == ("", "")
    done("inverse", "s.json", "z.parquet", "-o", "back.parquet")

    Z = pa.parquet.read_table("z.parquet")
    normalised = skbn.load("s.json").transform(TABLE.select(["a", "b"]))
    np.testing.assert_array_equal(np.column_stack([Z["a"], Z["b"]]), normalised)
    assert Z.select(["id", "w"]) == TABLE.select(["id", "w"])
    back = pa.parquet.read_table("back.parquet")
    np.testing.assert_allclose(back["a"], TABLE["a"], rtol=0, atol=1e-15)
    assert pa.parquet.ParquetFile("z.parquet").num_row_groups == 5


def test_transform_through_standard_input_and_output(folder):
    done("fit", "x.csv", "-o", "s.json", "-c", "a,b")
    done("transform", "s.json", "x.csv", "-o", "z.csv")
    content = (folder / "x.csv").read_bytes()

    z = (folder / "z.csv").read_bytes()
    piped = done("transform", "s.json", "-", "-o", "-", input=content)
    assert piped.stdout_bytes == z
    scaler = to_bytes(skbn.load("s.json"))
    assert done("transform", "-", "x.csv", "-o", "-", input=scaler).stdout_bytes == z


def test_other_columns_are_mapped_in_the_order_of_the_features():
    done("fit", "x.npy", "-o", "s.json")
    done("transform", "s.json", "x.npy", "-o", "z.npy", "--columns", "1,0")

    Z = skbn.load("s.json").transform(np.load("x.npy")[:, ::-1])
    np.testing.assert_array_equal(np.load("z.npy"), Z[:, ::-1])


def test_a_folder_becomes_a_folder(folder):
    done("fit", "parts", "-o", "s.json", "-c", "a,b")
    done("transform", "s.json", "parts", "-o", "out/")

    assert names(folder / "out") == {"0.parquet", "1.parquet", "2.parquet"}


def test_a_reader_that_has_seen_enough_is_no_error():
    done("fit", "x.npy", "-o", "s.json")
    np.save("long.npy", np.zeros((200_000, 2)))
    with subprocess.Popen(
        [*COMMAND, "transform", "s.json", "long.npy", "-o", "-"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b'"x0","x1"\n'
        process.stdout.close()
        process.wait(60)
        assert b"Traceback" not in process.stderr.read()


# Wrong use, and errors


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["fit"], "DATA"),
        (["fit", "x.csv"], "--output"),
        (["fit", "x.csv", "-o", "s", "--momentum", "2"], "'momentum' parameter"),
        (["fit", "x.csv", "-o", "s", "--momentum", "x"], "momentum"),
        (["fit", "x.csv", "-o", "s", "--halflife", "0"], "'halflife' parameter"),
        (
            ["fit", "x.csv", "-o", "s", "--momentum", "0.1", "--halflife", "3"],
            "exclude each other",
        ),
        (
            ["fit", "x.csv", "-o", "s", "--engine", "cuda"],
            "the engines are auto, numba",
        ),
        (["fit", "x.csv", "-o", "s", "--ddof", "-1"], "ddof"),
        (["fit", "x.csv", "-o", "s", "--batch-rows", "0"], "batch-rows"),
        (["fit", "-", "x.csv", "-o", "s"], "- stands alone"),
        (["fit", "-", "-o", "s", "--resume"], "--resume needs files"),
        (["fit", "x.csv", "-o", "-", "--resume"], "--resume needs files"),
        (["fit", "x.npy", "-o", "s", "-c", "a"], "called by number, from 0: 'a'"),
        (["fit", "x.csv", "-o", "s", "--weight-column", "a,b"], "takes one column"),
        (["transform", "-", "-", "-o", "-"], "the scaler or the data, not both"),
        (["transform", "s.json"], "DATA"),
    ],
)
def test_wrong_use_prints_the_usage_and_is_2(arguments, problem, folder):
    result = invoke(*arguments)

    assert result.exit_code == 2
    assert problem in " ".join(result.stderr.replace("│", " ").split())
    assert "Usage: " in result.stderr
    assert names(folder) == BEFORE


def write(name, text):
    with open(name, "w") as file:  # noqa: PTH123
        file.write(text)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["fit", "none.csv"], "none.csv: No such file or directory"),
        (["fit", "x.txt"], "x.txt: it is not known how to read this file"),
        (["fit", "x.csv"], "x.csv: column 'id' holds string, not numbers"),
        (["fit", "x.csv", "-c", "c"], "x.csv: there is no column 'c'"),
        (["fit", "inf.csv"], "inf.csv, row 1: Input X contains infinity"),
        (["fit", "text.csv"], "text.csv: "),
        (["fit", "short.parquet"], "short.parquet: "),
        (["fit", "x.npy", "-c", "7"], "x.npy: there is no column 7"),
        (["transform", "none.json", "x.csv"], "none.json: No such file or directory"),
        (["transform", "x.csv", "x.csv"], "x.csv: not JSON"),
        (
            ["transform", "empty.json", "x.csv"],
            "empty.json: this scaler has not learnt",
        ),
        (["transform", "s.json", "y.csv"], "y.csv: there is no column 'a'"),
        (["transform", "s.json", "none.csv"], "none.csv: No such file or directory"),
        (["transform", "s.json", "inf.csv"], "inf.csv, row 1: Input X contains inf"),
    ],
)
def test_errors_are_one_line_that_names_what_is_wrong(arguments, problem, folder):
    write("inf.csv", "a,b\n1,2\n2,inf\n")
    write("text.csv", "a,b\n" + "1,2\n" * 600_000 + "1,x\n")
    write("x.txt", "1")
    write("y.csv", "b\n1\n")
    content = (folder / "x.parquet").read_bytes()
    (folder / "short.parquet").write_bytes(content[: len(content) // 2])
    skbn.save(BatchNormTransformer(), "empty.json")
    skbn.save(BatchNormTransformer().fit(TABLE.select(["a", "b"])), "s.json")
    before = names(folder)
    output = "out.json" if arguments[0] == "fit" else "out.csv"
    result = invoke(*arguments, "-o", output)

    assert result.exit_code == 1
    assert result.stderr.startswith(f"skbn: {problem}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert names(folder) == before


@pytest.mark.parametrize("rows", [0, 1, 600_000])
def test_a_cell_that_is_no_number_is_named_with_column_and_row(rows):
    """Whether pyarrow takes the column for text, or for numbers till it comes there."""
    write("text.csv", "a,b\n" + "1,2\n" * rows + "1,x\n")
    problem = invoke("fit", "text.csv", "-o", "s.json").stderr

    assert problem.startswith("skbn: text.csv: column 'b'")
    assert f"column 'b', row {rows}: invalid value 'x'" in problem
    assert problem.count("\n") == 1


@pytest.mark.parametrize(
    ("output", "code", "problem"),
    [
        ("missing/s.json", 1, "missing/s.json: there is no folder missing."),
        ("parts", 1, "parts: this is a folder, not a file."),
        ("new/", 1, "new/: this is a folder, not a file."),
        ("x.csv", 2, "x.csv is a name for data; a scaler is JSON, name it .json"),
        ("new.parquet", 2, "new.parquet is a name for data"),
    ],
)
def test_an_output_that_cannot_be_is_said_before_any_work(
    output, code, problem, monkeypatch, folder
):
    monkeypatch.setattr(data, "fit_stream", None)
    result = invoke("fit", "x.csv", "-o", output)

    assert result.exit_code == code
    assert problem in " ".join(result.stderr.replace("│", " ").split())
    assert names(folder) == BEFORE


def test_a_folder_that_cannot_be_written_to_is_said_before(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    result = invoke("fit", "x.csv", "-o", "s.json")

    assert (result.exit_code, result.stderr) == (
        1,
        "skbn: s.json: the folder . cannot be written to.\n",
    )


def test_a_warning_is_one_line():
    done("fit", "x.npy", "-o", "s.json")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        result = invoke("transform", "s.json", "x.csv", "-o", "z.csv", "-c", "a,b")

    assert result.stderr == (
        "skbn: warning: X has feature names, but BatchNormTransformer was fitted "
        "without feature names\n"
    )


# Completion and help


@pytest.mark.parametrize("command", ["fit", "transform", "inverse", "merge", "inspect"])
def test_help_has_examples_in_lines_of_their_own(command):
    lines = [line.strip() for line in done(command, "--help").stdout.splitlines()]

    assert any(line.startswith(f"skbn {command} ") for line in lines)
    assert max(map(len, lines)) <= 80


def test_engines_are_completed():
    environment = os.environ | {
        "_SKBN_COMPLETE": "complete_bash",
        "COMP_WORDS": "skbn fit x.csv --engine num",
        "COMP_CWORD": "4",
    }
    done = subprocess.run(
        COMMAND, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["numba", "numpy"]
    assert data.known("") == ["auto", "numba", "numpy"]
