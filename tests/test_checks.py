"""The short path and the long one agree."""

import numpy as np
import pandas as pd
import pytest

from skbn import BatchNormTransformer, checks
from skbn.engines.base import output_dtype

X = np.random.default_rng(0).normal(size=(6, 3))
FITTED = BatchNormTransformer().fit(X)

PLAIN = {
    "float64": X,
    "float32": X.astype(np.float32),
    "Fortran": np.asfortranarray(X),
    "strided": np.repeat(X, 2, axis=0)[::2],
    "missing": np.where(np.eye(6, 3) > 0, np.nan, X),
    "infinite": np.where(np.eye(6, 3) > 0, np.inf, X),
}
OTHER = {
    "integers": X.astype(int),
    "float16": X.astype(np.float16),
    "big-endian": X.astype(">f8"),
    "list": X.tolist(),
    "frame": pd.DataFrame(X),
    "subclass": X.view(np.recarray),
    "too wide": np.ones((2, 4)),
    "empty": np.ones((0, 3)),
    "flat": X[0],
    "objects": X.astype(object),
}


@pytest.mark.parametrize("X", PLAIN.values(), ids=PLAIN)
def test_plain_arrays_pass_untouched(X):
    assert checks.is_plain(X, 3)
    assert checks.check_dense(FITTED, X, reset=False) is X
    assert checks.check_dense(FITTED, X, reset=False, names=False) is X


@pytest.mark.parametrize("X", OTHER.values(), ids=OTHER)
def test_others_are_not_plain(X):
    assert not checks.is_plain(X, 3)


@pytest.mark.parametrize("X", [*PLAIN.values(), *OTHER.values()], ids=[*PLAIN, *OTHER])
def test_both_paths_agree(X, monkeypatch):
    """The same array, or the same error, with the short path closed."""

    def outcome():
        try:
            checked = checks.check_dense(FITTED, X, reset=False)
        except ValueError as error:
            return str(error)
        return checked.dtype, checked.tolist()

    quick = outcome()
    monkeypatch.setattr(checks, "is_plain", lambda *_: False)
    np.testing.assert_equal(outcome(), quick)


def test_names_need_the_long_path():
    named = BatchNormTransformer().fit(pd.DataFrame(X, columns=list("abc")))
    with pytest.warns(UserWarning, match="feature names"):
        checks.check_dense(named, X, reset=False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, None), (2, [2.0] * 3), ([1, 2, 3], [1.0, 2.0, 3.0])],
)
def test_a_parameter_for_each_feature(given, expected):
    values = checks.check_per_feature(given, "gamma", 3)
    assert values is expected is None or values.tolist() == expected


def test_a_parameter_is_copied():
    gamma = np.ones(3)
    checks.check_per_feature(gamma, "gamma", 3)[0] = 5.0
    np.testing.assert_array_equal(gamma, 1.0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, None), (2, (-2.0, 2.0)), ([-1, 3], (-1.0, 3.0)), ((0.0, 1.0), (0.0, 1.0))],
)
def test_clip(given, expected):
    assert checks.check_clip(given) == expected


@pytest.mark.parametrize(
    "given", [(2, 1), (1, 1), (1, 2, 3), (), ("a", "b"), (0, np.nan), 10**400]
)
def test_wrong_clip(given):
    with pytest.raises(ValueError, match="pair"):
        checks.check_clip(given)


@pytest.mark.parametrize(
    ("given", "expected"), [(2.0, [2.0] * 3), ([0, 1, 2], [0.0, 1.0, 2.0])]
)
def test_weights(given, expected):
    assert checks.check_weights(given, 3).tolist() == expected


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("f8", "f8"),
        ("f4", "f4"),
        (">f4", "=f4"),
        ("f2", "f2"),
        ("i4", "f8"),
        ("?", "f8"),
        (np.longdouble, "f8"),
    ],
)
def test_output_dtype(dtype, expected):
    assert output_dtype(np.dtype(dtype)) == np.dtype(expected)
