"""Kernels compiled ahead, and where they are kept."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import skbn
from skbn.compile import WORK, compile_kernels, main

pytest.importorskip("numba")

COMMAND = "-m", "skbn.compile"
QUICK = "float32", "--work", "transform"
# How many kernels were found on the disk.
HITS = (
    "-c",
    (
        "from skbn.compile import compile_kernels\n"
        "from skbn.engines.numba.maps import any_infinity, map_rows\n"
        "list(compile_kernels(['float32'], ['transform']))\n"
        "print(sum(sum(k.stats.cache_hits.values()) for k in (any_infinity, map_rows)))"
    ),
)


def run(*arguments, **variables):
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment | {k: str(v) for k, v in variables.items()},
        cwd=variables.get("PYTHONPATH"),  # before which nothing is found
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_kind_of_work_is_told():
    told = [(dtype, work) for dtype, work, _ in compile_kernels()]
    assert told == [("float64", work) for work in WORK]
    told = [dtype for dtype, _, _ in compile_kernels(["f8", "f4"], ["transform"])]
    assert told == ["float64", "float32"]


def test_the_command_says_where(capsys):
    main(["--work", "transform"])
    out = capsys.readouterr().out
    assert "float64  transform" in out
    assert "Kept in " in out


@pytest.mark.parametrize("dtype", ["complex", "object", "nonsense"])
def test_what_is_not_real_is_refused(dtype, capsys):
    with pytest.raises(ValueError, match=f"dtype='{dtype}'"):
        next(compile_kernels([dtype]))
    with pytest.raises(SystemExit) as error:
        main([dtype])
    assert error.value.code == 2
    assert dtype in capsys.readouterr().err


def test_other_work_is_refused():
    with pytest.raises(ValueError, match="work='nonsense'"):
        next(compile_kernels(work=["nonsense"]))


def test_several_processes_at_once(tmp_path):
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(run, *COMMAND, *QUICK, NUMBA_CACHE_DIR=tmp_path)
            for _ in range(2)
        ]
        for process in runs:
            assert f"Kept in {tmp_path}" in process.result()
    assert run(*HITS, NUMBA_CACHE_DIR=tmp_path).strip() == "2"


@pytest.fixture(scope="module")
def read_only(tmp_path_factory):
    """A folder with the package, beside whose sources nothing can be written.

    For root too: where the folders for what is compiled would be, there are files.
    """
    folder = tmp_path_factory.mktemp("site-packages")
    source = Path(skbn.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, folder / "skbn", ignore=ignored)
    for part in [path for path in (folder / "skbn").rglob("*") if path.is_dir()]:
        (part / "__pycache__").touch()
    return folder


def test_read_only_packages_are_kept_in_the_users_cache(read_only, tmp_path):
    places = {"PYTHONPATH": read_only, "XDG_CACHE_HOME": tmp_path}
    assert f"Kept in {tmp_path}" in run(*COMMAND, *QUICK, **places)
    assert list((tmp_path / "skbn").glob("*.compiled"))
    assert run(*HITS, **places).strip() == "2"


def test_with_nowhere_to_write_they_are_compiled_each_time(read_only, tmp_path):
    (tmp_path / "file").touch()
    places = {"PYTHONPATH": read_only, "XDG_CACHE_HOME": tmp_path / "file"}
    assert "Not kept" in run(*COMMAND, *QUICK, **places, HOME=tmp_path / "file")
