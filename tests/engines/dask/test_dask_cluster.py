"""On a cluster of processes: the bits of one process, whoever works or dies."""

import contextlib
import logging
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skbn import BatchNormTransformer, threads

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.usefixtures("client"),
    # The answers to compare with are computed in this process.
    pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler"),
]

N_BLOCKS, ROWS = 24, 500
PARAMETERS = [{}, {"momentum": 0.1}, {"halflife": 700.0}]
parameters = pytest.mark.parametrize("parameters", PARAMETERS, ids=str)


@pytest.fixture(scope="module")
def client():
    cluster = distributed.LocalCluster(
        n_workers=3,  # two of which are killed
        threads_per_worker=1,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    )
    with distributed.Client(cluster) as client:
        yield client
    # One that is just coming back may not close in time; it ends with this process.
    with contextlib.suppress(TimeoutError):
        cluster.close(timeout=30)


def block(number, mark=None):
    """Rows of their own numbers; who makes the middle ones first is killed."""
    if mark is not None and number == N_BLOCKS // 2:
        try:
            Path(mark).touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    random = np.random.default_rng(number)
    return random.normal([0.0, number, 1e6, 1e12], size=(ROWS, 4))


def rows(mark=None):
    numbers = da.from_array(np.arange(N_BLOCKS)[:, None], chunks=(1, 1))
    return numbers.map_blocks(
        lambda n: block(int(n[0, 0]), mark),
        chunks=((ROWS,) * N_BLOCKS, (4,)),
        dtype=float,
        meta=np.empty((0, 0)),
    )


def table(mark=None):
    def partition(number):
        return pd.DataFrame(block(number, mark), columns=list("abcd"))

    return dd.from_map(partition, range(N_BLOCKS), meta=partition(0).iloc[:0])


def bits(scaler):
    return [scaler.mean_.tobytes(), scaler.var_.tobytes(), scaler.n_samples_seen_]


def alone(X, **parameters):
    with dask.config.set(scheduler="synchronous"):
        return bits(BatchNormTransformer(**parameters).fit(X))


@parameters
@pytest.mark.parametrize("kind", [rows, table])
def test_bits_do_not_depend_on_the_scheduler(kind, parameters):
    expected = alone(kind(), **parameters)
    assert bits(BatchNormTransformer(**parameters).fit(kind())) == expected
    for options in (
        {"scheduler": "threads", "num_workers": 1},
        {"scheduler": "threads", "num_workers": 3},
    ):
        with dask.config.set(options):
            assert bits(BatchNormTransformer(**parameters).fit(kind())) == expected


def test_bits_of_a_pool_of_processes():
    expected = alone(rows())
    with dask.config.set(scheduler="processes", num_workers=1):
        assert bits(BatchNormTransformer().fit(rows())) == expected


def test_images_come_from_the_workers():
    scaler = BatchNormTransformer().fit(rows())
    image = scaler.transform(rows())
    expected = scaler.transform(np.concatenate([block(n) for n in range(N_BLOCKS)]))
    np.testing.assert_array_equal(image.compute(), expected)
    np.testing.assert_array_equal(
        BatchNormTransformer().fit(table()).transform(table()).compute(), expected
    )


@pytest.mark.parametrize("kind", [rows, table])
def test_what_the_workers_hold(kind):
    held = kind().persist()
    assert bits(BatchNormTransformer().fit(held)) == alone(kind())


def test_errors_come_from_the_workers():
    bad = rows().map_blocks(
        lambda rows, block_id: rows + (np.inf if block_id[0] == 7 else 0.0),
        dtype=float,
        meta=np.empty((0, 0)),
    )
    with pytest.raises(ValueError, match=r"In block 7: .*\(feature 0, row 0\)"):
        BatchNormTransformer().fit(bad)


def test_workers_have_one_thread_each(client):
    assert client.submit(threads.effective_n_threads, None).result() == 1
    assert client.submit(threads.effective_n_threads, 3).result() == 3


def test_partial_fits_sent_by_hand(client):
    """What docs/clusters.md says of any engine."""
    parts = client.map(
        lambda n: BatchNormTransformer(engine="numpy").partial_fit(block(n)),
        range(N_BLOCKS),
    )
    first, *others = client.gather(parts)
    expected = BatchNormTransformer().fit(
        np.concatenate([block(n) for n in range(N_BLOCKS)])
    )
    merged = first.merge(*others)
    np.testing.assert_allclose(merged.mean_, expected.mean_, rtol=1e-15, atol=1e-17)
    np.testing.assert_allclose(merged.var_, expected.var_, rtol=1e-15)


# Last, since workers take a while to come back.


@pytest.mark.parametrize(
    ("kind", "parameters"), [(rows, {"halflife": 700.0}), (table, {"momentum": 0.1})]
)
def test_a_worker_that_dies_changes_no_bit(kind, parameters, tmp_path):
    mark = tmp_path / "killed"
    scaler = BatchNormTransformer(**parameters).fit(kind(str(mark)))
    assert mark.exists()
    assert bits(scaler) == alone(kind(), **parameters)
    assert scaler.n_batches_seen_ == N_BLOCKS
