"""asv.conf.json holds what asv knows, and what asv reads rightly."""

import json
import re
import tomllib
from pathlib import Path

import pytest

pytest.importorskip("asv")

from asv.config import Config
from asv.util import load_json

ROOT = Path(__file__).parents[2]
FILE = ROOT / "asv.conf.json"
# Read by asv, but no attribute of a new Config.
WITHOUT_DEFAULT = {"version", "build_cache_size"}
REQUIREMENTS = {"pip+asv_runner", "numpy", "scipy", "scikit-learn", "numba"}


@pytest.fixture
def content():
    return load_json(str(FILE), js_comments=True)


def test_asv_loads_it():
    config = Config.load(str(FILE))
    assert (config.project, config.repo) == ("skbn", ".")


def test_asv_knows_every_key(content):
    assert set(content) <= set(vars(Config())) | WITHOUT_DEFAULT


def test_the_matrix_has_no_other_kinds(content):
    assert set(content["matrix"]) <= {"req", "env", "env_nobuild"}


def test_pins_are_plain_and_exact(content):
    """One version each, a number; asv would not read ranges or extras rightly."""
    pins = content["matrix"]["req"]
    # A contender's own package is one more.
    assert set(pins) >= REQUIREMENTS
    for name, versions in pins.items():
        assert re.fullmatch(r"(pip\+)?[A-Za-z0-9_-]+", name)
        assert len(versions) == 1
        assert re.fullmatch(r"\d+(\.\d+)+", versions[0])


def test_requirements_of_the_build_are_plain():
    """asv installs these, too, as they are written."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    for requirement in pyproject["build-system"]["requires"]:
        assert re.fullmatch(r"[A-Za-z0-9_-]+>=\d+(\.\d+)*", requirement)


def test_no_dependency_is_installed_with_the_package(content):
    """A second wheel in asv's cache would be an error."""
    for command in (*content["build_command"], *content["install_command"]):
        assert "--no-deps" in command.split()


def test_what_asv_writes_is_ignored_by_git(content):
    folders = {content[key] for key in ("env_dir", "results_dir", "html_dir")}
    assert {folder.split("/")[0] for folder in folders} == {".asv"}
    assert "/.asv/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_no_regressions_where_larger_is_better(content):
    (pattern,) = (
        k for k, v in content["regressions_first_commits"].items() if v is None
    )
    names = [
        "ratios.AgainstStandardScaler.track_ratio",
        "ratios.AgainstMemory.track_share(fit)",
        "accuracy.Statistics.track_digits",
        "accuracy.Values.track_value_digits",
    ]
    assert all(re.match(pattern, name) for name in names)
    assert not re.match(pattern, "scaling.GrowingRows.track_cost")


def test_it_is_json_but_for_comments():
    lines = FILE.read_text("utf-8").splitlines()
    plain = [line for line in lines if not line.lstrip().startswith("//")]
    assert json.loads("\n".join(plain))["version"] == 1
