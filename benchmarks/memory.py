"""Peak memory of a process that fits, and of one that does nothing with its data.

The difference is what the fit takes. Data are made by another process and loaded, so
that making them is not part of the peak.
"""

from contextlib import suppress
from pathlib import Path

import numpy as np

from benchmarks import contenders
from benchmarks.base import find, parameters
from benchmarks.data import Data
from benchmarks.operations import Fit
from benchmarks.workloads import named


class FitMemory:
    param_names = ("workload", "contender")
    params = parameters(Fit, "dense", "float32", "uint8")
    timeout = 300

    def setup_cache(self):
        files = {}
        for label, workload in named("dense", "float32", "uint8").items():
            files[label] = str(Path(f"{label}.npy").resolve())
            X = workload.make().X
            np.save(files[label], X)
            self.compile(X, label)
        return files

    def compile(self, X, workload):
        """Leave kernels on the disk: a compiler would be the peak of what follows."""
        for name in self.params[1]:
            with suppress(NotImplementedError):
                self.fit_of(X[: len(X) // 16], workload, name).run()

    def setup(self, files, workload, contender):
        X = np.load(files[workload])
        self.fit_of(X[: len(X) // 16], workload, contender).run()
        self.operation = self.fit_of(X, workload, contender)
        self.has_run = False

    def fit_of(self, X, workload, contender):
        """A fit, which the first time loads libraries and kernels."""
        fit = Fit(contenders.by_name(contender), Data(find(workload), X))
        fit.renew()
        return fit

    def peakmem_baseline(self, files, workload, contender):
        """Nothing is done."""

    def peakmem_fit(self, files, workload, contender):
        self.operation.run()
        self.has_run = True

    def teardown(self, files, workload, contender):
        if getattr(self, "has_run", False):
            self.operation.check()
