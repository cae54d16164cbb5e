"""scikit-learn's own tests of StandardScaler, with another class in its place."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
from types import ModuleType
from unittest.mock import patch

import pytest
import sklearn.preprocessing

MODULE = "sklearn.preprocessing.tests.test_data"
PARAMETER_SET = type(pytest.param())
# Libraries and devices of scikit-learn's tests that no machine of ours has.
NOT_HERE = {"cupy", "dpnp", "cuda", "mps", "xpu"}


def load_with(replacement: type) -> ModuleType:
    """A second copy of the module, which has imported the replacement."""
    spec = importlib.util.find_spec(MODULE)
    module = importlib.util.module_from_spec(spec)
    with patch.object(sklearn.preprocessing, "StandardScaler", replacement):
        spec.loader.exec_module(module)
    return module


def cases_of(module: ModuleType) -> list:
    """``(name, function, arguments)`` of every test that uses StandardScaler."""
    return [
        (name, function, arguments)
        for name, function in sorted(vars(module).items())
        if name.startswith("test_") and "StandardScaler" in inspect.getsource(function)
        for arguments in _arguments_of(function, module.StandardScaler)
    ]


def needs_hardware(*arguments: object) -> bool:
    """Whether a library or device among the arguments of a test is not to be had."""
    return any(
        needs_hardware(*argument)
        if isinstance(argument, tuple)
        else isinstance(argument, str) and argument in NOT_HERE
        for argument in arguments
    )


def _arguments_of(function, scaler):
    marks = [m for m in getattr(function, "pytestmark", []) if m.name == "parametrize"]
    axes = [_axis(mark) for mark in marks]
    if not axes:
        return [{}]
    every = [
        {name: value for part in parts for name, value in part.items()}
        for parts in itertools.product(*axes)
    ]
    # A test that takes the class, or an instance, takes others as well.
    takes = [any(_is_a(scaler, v) for v in one.values()) for one in every]
    return [one for one, t in zip(every, takes, strict=True) if t or not any(takes)]


def _is_a(scaler, value):
    return value is scaler or isinstance(value, scaler)


def _axis(mark):
    names, values = mark.args[0], mark.args[1]
    if isinstance(names, str):
        names = [name.strip() for name in names.split(",")]
    rows = [v.values if isinstance(v, PARAMETER_SET) else v for v in values]
    if len(names) == 1:
        rows = [
            row if isinstance(value, PARAMETER_SET) else (row,)
            for row, value in zip(rows, values, strict=True)
        ]
    return [dict(zip(names, row, strict=True)) for row in rows]
