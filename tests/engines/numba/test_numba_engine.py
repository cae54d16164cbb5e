"""What the Numba engine has beside the conformance of ``test_engines.py``."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel, delayed

import skbn
from skbn import BatchNormTransformer, engines, moments
from skbn.moments import Moments

pytest.importorskip("numba")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 7)) + 1e6


def test_a_merge_is_bit_for_bit_the_one_of_numpy():
    combine = engines.load("numba").combine
    for _ in range(50):
        values = RNG.normal(size=(2, 2, 5)) * 10.0 ** RNG.integers(-9, 9, (2, 1, 5))
        values[:, 1] **= 2
        left, right = (
            Moments((float(weight), 1e-18), (high, high * RNG.normal(size=5) * 1e-17))
            for weight, high in zip(RNG.integers(1, 99, 2), values, strict=True)
        )
        for between in (True, False):
            ours = combine(left, right, between=between)
            theirs = moments.combine(left, right, between=between)
            np.testing.assert_array_equal(ours.values, theirs.values)
            assert ours.weight == theirs.weight


def test_auto_takes_numba_once_it_is_compiled():
    assert engines.choose("auto", X) is engines.load("numpy")
    BatchNormTransformer(engine="numba").fit(X)
    assert engines.choose("auto", X) is engines.load("numba")
    assert engines.choose("auto", X, weighted=True) is engines.load("numpy")
    assert engines.choose("auto", X, mapping=True) is engines.load("numpy")
    assert engines.choose("auto", X.astype("f4")) is engines.load("numpy")


def test_auto_takes_numba_for_large_arrays():
    large = np.lib.stride_tricks.as_strided(X, (2**25, 1), (0, 8))
    assert engines.choose("auto", large[:-1]) is engines.load("numpy")
    assert engines.choose("auto", large) is engines.load("numba")


def test_without_numba_the_error_tells_how_to_get_it():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "import numpy as np\n"
        "from skbn import BatchNormTransformer\n"
        "BatchNormTransformer().fit(np.eye(3))\n"
        "BatchNormTransformer(engine='numba').fit(np.eye(3))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "pip install 'skbn[numba]'" in done.stderr.splitlines()[-1]


def fitted_mean(part):
    return BatchNormTransformer(engine="numba").fit(part).mean_


def test_from_many_threads_at_once():
    parts = [X + i for i in range(64)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(fitted_mean, parts))
    np.testing.assert_array_equal(together, [fitted_mean(part) for part in parts])


AFTER_A_FORK = """
import warnings
from multiprocessing import get_context
import numpy as np
from skbn import BatchNormTransformer

def mean(X):
    return BatchNormTransformer(engine="numba").fit(X).mean_

if __name__ == "__main__":
    # Large enough for several tasks, so that threads run before the fork.
    X = np.random.default_rng(0).normal(size=(300_000, 10))
    expected = mean(X)
    warnings.simplefilter("ignore")
    with get_context("fork").Pool(2) as pool:
        for found in pool.map(mean, [X, X]):
            np.testing.assert_array_equal(found, expected)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_after_a_fork(tmp_path):
    script = tmp_path / "fork.py"
    script.write_text(AFTER_A_FORK)
    environment = os.environ | {"PYTHONPATH": str(Path(skbn.__file__).parents[1])}
    subprocess.run([sys.executable, script], check=True, timeout=300, env=environment)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_inside_joblib(backend):
    means = Parallel(n_jobs=2, backend=backend)(
        delayed(fitted_mean)(X) for _ in range(4)
    )
    np.testing.assert_array_equal(means, [fitted_mean(X)] * 4)


def fitted_part(seed):
    """Large enough for several tasks, so that a worker's thread starts threads."""
    part = np.random.default_rng(seed).normal(size=(300_000, 10))
    return BatchNormTransformer(engine="numba", n_threads=2).fit(part)


def test_inside_dask_workers():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        fits = client.gather(client.map(fitted_part, range(4), pure=False))
    first, *rest = fits
    whole, *others = map(fitted_part, range(4))
    np.testing.assert_array_equal(first.merge(*rest).mean_, whole.merge(*others).mean_)


@pytest.mark.parametrize("trend", ["sorted", "steps", "late values", "outlier"])
def test_centres_that_were_guessed_badly(trend):
    n = 300_000
    x = RNG.normal(size=n)
    x = {
        "sorted": np.sort(x) + 1e9,
        "steps": x + np.repeat([0.0, 1e12, -3.0], n // 3),
        "late values": np.where(np.arange(n) < n // 2, 0.0, x + 1e7),
        "outlier": np.where(np.arange(n) == n - 5, 1e15, x),
    }[trend]
    ours = engines.load("numba").moments(x[:, None], n_threads=1)
    theirs = engines.load("numpy").moments(x[:, None], n_threads=1)
    assert ours.weight == theirs.weight == (n, 0.0)
    np.testing.assert_allclose(ours.mean[0], theirs.mean[0], rtol=1e-15)
    np.testing.assert_allclose(ours.variance[0], theirs.variance[0], rtol=2e-15)
