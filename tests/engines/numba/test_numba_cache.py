"""Compiled code on disk, and processes that save theirs at the same time."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import skbn

pytest.importorskip("numba")

from skbn.engines.numba.jit import SignatureFiles
from skbn.engines.numba.maps import any_infinity

STAGES = ["_save_data", "_load_index", "_save_index"]


def two(folder):
    return [SignatureFiles(str(folder), "kernel", ("stamp", 1)) for _ in range(2)]


def interrupted(first, stage, second, *, before):
    """Save with the first files; at a stage the second ones save something else."""
    original = getattr(first, stage)

    def step(*arguments):
        setattr(first, stage, original)
        if before:
            second.save("two", "code of two")
            return original(*arguments)
        done = original(*arguments)
        second.save("two", "code of two")
        return done

    setattr(first, stage, step)
    first.save("one", "code of one")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("before", [True, False])
def test_no_code_comes_under_another_name(tmp_path, stage, before):
    first, second = two(tmp_path)
    interrupted(first, stage, second, before=before)
    found = [first.load(key) for key in ("one", "two")]
    assert found[0] in ("code of one", None)
    assert found[1] in ("code of two", None)
    assert any(found)


def test_what_is_saved_is_found_by_another(tmp_path):
    first, second = two(tmp_path)
    for key in ("one", "two"):
        first.save(key, f"code of {key}")
    first.save("one", "code of one, again")
    assert second.load("one") == "code of one, again"
    assert second.load("two") == "code of two"
    assert second.load("three") is None


def test_kernels_save_so():
    assert isinstance(any_infinity._cache._cache_file, SignatureFiles)


def test_kernels_are_compiled_anew_once_what_they_call_has_changed(tmp_path):
    package = tmp_path / "skbn"
    shutil.copytree(
        Path(skbn.__file__).parent,
        package,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    code = (
        "import numpy as np\n"
        "from skbn.engines.numba.transform import scaling\n"
        "of = np.array([4.0]), np.array([4.0])\n"
        "print(*scaling(*of, 5, with_mean=True, epsilon=0.0)[1])\n"
    )
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }

    def scale():
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        return float(done.stdout)

    assert scale() == 2.0
    called = package / "constant_features.py"
    text = called.read_text()
    changed = text.replace("& (mean == mean)", "| (mean == mean)")
    assert changed != text
    called.write_text(changed)
    assert scale() == 1.0


def test_another_process_need_not_compile(tmp_path):
    code = (
        "import numpy as np\n"
        "from skbn.engines.numba.maps import any_infinity\n"
        "for kind in ('f8', 'f4'):\n"
        "    any_infinity(np.ones(3, kind), 3, 1, 3)\n"
        "print(sum(any_infinity.stats.cache_hits.values()))\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    hits = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert hits == ["0", "2"]
