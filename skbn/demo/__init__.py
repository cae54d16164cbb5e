"""What normalisation gains on a stream: the logic of ``skbn demo``."""

from skbn.demo.evaluation import SHUFFLES, Result, n_runs, run
from skbn.demo.scenarios import SCENARIOS, Scenario, scenarios

__all__ = ["SCENARIOS", "SHUFFLES", "Result", "Scenario", "n_runs", "run", "scenarios"]
