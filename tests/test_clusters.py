"""The examples of docs/clusters.md run as they stand, each as a script."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "clusters.md"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "<!-- not run by the tests -->"


def examples():
    text = PAGE.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        before = text[: found.start()].rstrip()
        yield found.group(1), before.endswith(MARK)


RUN = [code for code, marked in examples() if not marked]
MARKED = [code for code, marked in examples() if marked]


@pytest.mark.parametrize("number", range(len(RUN)))
def test_example_runs(number, tmp_path):
    for needed in re.findall(r"^import (\w+)", RUN[number], re.MULTILINE):
        pytest.importorskip(needed)
    script = tmp_path / "example.py"
    script.write_text(RUN[number], encoding="utf-8")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        # For Spark: not the name of this machine, which may take long to look up.
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_HOSTNAME": "localhost",
        "PYSPARK_PYTHON": sys.executable,
    }
    command = [sys.executable, "-W", "error"]
    for theirs in (
        "PySpark does not yet fully support pandas",
        "distutils Version classes are deprecated",
    ):
        command += ["-W", f"ignore:{theirs}"]
    subprocess.run([*command, script], check=True, timeout=300, env=environment)


def test_only_engines_that_are_not_installed_are_marked():
    assert len(RUN) == 4
    assert [re.search(r"import (ray|apache_beam)", code)[1] for code in MARKED] == [
        "ray",
        "apache_beam",
    ]
    for code in MARKED:
        compile(code, PAGE, "exec")
