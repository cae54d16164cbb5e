"""One entry makes a contender, and a wrong answer is caught wherever it is given."""

import ast
import re
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import contenders, first_calls, operations, quick, record, validation
from benchmarks.answers import WrongAnswerError
from benchmarks.contenders import ABILITIES, BASELINE, CONTENDERS, Contender
from benchmarks.workloads import PROFILES, WORKLOADS, Workload

README = Path(contenders.__file__).with_name("README.md").read_text("utf-8")
MATRIX = Workload(300, 4)
STREAM = Workload(30, 4, batches=5)
OPERATIONS = [
    operations.Fit,
    operations.PartialFit,
    operations.Transform,
    operations.TransformBatches,
    operations.TransformInPlace,
    operations.Inverse,
    operations.FitTransformInPipeline,
    operations.FitTransformBatches,
    operations.Stream,
]
STREAMING = {
    *(operations.PartialFit, operations.TransformBatches),
    *(operations.FitTransformBatches, operations.Stream),
}


def of_readme(mark):
    return re.search(rf"<!-- test: {mark} -->\n\n```python\n(.*?)```", README, re.S)[1]


def operate(operation, contender):
    """Run it once and check the answer."""
    data = (STREAM if operation in STREAMING else MATRIX).make()
    ready = operation(contender, data)
    ready.renew()
    ready.run()
    return ready.check()


class WrongMean(StandardScaler):
    @property
    def mean_(self):
        return self.__dict__["mean_"] + 1e-9

    @mean_.setter
    def mean_(self, mean):
        self.__dict__["mean_"] = mean


class DividesByNLess1(StandardScaler):
    def partial_fit(self, X, y=None, sample_weight=None):
        super().partial_fit(X, y, sample_weight)
        self.var_ = np.var(X, axis=0, ddof=1)
        return self


class DropsTheLastRow(StandardScaler):
    def partial_fit(self, X, y=None, sample_weight=None):
        return super().partial_fit(X[:-1], y)


class ForgetsABatch(StandardScaler):
    def partial_fit(self, X, y=None, sample_weight=None):
        if getattr(self, "n_samples_seen_", 0) == 3 * STREAM.rows:
            return self
        return super().partial_fit(X, y)


