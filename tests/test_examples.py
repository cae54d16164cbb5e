"""Every example runs, without a screen and without a warning."""

import runpy
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

FOLDER = Path(__file__).parents[1] / "examples"
ACCURACY = FOLDER / "accuracy_by_offset.py"
# Spark has an environment of its own: test_spark.py runs its example.
OTHERS = sorted(set(FOLDER.glob("*.py")) - {ACCURACY, FOLDER / "spark_pipeline.py"})
# Those that show an extra which is not there for the lowest supported versions.
NEEDS = {"plot_reinforcement": "stable_baselines3", "river_stream": "river"}


@pytest.fixture(autouse=True)
def no_screen():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.mark.parametrize("example", OTHERS, ids=lambda path: path.stem)
def test_example_runs(example, monkeypatch, tmp_path):
    pytest.importorskip(NEEDS.get(example.stem, "skbn"))
    figure = tmp_path / "figure.png"
    monkeypatch.setattr(sys, "argv", [str(example), str(figure)])
    try:
        runpy.run_path(str(example), run_name="__main__")
    except ModuleNotFoundError as error:
        pytest.skip(f"needs {error.name}")

    assert figure.exists() == example.stem.startswith("plot_")


def test_accuracy_by_offset(capsys):
    runpy.run_path(str(ACCURACY))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    worst = {
        name: max(float(value) for _, scaler, _, value, _ in lines if scaler == name)
        for name in ("BatchNormTransformer", "StandardScaler")
    }

    assert worst["BatchNormTransformer"] < 1e-15
    assert worst["StandardScaler"] > 1
