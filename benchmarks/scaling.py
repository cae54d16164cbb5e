"""Cost as data grow: the time of a value must stay what it was."""

from benchmarks import contenders, measure
from benchmarks.operations import Fit
from benchmarks.workloads import Workload, profile

ROWS = [20_000, 200_000, 2_000_000, 8_000_000]
FEATURES = [1, 10, 100, 1_000, 10_000]
N_VALUES = 8_000_000


def tall(rows):
    return Workload(rows, 10)


def wide(features):
    return Workload(N_VALUES // features, features)


def nanoseconds_per_value(workloads, contender):
    """Medians of fits that take turns."""
    able = contenders.by_name(contender)
    fits = {
        index: Fit(able, workload.at(profile()).make())
        for index, workload in enumerate(workloads)
    }
    times = measure.interleave(fits, seconds=profile().seconds)
    return [
        1e9 * measure.summary(times[index]).median / fit.data.X.size
        for index, fit in fits.items()
    ]


class _Sized:
    # What asv has measured in other profiles is not shown beside.
    version = f"1-{profile().name}"


class GrowingRows(_Sized):
    """Of ten features."""

    param_names = ("rows", "contender")
    params = (ROWS, contenders.names("fit"))
    timeout = 300
    unit = "ns per value"

    def track_cost(self, rows, contender):
        (cost,) = nanoseconds_per_value([tall(rows)], contender)
        return cost


class GrowingFeatures(_Sized):
    """Of as many values in all."""

    param_names = ("features", "contender")
    params = (FEATURES, contenders.names("fit"))
    timeout = 300
    unit = "ns per value"

    def track_cost(self, features, contender):
        (cost,) = nanoseconds_per_value([wide(features)], contender)
        return cost


class Growth(_Sized):
    """Cost of a value at the largest size over that at the least: flat is 1."""

    param_names = ("contender",)
    params = (contenders.names("fit"),)
    timeout = 600
    unit = "times the cost"

    def track_growth_with_rows(self, contender):
        costs = nanoseconds_per_value(map(tall, ROWS), contender)
        return costs[-1] / costs[0]

    def track_growth_with_features(self, contender):
        costs = nanoseconds_per_value(map(wide, FEATURES), contender)
        return costs[-1] / costs[0]
