"""What ``engine="auto"`` computes with, and what that does to the last bits."""

import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from skbn import BatchNormTransformer
from skbn.engines import auto
from skbn.engines.auto import expecting, use_numba

KIND = "moments", np.dtype(np.float64)


def test_numpy_is_never_numba():
    assert not use_numba("numpy", KIND, 2**60, 1)


def test_by_name_whatever_the_size():
    pytest.importorskip("numba")
    assert use_numba("numba", KIND, 1, 2**60)


@pytest.mark.parametrize("name", ["auto", "dataframe"])
def test_auto_buys_for_large_work_and_keeps_it(name):
    pytest.importorskip("numba")
    assert not use_numba(name, KIND, 99, 100)
    assert use_numba(name, KIND, 100, 100)
    assert use_numba(name, KIND, 1, 100)
    assert not use_numba(name, ("map", KIND[1]), 99, 100)


def test_without_numba_auto_is_numpy(monkeypatch):
    monkeypatch.setattr(auto, "find_spec", lambda _: None)
    assert not use_numba("auto", KIND, 2**60, 1)


def calls_until_bought(n_values):
    return next(i for i in range(100) if use_numba("auto", KIND, n_values, 2**60))


@pytest.fixture
def prices(monkeypatch, tmp_path):
    """Small prices, and a cache of its own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    for name, price in {"LOAD": 40, "COMPILE": 200, "CALL": 1}.items():
        monkeypatch.setattr(auto, name, price)


@pytest.mark.usefixtures("prices")
def test_a_stream_pays_the_compiler_and_later_ones_the_load():
    pytest.importorskip("numba")
    assert calls_until_bought(9) == 19  # the 20th call has paid 200
    auto.forget_compiled()  # a new process
    assert calls_until_bought(9) == 3
    assert use_numba("auto", KIND, 1, 2**60)
    assert not use_numba("auto", ("weighted", KIND[1]), 9, 2**60)


@pytest.mark.usefixtures("prices")
def test_what_is_known_to_come_is_bought_at_once():
    pytest.importorskip("numba")
    with expecting(199):
        assert not use_numba("auto", KIND, 1, 2**60)
    with expecting(200):
        assert use_numba("auto", KIND, 1, 2**60)


@pytest.mark.usefixtures("prices")
def test_an_interrupted_way_buys_where_the_whole_way_does():
    pytest.importorskip("numba")
    with expecting(150):
        assert not any(use_numba("auto", KIND, 9, 2**60) for _ in range(15))


@pytest.mark.usefixtures("prices")
def test_sources_that_changed_are_compiled_anew():
    pytest.importorskip("numba")
    calls_until_bought(9)
    mark = auto._marks(KIND)[0]
    assert mark.exists()
    mark.rename(mark.with_name(mark.name.replace("-1", "-0", 1)))
    auto.forget_compiled()
    assert calls_until_bought(9) == 19


def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    pytest.importorskip("numba")
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert use_numba("auto", KIND, 100, 100)


BITS = """
import numpy as np
from skbn import BatchNormTransformer

X = np.random.default_rng(0).normal(size=(999, 40)) + 0.1
unrelated = np.random.default_rng(1).normal(size=(7, 3))

def bits(name):
    scaler = BatchNormTransformer(engine=name).fit(X)
    return scaler.mean_.tobytes() + scaler.var_.tobytes()

first, numpy = bits("auto"), bits("numpy")
assert first == numpy
BatchNormTransformer(engine="numba").fit(unrelated)
later, numba = bits("auto"), bits("numba")
assert later == numba
assert bits("numpy") == numpy
a, b = (np.frombuffer(x) for x in (numpy, numba))
np.testing.assert_allclose(a, b, rtol=1e-15)
"""


def test_an_unrelated_fit_changes_what_auto_takes():
    """In a process of its own: no fixture forgets what is compiled there.

    A named engine gives the same bits before and after; "auto" gives those of the
    engine that it takes.
    """
    pytest.importorskip("numba")
    done = subprocess.run(
        [sys.executable, "-c", BITS],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(find_spec("numba") is None, reason="needs numba")
def test_the_fixture_forgets():
    """Each test begins as a new process does, whatever ran before."""
    assert not auto._compiled
    BatchNormTransformer(engine="numba").fit(np.eye(3))
    assert auto._compiled
