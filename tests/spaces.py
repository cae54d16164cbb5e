"""Libraries and devices of the array API, and data for them."""

import numpy as np
import pytest
import sklearn

from skbn._sklearn import to_numpy
from skbn.engines.array_api import accepts

RNG = np.random.default_rng(0)
X = RNG.normal([0.0, 1e6, -1e9], size=(50, 3))
X[::7, 1] = np.nan


class Space:
    """A library and a device, and the way there and back."""

    def __init__(self, name):
        self.name = name
        library = {"torch": "torch", "jax": "jax"}.get(name, "array_api_strict")
        self.xp = pytest.importorskip(library)
        self.device = None
        if name == "torch":
            self.device = self.xp.device("cpu")
        elif name == "jax":
            self.device, self.xp = self.xp.devices("cpu")[0], self.xp.numpy
        else:
            self.device = self.xp.Device(
                "CPU_DEVICE" if name == "strict" else "device1"
            )

    def array(self, values):
        return self.xp.asarray(np.array(values), device=self.device)

    def owns(self, array):
        with sklearn.config_context(array_api_dispatch=True):
            return accepts(array) and array.device == self.device

    @staticmethod
    def host(array):
        with sklearn.config_context(array_api_dispatch=True):
            return to_numpy(array)
