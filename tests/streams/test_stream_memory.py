"""Memory is bounded by a few batches, or row groups, whatever the size of the data."""

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import larger_than_memory
from skbn import BatchNormTransformer, fit_stream, transform_stream

COLUMNS, GROUP, GROUPS = 8, 8192, 40
GROUP_BYTES = 8 * COLUMNS * GROUP


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Two files of 20 MB in row groups of half a megabyte, and the same as .npy."""
    base = tmp_path_factory.mktemp("large")
    X = np.random.default_rng(0).random((GROUPS * GROUP, COLUMNS))
    table = pa.table([*X.T], names=[f"c{j}" for j in range(COLUMNS)])
    (base / "data").mkdir()
    for i in range(2):
        half = table.slice(i * GROUPS // 2 * GROUP, GROUPS // 2 * GROUP)
        pq.write_table(half, base / "data" / f"{i}.parquet", row_group_size=GROUP)
    np.save(base / "x.npy", X)
    return base


@contextmanager
def at_most(n_bytes):
    """Fail where Arrow, or NumPy, holds more at any moment."""
    before, pool = (
        pa.default_memory_pool(),
        pa.proxy_memory_pool(pa.system_memory_pool()),
    )
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        yield
        assert pool.max_memory() <= n_bytes
        assert tracemalloc.get_traced_memory()[1] <= n_bytes
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


def scaler():
    return BatchNormTransformer(engine="numpy")


@pytest.mark.parametrize("source", ["data", "x.npy"])
def test_fit(source, large):
    with at_most(8 * GROUP_BYTES):
        fit_stream(scaler(), large / source, batch_rows=GROUP)


@pytest.mark.parametrize("source", ["data", "x.npy"])
@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "npy"])
def test_transform(source, suffix, large, tmp_path, monkeypatch):
    monkeypatch.setattr("skbn.streams.transform.default_rows", lambda _n: GROUP)
    fitted = fit_stream(scaler(), large / source)
    with at_most(10 * GROUP_BYTES):
        transform_stream(fitted, large / source, tmp_path / f"z.{suffix}")


def test_the_script(monkeypatch, capsys):
    monkeypatch.setattr(larger_than_memory, "run", larger_than_memory.taken_by)
    monkeypatch.setattr(larger_than_memory, "GROUP_ROWS", 5000)
    options = ["--gigabytes", "0.01", "--rounds", "2"]
    assert larger_than_memory.main([*options, "--limit", "1e6"]) == 0
    printed = capsys.readouterr().out
    assert "of 1000000" in printed
    assert "fit / read" in printed
    assert larger_than_memory.main([*options, "--limit", "1"]) == 1
