"""Where figures were measured: machine, caches, load, versions, commit."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import joblib

# What every contender's figures rest on.
FOUNDATIONS = ("numpy", "scipy", "sklearn", "numba")
CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
# NumPy's BLAS takes older instructions where it is set, which slows some contenders.
SLOWS_DOWN = "OPENBLAS_CORETYPE"


def machine() -> dict[str, Any]:
    return {
        "cpu": cpu(),
        "cores": joblib.cpu_count(),
        "cache": cache(),
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


def cache() -> int | None:
    """Bytes of the largest cache of the processor; None where nothing tells."""
    files = [each.read_text("utf-8").strip() for each in CACHES.glob("index*/size")]
    sizes = [int(text[:-1]) * {"K": 2**10, "M": 2**20}[text[-1]] for text in files]
    if sys.platform == "darwin":
        for name in ("hw.l3cachesize", "hw.l2cachesize"):
            sizes += [int(text) for text in [output("sysctl", "-n", name)] if text]
    return max(sizes, default=None)


def ram() -> str:
    """The memory of the machine."""
    try:
        n_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # Windows
        return ""
    return f"{n_bytes / 2**30:.0f} GiB"


def load() -> float | None:
    """Processes that ran or waited, over the last minute; None on Windows."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def versions(modules: Iterable[str]) -> dict[str, str]:
    """Versions of the packages that hold these modules, and of what they rest on."""
    packages = packages_distributions()
    tops = dict.fromkeys(name.partition(".")[0] for name in (*FOUNDATIONS, *modules))
    found = {}
    for top in tops:
        if top in packages:
            found |= {name: version(name) for name in packages[top]}
        elif top not in FOUNDATIONS:
            # A file beside the benchmarks, or a checkout, is of no package.
            found[top] = str(getattr(sys.modules.get(top), "__version__", "unknown"))
    return found


def commit() -> str | None:
    """The commit that is checked out, or None where there is none."""
    return output("git", "rev-parse", "HEAD") or None


def output(*command: str) -> str:
    """What a command prints, or nothing if it fails."""
    try:
        folder = Path(__file__).parent
        done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.decode().strip()
