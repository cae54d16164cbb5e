"""Imports go one way, and what is imported is little."""

import ast
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

import skbn

PACKAGE = Path(skbn.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
EXTRAS = [
    *("dask", "jax", "matplotlib", "numba", "onnx", "pandas", "polars", "pyarrow"),
    *("pyspark", "rich", "river", "torch", "tqdm", "typer"),
]
# From the top: a module may import from lower layers only, and from its own.
LAYERS = [
    {"cli"},
    {"demo"},
    {"stream", "pipeline", "plotting", "integrations"},
    {"functional"},
    {"transformer"},
    {"learning", "mapping"},
    {"attributes"},
    {"running", "state"},
    {"engines", "averaging"},
    {"validation"},
    {"affine"},
    {"moments"},
    {"pairs", "threads", "output"},
]
# Public names are gathered there.
TOP = "__init__"
NAME_OF = {
    path: path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES
}


def layer(name):
    return next(depth for depth, names in enumerate(LAYERS) if name in names)


def imports_of(path):
    """Modules of this package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}: relative import"
            parts = (node.module or "").split(".")
            if parts == ["skbn"]:
                yield from (alias.name for alias in node.names)
            elif parts[0] == "skbn":
                yield parts[1]
        elif isinstance(node, ast.Import):
            names = (alias.name.split(".") for alias in node.names)
            yield from (parts[1] for parts in names if parts[0] == "skbn" and parts[1:])


def paths(modules):
    return pytest.mark.parametrize(
        "path", modules, ids=lambda path: path.relative_to(PACKAGE).as_posix()
    )


@paths([path for path in MODULES if NAME_OF[path] != TOP])
def test_imports_go_down(path):
    public = {"BatchNormTransformer": "transformer", "batch_norm": "functional"}
    own = NAME_OF[path]
    for imported in imports_of(path):
        name = public.get(imported, imported)
        if not name.startswith("__") and name not in skbn.__all__:
            assert name == own or layer(own) < layer(name), f"{own} imports {name}"


def test_every_module_has_a_layer():
    known = set().union(*LAYERS)
    assert {name for name in NAME_OF.values() if name != TOP} <= known


@paths(MODULES)
def test_modules_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


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


def test_import_is_quick():
    """At most 30 ms over scikit-learn's, as the median of several runs."""
    timed = (
        # A collection of scikit-learn's garbage takes 50 ms, whoever sets it off.
        "import gc, sklearn.preprocessing, time; gc.disable();"
        "t = time.perf_counter(); import skbn;"
        "print(time.perf_counter() - t)"
    )
    # Twice the limit, since the machine may be busy.
    assert median(float(python(timed)) for _ in range(5)) <= 0.060


def test_layers_are_told_apart():
    names = [name for names in LAYERS for name in names]
    assert len(names) == len(set(names))
    assert all(above.isdisjoint(below) for above, below in pairwise(LAYERS))
