"""What is read once, from standard input or any binary file."""

import gzip
import io
import os
import threading

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from skbn import BatchNormTransformer, fit_stream, transform_stream
from skbn.state import to_document
from skbn.streams import pipes

N = 500
TABLE = pa.table(
    {
        "id": [f"r{i}" for i in range(N)],
        "whole": np.arange(N),
        "x": np.random.default_rng(0).normal(size=N),
    }
)
COLUMNS = ["whole", "x"]


def as_csv(table=TABLE):
    sink = io.BytesIO()
    csv.write_csv(table, sink)
    return sink.getvalue()


def as_ipc(kind, table=TABLE):
    sink = io.BytesIO()
    with getattr(pa.ipc, kind)(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=70)
    return sink.getvalue()


FORMS = {
    "CSV": as_csv(),
    "Arrow stream": as_ipc("new_stream"),
    "Arrow file": as_ipc("new_file"),
}
BY_FORM = pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)


class Drops(io.RawIOBase):
    """Some bytes at a time, as they come through a pipe."""

    def __init__(self, content, size):
        self.content, self.size, self.at = content, size, 0

    def readable(self):
        return True

    def readinto(self, buffer):
        part = self.content[self.at : self.at + min(self.size, len(buffer))]
        buffer[: len(part)] = part
        self.at += len(part)
        return len(part)


def learnt(source, **options):
    return to_document(
        fit_stream(BatchNormTransformer(), source, columns=COLUMNS, **options)
    )


@BY_FORM
@pytest.mark.parametrize("first", [40, 2**20])
@pytest.mark.parametrize("size", [7, 4096])
def test_a_pipe_is_learnt_as_the_table_is(content, first, size, monkeypatch):
    monkeypatch.setattr(pipes, "FIRST", first)

    assert learnt(Drops(content, size)) == learnt(TABLE)


@BY_FORM
def test_buffers_and_compressed_files_are_pipes(content, tmp_path):
    (tmp_path / "x.gz").write_bytes(gzip.compress(content))
    with gzip.open(tmp_path / "x.gz") as file:
        assert learnt(file) == learnt(TABLE)
    assert learnt(io.BytesIO(content)) == learnt(TABLE)


def test_whole_numbers_may_have_a_point_later(monkeypatch):
    monkeypatch.setattr(pipes, "FIRST", 30)
    lines = b"whole,x\n" + b"1,2\n" * 20 + b"1.5,2\n"

    assert fit_stream(BatchNormTransformer(), io.BytesIO(lines)).mean_[0] == 21.5 / 21


def test_a_pipe_of_the_system():
    reading, writing = os.pipe()

    def write():
        with os.fdopen(writing, "wb") as file:
            file.write(FORMS["CSV"])

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, "rb", buffering=0) as file:
        assert learnt(file) == learnt(TABLE)
    thread.join()


@BY_FORM
def test_from_pipe_to_pipe(content, tmp_path):
    scaler = fit_stream(BatchNormTransformer(), TABLE, columns=COLUMNS)
    out = io.BytesIO()
    transform_stream(scaler, io.BytesIO(content), out)
    (tmp_path / "x.csv").write_bytes(FORMS["CSV"])
    transform_stream(scaler, tmp_path / "x.csv", tmp_path / "z.csv")

    assert out.getvalue() == (tmp_path / "z.csv").read_bytes()


def test_columns_that_pass_through_stay_as_they_were_written():
    text = b'code,x\n007,1\n"0,10",2\n1e3,3\n'
    scaler = BatchNormTransformer().fit(pa.table({"x": [1.0, 3.0]}))
    out = io.BytesIO()
    transform_stream(scaler, io.BytesIO(text), out, columns=["x"])

    assert [line.rpartition(b",")[0] for line in out.getvalue().splitlines()] == [
        *(b'"code"', b'"007"', b'"0,10"', b'"1e3"')
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PAR1\x15\x04", "standard input: Parquet can be read from a file only"),
        (b"\x93NUMPY\x01\x00", r"standard input: \.npy can be read from a file only"),
        (b"", "standard input: Empty CSV"),
        (b"whole,x\n1,2\n3\n", "standard input: .*Row #3"),
        (b"whole,y\n1,2\n", "standard input: there is no column 'x'"),
        (b"whole,x\n1,a\n", "standard input: column 'x' holds string"),
        (FORMS["Arrow stream"][:2000], "standard input: "),
        (b"whole,x\n1,inf\n", "standard input, row 0: .*infinity.*'x'"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_it(content, problem):
    with pytest.raises(ValueError, match=problem):
        learnt(io.BytesIO(content))


def test_a_value_that_is_no_number_names_its_row(monkeypatch):
    monkeypatch.setattr(pipes, "FIRST", 20)
    content = b"whole,x\n" + b"1,2\n" * 50 + b"1,a\n"
    with pytest.raises(ValueError, match=r"standard input: column 'x', row 50: .*'a'"):
        learnt(io.BytesIO(content))


def test_files_are_called_by_their_name(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"whole,y\n1,2\n")
    with (
        (tmp_path / "x.txt").open("rb") as file,
        pytest.raises(ValueError, match=r"x\.txt: there is no column 'x'"),
    ):
        learnt(file)
