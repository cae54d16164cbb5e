"""Speed side by side: against StandardScaler, and against what memory allows.

Both take turns with the contender in one process; asv keeps the quartiles of rounds.
Larger is better, which asv does not know: it calls every larger value worse.
"""

from benchmarks import contenders, measure, quick
from benchmarks.contenders import BASELINE
from benchmarks.workloads import WORKLOADS, named, profile

# Rows of the quick run, less the many shapes and orders of floats.
NAMED = named(*WORKLOADS).values()
ROWS = {
    row.name: row
    for row in quick.rows()
    if row.operation is not None and row.workload in NAMED
}
# What memory allows is known of arrays.
MATRICES = [
    name
    for name, row in ROWS.items()
    if row.workload.container == "array" and not row.workload.batches
]


class _SideBySide:
    """A contender, taking turns with what it is compared to."""

    param_names = ("work", "contender")
    timeout = 600
    # Rows of streams have one name in all profiles, which asv shows apart by this.
    version = f"1-{profile().name}"

    def setup(self, work, contender):
        row = ROWS[work]
        data = row.workload.make()
        self.ours = row.operation(contenders.by_name(contender), data)
        self.baseline = row.operation(contenders.by_name(BASELINE), data)

    def of_time(self, other):
        """The other's time over the contender's by round, in asv's form of samples."""
        pair = {"ours": self.ours, "other": other}
        seconds = profile().seconds
        times = measure.interleave(pair, seconds=seconds, against="other")
        return {"samples": measure.ratios(times["other"], times["ours"]), "number": 1}


class AgainstStandardScaler(_SideBySide):
    params = (list(ROWS), [name for name in contenders.names() if name != BASELINE])

    def track_ratio(self, work, contender):
        return self.of_time(self.baseline)

    track_ratio.unit = "times StandardScaler's speed"


class AgainstMemory(_SideBySide):
    params = (MATRICES, contenders.names("fit"))

    def track_share(self, work, contender):
        return self.of_time(self.baseline.memory_limit())

    track_share.unit = "of the memory limit"
