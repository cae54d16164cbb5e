"""What the asv benchmarks share: parameters, set-up, and the check of the answer.

asv runs each combination of parameters in a process of its own, calls ``setup`` before
and ``teardown`` after every sample, and skips what raises NotImplementedError.
"""

from time import perf_counter
from typing import Any, ClassVar

from benchmarks import contenders
from benchmarks.operations import Operation
from benchmarks.workloads import find, named


def parameters(operation: type[Operation], *workloads: str) -> list[list[str]]:
    """Labels of workloads, and the contenders that can do the operation at some."""
    chosen = named(*workloads)
    able = {
        name
        for workload in chosen.values()
        for name in contenders.names(*operation.needs, *workload.needs)
    }
    return [list(chosen), [name for name in contenders.names() if name in able]]


class OperationBenchmark:
    """An operation by workload and contender.

    A subclass has the operation and its ``params``, and times ``run``.
    """

    param_names: ClassVar = ["workload", "contender"]
    operation: ClassVar[type[Operation]]
    # asv allows this much for the compiler, too.
    timeout: ClassVar = 300
    # The first run in `setup` warms up.
    warmup_time: ClassVar = 0
    repeat: ClassVar = (2, 10, 2.0)
    # A run for each `setup`, so that each is checked.
    number: ClassVar = 1

    current: Any = None
    has_run = False

    def setup(self, workload: str, contender: str) -> None:
        if self.current is None:
            data = find(workload).make()
            self.current = self.operation(contenders.by_name(contender), data)
            self.current.renew()
            self.current.run()
        self.current.renew()

    def teardown(self, workload: str, contender: str) -> None:
        # It follows what was skipped or has failed, too.
        if self.has_run:
            self.has_run = False
            self.current.check()

    def run(self) -> None:
        self.current.run()
        self.has_run = True

    def timer(self) -> float:
        """A clock so slow that a run of many calls takes the time of one."""
        return perf_counter() / (self.current.calls if self.current else 1)
