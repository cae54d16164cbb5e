"""Settings for all tests."""

import os

import hypothesis

# SciPy reads it when it is imported; scikit-learn skips one of its checks without it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

hypothesis.settings.register_profile(
    "skbn",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("skbn")