class SkipsOneRow(StandardScaler):
    def transform(self, X, copy=None):
        image = super().transform(X, copy)
        image[len(X) // 2] = X[len(X) // 2]
        return image


class CopiesAlways(StandardScaler):
    def transform(self, X, copy=None):
        return super().transform(X, copy=True)


class InvertsToZero(StandardScaler):
    def inverse_transform(self, X, copy=None):
        return np.zeros_like(X)


IN_PLACE, INVERSE = operations.TransformInPlace, operations.Inverse
MAPPING = {
    *(operations.Transform, operations.TransformBatches, IN_PLACE),
    *(operations.FitTransformInPipeline, operations.Stream),
    operations.FitTransformBatches,
}
LEARNING = {
    *(operations.Fit, operations.PartialFit),
    *(operations.FitTransformInPipeline, operations.Stream),
    operations.FitTransformBatches,
}
LIARS = {
    WrongMean: {*OPERATIONS},
    DividesByNLess1: LEARNING,
    DropsTheLastRow: LEARNING,
    ForgetsABatch: {
        *(operations.PartialFit, operations.FitTransformBatches, operations.Stream)
    },
    SkipsOneRow: MAPPING - {IN_PLACE},
    CopiesAlways: {IN_PLACE},
    InvertsToZero: {INVERSE},
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_right_answers_pass(operation):
    operate(operation, Contender("right", "sklearn.preprocessing", "StandardScaler"))


@pytest.mark.parametrize(
    ("liar", "operation"),
    chain.from_iterable(
        ((liar, op) for op in OPERATIONS if op in ops) for liar, ops in LIARS.items()
    ),
    ids=lambda each: each.__name__,
)
def test_wrong_answers_are_caught(liar, operation):
    contender = Contender("liar", __name__, lambda: contenders.Adapter(liar()))
    with pytest.raises(WrongAnswerError, match="liar"):
        operate(operation, contender)


def test_asv_is_told_of_a_wrong_answer(monkeypatch):
    """What tears down a benchmark fails, so asv records no time."""
    from benchmarks.fit import FitMatrix

    liar = Contender("liar", "sklearn", lambda: contenders.Adapter(DropsTheLastRow()))
    monkeypatch.setattr(contenders, "CONTENDERS", [*CONTENDERS, liar])
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    label = WORKLOADS["dense"].at(quick.profile()).label
    benchmark = FitMatrix()
    benchmark.setup(label, "liar")
    benchmark.time_fit(label, "liar")
    with pytest.raises(WrongAnswerError):
        benchmark.teardown(label, "liar")


def test_the_quick_run_tells_of_a_wrong_answer(monkeypatch):
    liar = Contender("liar", "sklearn", lambda: contenders.Adapter(DropsTheLastRow()))
    monkeypatch.setattr(contenders, "CONTENDERS", [*CONTENDERS, liar])
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    results = list(quick.run(quick.chosen(["fit uint8"]), ["liar"]))

    assert [result.contender for result in results] == ["StandardScaler", "liar"]
    baseline, wrong = results
    assert (wrong.outcome, wrong.seconds, wrong.ratio) == ("wrong", None, None)
    assert wrong.note.startswith("wrong answer: liar, ")
    assert not baseline.outcome
    assert baseline.seconds > 0


def test_one_entry_is_in_every_benchmark(monkeypatch, tmp_path):
    """The README's example, in all that its class can do."""
    discovery = pytest.importorskip("asv_runner.discovery")
    (tmp_path / "running_scaler.py").write_text(of_readme("module"), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    saved = {n: m for n, m in sys.modules.items() if n.split(".")[0] == "benchmarks"}
    for name in saved:
        monkeypatch.delitem(sys.modules, name)
    from benchmarks import contenders as fresh

    entry = eval(of_readme("entry"), vars(fresh))
    fresh.CONTENDERS.append(entry)
    monkeypatch.setattr(entry.__class__, "missing", [])
    try:
        listing = {
            benchmark.name: benchmark._params[-1]
            for benchmark in discovery.disc_benchmarks("benchmarks")
        }
    finally:
        for name in [n for n in sys.modules if n.split(".")[0] == "benchmarks"]:
            del sys.modules[name]
        sys.modules.update(saved)

    assert {name for name, names in listing.items() if "running" in names} == {
        "accuracy.Statistics.track_digits",
        "accuracy.Values.track_value_digits",
        "partial_fit.PartialFitStream.time_partial_fit",
        "ratios.AgainstStandardScaler.track_ratio",
        "stream.StreamIntoClassifier.time_stream",
        "transform.TransformMatrix.time_transform",
        "transform.TransformStream.time_transform",
    }


def test_the_example_takes_part(monkeypatch, tmp_path):
    (tmp_path / "running_scaler.py").write_text(of_readme("module"), "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    entry = eval(of_readme("entry"), vars(contenders))
    monkeypatch.setattr(contenders, "CONTENDERS", [*CONTENDERS, entry])
    rows = quick.chosen(
        ["fit float64 400x100", "partial_fit *", "transform *", "stream*"]
    )
    results = [r for r in quick.run(rows, ["running"]) if r.contender == "running"]

    assert not [result.note for result in results if result.note]
    groups = [result.group for result in results]
    assert set(groups) == {"partial_fit", "transform", "stream"}
    assert groups.count("partial_fit") == 4
    sys.modules.pop("running_scaler")


def test_an_entry_can_do_everything():
    """What is said of one that can do all holds in every benchmark."""
    everything = Contender("all", "sklearn.preprocessing", "StandardScaler")
    assert everything.can == ABILITIES
    assert everything.installed


def test_entries():
    names = [each.name for each in CONTENDERS]
    assert len(set(names)) == len(names)
    assert {"skbn-numba", "skbn-numpy", "StandardScaler"} <= set(contenders.names())
    assert {"oneDAL", "polars", "torch", "River", "dask-ml", "ondil"} <= set(names)
    for each in CONTENDERS:
        assert each.can <= ABILITIES
        assert each.averages in {"rows", "batches"}


def test_what_is_not_there_is_skipped():
    absent = Contender("absent", "no_such_library", "Scaler")
    assert not absent.installed
    with pytest.raises(NotImplementedError, match="no_such_library"):
        operations.Fit(absent, MATRIX.make())


def test_what_is_not_there_is_named():
    needs = ("no_such_package", "numpy", "neither.this")
    entry = Contender("absent", "sklearn", "StandardScaler", needs=needs)
    assert entry.missing == ["no_such_package", "neither"]


@pytest.mark.usefixtures("strangers")
def test_folders_of_contenders_are_named_by_the_environment(monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "own_scaler.py").write_text(STRANGER, "utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(contenders.FOLDERS, str(tmp_path / "elsewhere"))
    monkeypatch.setenv(contenders.VARIABLE, "mine=own_scaler:Plain")
    entry = contenders.by_name("mine")
    assert entry.installed
    operate(operations.Fit, entry)
    sys.modules.pop("own_scaler")


def test_an_engine_of_a_later_commit_is_skipped():
    with pytest.raises(NotImplementedError, match="no engine later"):
        contenders.skbn("later")


def test_what_a_contender_cannot_do_is_skipped():
    few = Contender("few", "sklearn", "StandardScaler", can=frozenset({"fit"}))
    with pytest.raises(NotImplementedError, match="few: nan"):
        operations.Fit(few, WORKLOADS["missing"].at(PROFILES["fast"]).make())


def test_operations_are_abilities():
    assert all(operation.needs <= ABILITIES for operation in OPERATIONS)


def test_documents_name_every_ability():
    named = set(re.findall(r"`(\w+)`", README))
    assert named >= ABILITIES


def test_the_entry_is_an_expression():
    ast.parse(of_readme("entry"), mode="eval")


# Of other packages

STRANGER = """
import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from benchmarks.contenders import Contender

class Plain:
    def fit(self, X):
        self.mean_, self.var_ = X.mean(axis=0), X.var(axis=0)
        return self

    def transform(self, X, copy=None):
        return (X - self.mean_) / np.sqrt(self.var_)

class Full(StandardScaler):
    pass

class ManyRows:
    def __init__(self):
        self.parts = []

    def learn_many(self, X):
        self.parts.append(X)

    learn_one = learn_many

    @property
    def means(self):
        return self._all().mean().to_dict()

    @property
    def vars(self):
        return self._all().var(ddof=0).to_dict()

    def _all(self):
        import pandas as pd
        frames = [p if hasattr(p, "mean") else pd.DataFrame([p]) for p in self.parts]
        return pd.concat(frames)

class Nothing:
    pass

described = Contender("described", "stranger_package", "Full", error=0.5)
"""


@pytest.fixture
def strangers(monkeypatch, tmp_path):
    """A package that knows nothing of the benchmarks."""
    (tmp_path / "stranger_package.py").write_text(STRANGER, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    monkeypatch.setenv(contenders.VARIABLE, "")
    yield
    sys.modules.pop("stranger_package", None)
    contenders._described.cache_clear()


def invoke(*options):
    env = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    return CliRunner().invoke(command.build_app(), options, env=env)


MATRICES = {"fit", "transform"}
READS = {"float32", "one_row", "integers"}
# On scikit-learn 1.6 StandardScaler does not say that it reads sparse data.
TAGS = get_tags(StandardScaler(with_mean=False)).input_tags
UNTAGGED = set() if TAGS.sparse else {"sparse"}


@pytest.mark.usefixtures("strangers")
@pytest.mark.parametrize(
    ("name", "can"),
    [
        ("Plain", MATRICES | READS | {"transform_in_place"}),
        ("Full", ABILITIES - {"frames"} - UNTAGGED),
        ("ManyRows", {"partial_fit", "float32", "one_row"}),
        ("Missing", ABILITIES),
        ("Nothing", ABILITIES),
    ],
)
def test_what_a_stranger_can_do_is_read_from_its_class(name, can):
    entry = contenders.stranger(f"stranger_package:{name}")
    assert entry.name == f"stranger_package:{name}"
    assert entry.can == can


@pytest.mark.usefixtures("strangers")
def test_a_stranger_may_describe_itself():
    entry = contenders.stranger("stranger_package:described")
    assert (entry.name, entry.error) == ("described", 0.5)
    assert contenders.stranger("mine=stranger_package:described").name == "mine"


def test_what_is_in_the_list_is_known_by_its_class():
    entry = contenders.stranger("mine=river.preprocessing:StandardScaler")
    assert entry == replace(contenders.by_name("River"), name="mine")
    for where in ("dask_ml.preprocessing:StandardScaler", "torch.nn:BatchNorm1d"):
        assert contenders.stranger(where).adapter is not contenders.Adapter


@pytest.mark.usefixtures("strangers")
def test_strangers_take_part(tmp_path):
    """In rows of this process and of others; one that fails has a line in each."""
    pytest.importorskip("pandas")
    path = tmp_path / "a.json"
    names = ("mine=stranger_package:Plain", "river=stranger_package:ManyRows")
    given = [f"--contender={name}" for name in (*names, "stranger_package:Nothing")]
    patterns = ("fit float64 400x100", "memory*", "partial_fit float64 32x20")
    rows = [f"--workload={pattern}" for pattern in patterns]
    done = invoke(*given, *rows, "--json", str(path))
    assert done.exit_code == 5, done.output
    found = {(r.workload, r.contender): r for r in record.read(path).rows}
    assert found["fit float64 400x100", "mine"].seconds > 0
    assert found["memory of fit float64 400x100", "mine"].bytes >= 0
    assert found["partial_fit float64 32x20", "river"].seconds > 0
    failed = [r for r in found.values() if r.outcome]
    assert len(failed) == 3
    for each in failed:
        assert each.contender == "stranger_package:Nothing"
        assert each.note.startswith("failed: AttributeError: ")
        assert f"{each.workload}, {each.contender}: {each.note}\n" in done.stdout
    assert record.read(path).versions["stranger_package"] == "unknown"


@pytest.mark.usefixtures("strangers")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("no_such_package:Scaler", "no_such_package:Scaler needs no_such_package"),
        ("a b:c", "is not [NAME=]package.module:Class"),
        ("River=stranger_package:Plain", "there is a contender River already"),
    ],
)
def test_strangers_that_cannot_be_are_refused(given, words):
    pytest.importorskip("river")
    done = invoke("--contender", given)
    assert done.exit_code == 2
    assert words in " ".join(done.output.replace("│", "").split())


@pytest.mark.usefixtures("strangers")
def test_the_readme_tells_how_a_stranger_describes_itself(tmp_path):
    (tmp_path / "running_scaler.py").write_text(of_readme("module"), "utf-8")
    given = {}
    exec(of_readme("stranger"), given)
    assert operate(operations.PartialFit, given["running"]) < 1e-13
    sys.modules.pop("running_scaler")


def test_a_misspelt_ability_is_told(monkeypatch):
    entry = Contender("few", "sklearn", "StandardScaler", can=frozenset({"fiit"}))
    monkeypatch.setattr(contenders, "CONTENDERS", [*CONTENDERS, entry])
    monkeypatch.setenv("SKBN_BENCH_PROFILE", "fast")
    rows = quick.chosen(["fit float64 400x100", "memory*"])
    found = [r for r in quick.run(rows, ["few"]) if r.contender == "few"]
    assert [r.note for r in found] == ["failed: ValueError: no ability 'fiit'"] * 2


class Careless(StandardScaler):
    """It takes what scikit-learn refuses."""

    def partial_fit(self, X, y=None, sample_weight=None):
        return super().partial_fit(np.nan_to_num(X), y)

    fit = partial_fit

    def transform(self, X, copy=None):
        return np.nan_to_num(X) - self.mean_[: X.shape[1]]


def test_who_validates_less_is_found():
    careless = Contender("c", "sklearn", lambda: contenders.Adapter(Careless()))
    everything = ["infinity", "infinity in transform", "another number of features"]
    assert validation.taken(careless) == everything
    learns = replace(careless, can=frozenset({"fit"}))
    assert validation.taken(learns) == ["infinity"]
    absent = replace(careless, make=lambda: contenders.Adapter(None))
    assert validation.taken(absent) == []


def test_ours_validate_as_much_as_scikit_learn():
    names = ["skbn-numba", "skbn-numpy", "skbn-auto", "StandardScaler"]
    assert validation.leniency(names) == {}


def test_first_calls_are_checked(monkeypatch):
    liar = Contender("liar", "sklearn", lambda: contenders.Adapter(DropsTheLastRow()))
    monkeypatch.setattr(contenders, "CONTENDERS", [*CONTENDERS, liar])
    assert set(first_calls.call(BASELINE)) == set(first_calls.CALLS)
    with pytest.raises(WrongAnswerError, match="liar, mean"):
        first_calls.call("liar")
