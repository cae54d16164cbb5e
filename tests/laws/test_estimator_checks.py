"""scikit-learn's own checks, without an expected failure."""

from importlib.util import find_spec

import numpy as np
import pytest
from scikit_learn_tests import needs_hardware
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skbn import BatchNormTransformer

# Without `copy=False`: one check reads its data again after a transform, which fails
# for StandardScaler(copy=False), too. Without `halflife`: there the age of a row counts
# every row, so that removing a row is not to weigh it zero.
SETTINGS = [
    {},
    {"with_mean": False},
    {"with_std": False},
    {"with_mean": False, "with_std": False},
    {"epsilon": 1e-5},
    {"ddof": 1},
    {"momentum": 0.1},
    {"momentum": 0.3, "zero_debias": False, "ddof": 1, "epsilon": 1e-5},
    {"batch_size": 1},
    {"batch_size": 7, "ddof": 1, "epsilon": 1e-5},
    {"clip": 2.5},
    {"clip": (-1.0, 3.0)},
    {"gamma": 2.0, "beta": -1.0},
    {"gamma": np.float32(0.5), "beta": 3, "clip": 4, "epsilon": 1},
    {"n_threads": 1},
    {"n_threads": 2, "batch_size": 10},
    {"engine": "numpy"},
    {"sparse_output": "linear_operator"},
]


def not_for_sparse(check):
    """Not the one that scikit-learn 1.6 gives those who take no sparse data, too."""
    function = getattr(check, "func", check)
    return function.__name__ != "check_sample_weight_equivalence_on_sparse_data"


def can_run(check):
    """Not the ones of the array API without its libraries.

    Every version of scikit-learn names these otherwise, so that for the lowest no
    other run could execute those that this one would skip.
    """
    function = getattr(check, "func", check)
    here = find_spec("array_api_strict") is not None
    return here or not function.__name__.startswith("check_array_api")


def checks():
    """scikit-learn's, without those that only other hardware can execute."""
    mark = parametrize_with_checks([BatchNormTransformer(**s) for s in SETTINGS]).mark
    cases = [
        (estimator, check)
        for estimator, check in mark.args[1]
        if not needs_hardware(*getattr(check, "keywords", {}).values())
        and can_run(check)
        and (get_tags(estimator).input_tags.sparse or not_for_sparse(check))
    ]
    return pytest.mark.parametrize(mark.args[0], cases, **mark.kwargs)


@checks()
def test_scikit_learn_check(estimator, check):
    check(estimator)


def test_every_parameter_has_a_setting():
    parameters = set(BatchNormTransformer().get_params()) - {"copy", "halflife"}
    assert {name for setting in SETTINGS for name in setting} == parameters
