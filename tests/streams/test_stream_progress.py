import io
import sys

import numpy as np
import pytest

from skbn import BatchNormTransformer, fit_stream, transform_stream
from skbn.streams import progress
from skbn.streams.progress import Lines, per_second

X = np.random.default_rng(0).random((1000, 2))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(monkeypatch, stderr, asked, source=X):
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    fit_stream(BatchNormTransformer(), source, batch_rows=100, progress=asked)
    return stderr.getvalue()


def test_lines(monkeypatch):
    monkeypatch.setattr(progress, "PAUSE", 0.0)
    lines = shown(monkeypatch, io.StringIO(), True).splitlines()
    assert len(lines) == 11
    assert lines[4].startswith("the ndarray: 500 of 1,000 rows, ")
    assert lines[4].endswith(" s left")
    assert " rows/s, " in lines[4]


def test_a_line_at_the_end_alone_where_it_is_quick(monkeypatch):
    (line,) = shown(monkeypatch, io.StringIO(), True, iter([X])).splitlines()
    assert line.startswith("the list_iterator: 1,000 rows, ")
    assert "left" not in line


def test_a_bar_on_a_terminal(monkeypatch):
    pytest.importorskip("rich")
    text = shown(monkeypatch, Terminal(), True)
    assert "1,000 rows" in text
    assert "rows/s" in text


def test_a_terminal_without_rich(monkeypatch):
    monkeypatch.setattr(progress, "find_spec", lambda _name: None)
    assert shown(monkeypatch, Terminal(), True).startswith("the ndarray: 1,000 of")


@pytest.mark.parametrize("asked", [False, "auto"])
def test_nothing(monkeypatch, asked):
    assert shown(monkeypatch, io.StringIO(), asked) == ""


def test_auto_is_for_terminals(monkeypatch):
    assert "1,000" in shown(monkeypatch, Terminal(), "auto")


def test_transform(capsys, tmp_path):
    scaler = BatchNormTransformer().fit(X)
    transform_stream(scaler, X, tmp_path / "z.npy", progress=True)
    assert "1,000 of 1,000 rows" in capsys.readouterr().err


def test_time_left_counts_what_was_done_before():
    lines = Lines("x", 100, 60)
    lines.rows = 10
    assert lines.line(2.0) == "x: 70 of 100 rows, 5 rows/s, 6 s left"
    assert per_second(0, 2.0) == per_second(3, 0.0) == ""
