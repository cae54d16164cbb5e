"""What pyproject.toml says agrees with the files that say it again."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import skbn

ROOT = Path(__file__).parents[1]
USER_EXTRAS = {"cli", "dask", "dataframe", "files", "numba", "onnx", "plot", "torch"}
# What needs newer versions of NumPy and SciPy than the lowest that are supported.
NEWER_EXTRAS = {"reinforcement", "river"}


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_requirements(path: Path) -> list[Requirement]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_lowest_requirements_pin_every_floor(pyproject):
    project = pyproject["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *(r for e in USER_EXTRAS for r in extras[e])]
    floors = {r.name: str(r.specifier) for r in map(Requirement, declared)}

    pins = {
        r.name: str(r.specifier).replace("==", ">=")
        for r in read_requirements(ROOT / "tests" / "lowest-requirements.txt")
        if r.specifier
    }

    assert pins == floors


def test_every_extra_is_for_users_or_for_tests(pyproject):
    assert set(pyproject["project"]["optional-dependencies"]) == (
        USER_EXTRAS | NEWER_EXTRAS | {"bench", "test"}
    )


def test_version_heads_the_changelog():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(.+?)\]", changelog, flags=re.MULTILINE)
    assert releases[0] == skbn.__version__


def test_extras_named_in_texts_exist(pyproject):
    texts = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("skbn/**/*.py")]
    named = {
        extra.strip()
        for path in texts
        for extras in re.findall(
            r"(?:\bskbn|\"\.)\[([\w, -]+)\]", path.read_text(encoding="utf-8")
        )
        for extra in extras.split(",")
    }
    assert {"cli", "test"} <= named
    assert named <= set(pyproject["project"]["optional-dependencies"])


def test_ruff_is_the_same_everywhere(pyproject):
    (pin,) = (r for r in pyproject["dependency-groups"]["lint"] if "ruff" in r)
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    (revision,) = re.findall(r"/ruff-pre-commit\n +rev: v(\S+)", hooks)
    assert pin == f"ruff=={revision}"


def test_types_are_shipped():
    assert files("skbn").joinpath("py.typed").is_file()


def test_files_that_take_longest_are_there():
    """A name that is wrong would only let them come late."""
    tests = ROOT / "tests"
    settings = (tests / "conftest.py").read_text(encoding="utf-8")
    names = re.findall(r'^    "(.+\.py)",$', settings, flags=re.MULTILINE)
    assert names
    assert [name for name in names if not (tests / name).is_file()] == []
