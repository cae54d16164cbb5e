"""Properties: the same examples in every run, others and more in ``explore``."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
PROPERTIES = """
import json

from hypothesis import given
from hypothesis import strategies as st
from strategies import examples

seen = {"plain": [], "few": []}


@given(st.integers(0, 10**9))
def test_plain(number):
    seen["plain"].append(number)


@examples(20)
@given(st.integers(0, 10**9))
def test_few(number):
    seen["few"].append(number)


def test_what_was_seen():
    print("SEEN", json.dumps([list(map(f, seen.values())) for f in (len, sum)]))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run two properties in a process of their own: numbers of examples, and a sum."""
    folder = tmp_path_factory.mktemp("profiles")
    (folder / "test_properties.py").write_text(PROPERTIES, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
    for name in [n for n in environment if n.startswith("PYTEST_") or n == "CI"]:
        del environment[name]
    # Others take longer to import than all the rest.
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    plugins = ["-p", "_hypothesis_pytestplugin", "-p", "conftest"]

    def run(*options, **variables):
        command = [sys.executable, "-m", "pytest", "-s", *plugins, *options]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=True,
        )
        counts, sums = json.loads(re.search("SEEN (.*)", done.stdout)[1])
        return counts, sums, done.stdout

    return run


def test_examples_are_the_same_here_and_in_ci(run):
    counts, sums, header = run()
    assert counts == [100, 20]
    assert "--hypothesis-seed" not in header
    assert run(CI="true")[:2] == (counts, sums)


def test_explore_sees_ten_times_the_examples_of_a_seed_that_it_prints(run):
    counts, sums, header = run("--hypothesis-profile=explore")
    assert counts == [1000, 200]
    (seed,) = re.findall(r"--hypothesis-seed=\d+", header)
    again = run("--hypothesis-profile=explore", seed)
    assert again[:2] == (counts, sums)
    assert seed in again[2]
    assert run("--hypothesis-profile=explore")[1] != sums


def test_every_number_of_examples_follows_the_profile():
    for path in FOLDER.rglob("test_*.py"):
        if path != Path(__file__):
            text = path.read_text(encoding="utf-8")
            assert "max_examples" not in text, f"{path.name}: use strategies.examples"
