"""Settings for all tests."""

import gc
import os
import secrets
import sys
import zlib
from importlib.util import find_spec

import hypothesis
import joblib
import numpy as np
import pytest

# SciPy reads it when it is imported; scikit-learn skips one of its checks without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Workers, which begin with it, are as many as the cores: threads of BLAS and OpenMP
# beside them would turn, and wait for one another.
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

# What every run sees, anywhere: the same examples.
hypothesis.settings.register_profile(
    "skbn",
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("skbn")
# Others, and ten times as many: strategies.examples counts by this number.
hypothesis.settings.register_profile("explore", max_examples=1000, derandomize=False)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """All cores for the whole suite; a part of it runs sooner than workers start."""
    option = config.option
    is_part = option.keyword or config.args_source is not config.ArgsSource.TESTPATHS
    is_watched = option.capture == "no" or option.trace
    return 0 if is_part or is_watched else min(joblib.cpu_count(), 8)


# Files that take longest come first, so that none is left to one core at the end. Two
# of them compile most kernels, of sparse and of dense data: so the others, and new
# processes that tests start, find these on the disk.
LONGEST = [
    "engines/sparse/test_sparse_engine.py",
    "engines/test_engines.py",
    "harness/test_benchmarks.py",
    "harness/test_guard.py",
    "engines/dask/test_dask_cluster.py",
    "harness/test_benchmarks_command.py",
    "test_compile.py",
    "engines/array_api/test_array_api_engine.py",
    "laws/test_merge.py",
    "laws/test_accuracy.py",
    "harness/test_dashboard.py",
    "harness/test_dashboard_browser.py",
    "cli/test_data.py",
]


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Importing the libraries makes millions of objects, and hardly any garbage.

    By the threshold: Dask looks at its import whether collecting is enabled, and leaves
    it so after every slice.
    """
    threshold = gc.get_threshold()
    gc.set_threshold(0)
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(*threshold)


def pytest_collection_modifyitems(config, items):
    places = {config.rootpath / "tests" / name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def explores(config):
    return config.getoption("--hypothesis-profile", None) == "explore"


@pytest.hookimpl(tryfirst=True)  # Hypothesis reads the seed in this hook, too
def pytest_configure(config):
    if explores(config) and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(secrets.randbits(32))
    # Its examples need what it imports, and there are machines without.
    if find_spec("torch") is None:
        ignored = config.option.ignore or []
        config.option.ignore = [*ignored, str(config.rootpath / "skbn" / "torch.py")]


def pytest_report_header(config):
    if explores(config):
        return f"examples: --hypothesis-seed={config.option.hypothesis_seed}"
    return None


@pytest.fixture(autouse=True)
def _own_random_numbers(request):
    """A test's numbers do not depend on the tests before it in its process."""
    seed = zlib.crc32(request.node.nodeid.encode())
    state = np.random.default_rng(seed).bit_generator.state
    for module in (
        getattr(request.node, "module", None),
        sys.modules.get("sparse_data"),
    ):
        generator = getattr(module, "RNG", None)
        if generator is not None:
            generator.bit_generator.state = state


@pytest.fixture(autouse=True)
def _nothing_compiled():
    """``engine="auto"`` picks as in a new process, whatever tests ran before.

    It takes Numba once that is compiled, whose results differ in the last bit.
    """
    # Not imported above: that would import SciPy.
    auto = sys.modules.get("skbn.engines.auto")
    if auto is not None:
        auto.forget_compiled()


# A small history that asv has measured, and the pages of it: for the dashboards' tests.


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    import asv_toys

    for name in asv_toys.NEEDS:
        pytest.importorskip(name)
    return tmp_path_factory.mktemp("dashboard")


@pytest.fixture(scope="session")
def site(base):
    import asv_toys

    return asv_toys.published(base)


@pytest.fixture
def results(base):
    import asv_toys

    return asv_toys.measured_repository(base) / ".asv" / "results"


# Spark, where it is installed: with SPARK_REMOTE in the environment a session of Spark
# Connect, on a server of its own.


@pytest.fixture(scope="session")
def spark():
    sql = pytest.importorskip("pyspark.sql")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    # Not the name of this machine, which may take long to look up.
    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost"}
    builder = sql.SparkSession.builder
    if "SPARK_REMOTE" not in os.environ:
        # A task may fail, as on a cluster: a worker that is killed is replaced.
        builder = builder.master("local[2,3]").config("spark.ui.enabled", "false")
        builder = builder.config("spark.ui.showConsoleProgress", "false")
    session = builder.config("spark.sql.shuffle.partitions", 4).getOrCreate()
    yield session
    session.stop()
