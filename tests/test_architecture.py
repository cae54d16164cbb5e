"""Imports go one way, and what is imported is little."""

import ast
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

import skbn

PACKAGE = Path(skbn.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
EXTRAS = [
    *("dask", "duckdb", "jax", "matplotlib", "numba", "onnx", "onnxruntime", "pandas"),
    *("polars", "pyarrow", "pyspark", "rich", "river", "skl2onnx", "skops"),
    *("stable_baselines3", "torch", "tqdm", "typer"),
]
# From the top: a module may import from lower layers only, and from its own folder.
# A folder of ``engines`` is one module here; the folder itself, its ``__init__``.
LAYERS = [
    {"cli"},
    {"demo"},
    {"compile", "onnx"},
    {"plotting", "pipeline", "reinforcement", "river"},
    {"streams"},
    {"steps", "functional", "state"},
    {"database", "folding", "torch"},
    {"exports"},
    {"transformer"},
    {"engines.dask", "engines.lazyframe"},
    {"engines"},
    {"engines.array_api", "engines.dataframe", "engines.sparse"},
    {"engines.dense"},
    {"engines.numba"},
    {"engines.numpy"},
    {"engines.auto"},
    {"engines.base"},
    {"running", "checks"},
    {"averaging"},
    {"_sklearn", "affine", "constant_features", "moments", "threads"},
    {"_documents", "_files"},
    {"pairs"},
]
# Public names are gathered there.
TOP = "__init__"


def name_of(path):
    """``a.b`` for a file of the folder a: engines are told apart, their files not."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[0] != "engines":
        return parts[0]
    return ".".join(part for part in parts[:2] if part != "__init__")


NAME_OF = {path: name_of(path) for path in MODULES}


def layer(name):
    return next(depth for depth, names in enumerate(LAYERS) if name in names)


def imports_of(path):
    """Modules of this package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}: relative import"
            parts = (node.module or "").split(".")
            if parts[0] == "skbn":
                yield from (imported([*parts[1:], alias.name]) for alias in node.names)
        elif isinstance(node, ast.Import):
            names = (alias.name.split(".") for alias in node.names)
            yield from (imported(parts[1:]) for parts in names if parts[0] == "skbn")


def imported(parts):
    """The module that holds what is imported by these names."""
    if parts[0] != "engines":
        return parts[0]
    known = ".".join(parts[:2])
    return known if any(known in names for names in LAYERS) else "engines"


def paths(modules):
    return pytest.mark.parametrize(
        "path", modules, ids=lambda path: path.relative_to(PACKAGE).as_posix()
    )


@paths([path for path in MODULES if NAME_OF[path] != TOP])
def test_imports_go_down(path):
    public = {"BatchNormTransformer": "transformer", "batch_norm": "functional"}
    own = NAME_OF[path]
    for found in imports_of(path):
        name = public.get(found, found)
        if not name.startswith("__") and name not in skbn.__all__:
            assert name == own or layer(own) < layer(name), f"{own} imports {name}"


def lines_of_code(path):
    """Lines that hold code: no docstrings, comments or blank lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docstrings = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and ast.get_docstring(node, clean=False) is not None
        for part in ast.walk(node.body[0])
    }
    lines = set()
    for node in ast.walk(tree):
        if hasattr(node, "lineno") and id(node) not in docstrings:
            last = node.lineno if hasattr(node, "body") else node.end_lineno
            lines |= set(range(node.lineno, last + 1))
    return len(lines)


@paths(MODULES)
def test_modules_are_short(path):
    assert lines_of_code(path) <= 400


def python(code):
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
    )
    return run.stdout.strip()


def loaded(code):
    return set(python(f"{code}; import sys; print(*sys.modules)").split())


def test_the_core_imports_no_extra():
    # scikit-learn or SciPy may import some of them themselves.
    theirs = loaded("import sklearn.preprocessing, joblib")
    ours = loaded(
        "import numpy, skbn; X = numpy.eye(3);"
        "t = skbn.BatchNormTransformer(engine='numpy').fit(X);"
        "t.partial_fit(X).inverse_transform(t.transform(X)); skbn.batch_norm(X)"
    )
    assert "skbn" in ours
    assert ours.isdisjoint(set(EXTRAS) - theirs)
    assert ours.isdisjoint({"skbn.state", "skbn.streams"})


def test_import_is_quick():
    """At most 30 ms over scikit-learn's, as the median of several runs."""
    timed = (
        # A collection of scikit-learn's garbage takes 50 ms, whoever sets it off.
        "import gc, sklearn.preprocessing, time; gc.disable();"
        "t = time.process_time(); import skbn;"
        "print(time.process_time() - t)"
    )
    # Twice the limit, since the machine may be busy: three quick ones of five.
    runs = (float(python(timed)) <= 0.060 for _ in range(5))
    assert len(list(islice(filter(None, runs), 3))) == 3


def test_layers_are_told_apart():
    names = [name for names in LAYERS for name in names]
    assert len(names) == len(set(names))


def test_every_layer_is_a_module():
    assert {name for names in LAYERS for name in names} == set(NAME_OF.values()) - {TOP}
