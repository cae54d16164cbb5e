"""Settings for all tests."""

import os

import hypothesis
import pytest

from skbn.engines import choice

# SciPy reads it when it is imported; scikit-learn skips one of its checks without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

hypothesis.settings.register_profile(
    "skbn",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("skbn")


@pytest.fixture(autouse=True)
def _nothing_compiled():
    """``engine="auto"`` picks as in a new process, whatever tests ran before.

    It takes Numba once that is compiled, whose results differ in the last bit.
    """
    choice.forget_compiled()


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
