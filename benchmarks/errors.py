"""What the harness reports to its user, and what contenders do wrong."""


class HarnessError(Exception):
    """What could not be read, had or made, in one sentence."""


class WrongAnswerError(AssertionError):
    """A contender computed something else."""


class FailedError(RuntimeError):
    """What went wrong in another process, or was said last before it ended."""
