"""Memory that a fit takes beyond its data, each in a process of its own."""

from benchmarks import footprint
from benchmarks.base import parameters
from benchmarks.operations import Fit


class FitMemory:
    param_names = ("workload", "contender")
    params = parameters(Fit, "dense", "float32", "uint8")
    timeout = 300
    unit = "MiB"

    def track_memory(self, workload, contender):
        return footprint.of(contender, workload) / 2**20
