"""Where figures were measured: machine, versions, commit."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import joblib

PACKAGES = (
    *("skbn", "numpy", "scipy", "scikit-learn", "numba", "scikit-learn-intelex"),
    *("polars", "torch", "river", "pandas", "dask-ml", "ondil"),
)
# NumPy's BLAS takes older instructions where it is set, which slows some contenders.
SLOWS_DOWN = "OPENBLAS_CORETYPE"


def machine() -> dict[str, str | int]:
    return {
        "cpu": cpu(),
        "cores": joblib.cpu_count(),
        "ram": ram(),
        "os": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def cpu() -> str:
    """The model of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def ram() -> str:
    """The memory of the machine."""
    try:
        n_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # Windows
        return ""
    return f"{n_bytes / 2**30:.0f} GiB"


def versions() -> dict[str, str]:
    """Versions of the contenders that are installed, and of what they rest on."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit that is checked out, or None where there is none."""
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else None
