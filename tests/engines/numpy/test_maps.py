"""An infinity is told by a sum, which may be one of values that are none."""

import numpy as np
import pytest

from skbn.affine import affine
from skbn.engines import numpy as engine
from skbn.engines.base import InfinityInBlockError

MAP = affine(None, np.full(4, 2.0))
FLOATS = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])


@FLOATS
@pytest.mark.parametrize("order", ["C", "F"])
def test_sums_may_leave_the_range_and_values_may_be_missing(order, dtype):
    X = np.full((6, 4), np.finfo(dtype).max, dtype, order=order)
    X[1::2] *= -1
    X[2, 1:3] = np.nan
    image = engine.normalize(X, MAP)
    np.testing.assert_array_equal(image, X / dtype(2))


@FLOATS
@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("others", [0.0, np.nan, -np.inf])
def test_an_infinity_is_met_whatever_else_there_is(others, copy, dtype):
    X = np.full((6, 4), others, dtype)
    X[3, 2] = np.inf
    before = X.copy()
    with pytest.raises(InfinityInBlockError):
        engine.normalize(X, MAP, copy=copy)
    np.testing.assert_array_equal(X, before)
