"""Read asv's results through asv."""

import ast
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.dashboard.errors import DashboardError
from benchmarks.dashboard.figures import History, Point


def read_history(results: Path, machine: str = "") -> History:
    """Read what asv tracked, on one machine in one environment.

    Parameters
    ----------
    results : Path
        asv's ``results_dir``.
    machine : str, optional
        A machine's name; by default the one with the most commits.

    Raises
    ------
    DashboardError
        If there are no results, or none of that machine.
    """
    from asv.benchmarks import Benchmarks
    from asv.results import iter_results
    from asv.util import UserError

    conf = SimpleNamespace(results_dir=str(results), benchmark_dir="")
    try:
        benchmarks = Benchmarks.load(conf)
    except UserError as error:
        raise DashboardError(f"{results} holds no results of asv: {error}") from error
    runs: dict[tuple[str, str], list[Any]] = {}
    for result in iter_results(str(results)):
        name = result.params["machine"]
        if machine in ("", name):
            runs.setdefault((name, result.env_name), []).append(result)
    if not runs:
        raise DashboardError(f"{results} holds no results {of_machine(machine)}")
    chosen = max(runs.values(), key=lambda each: (len(each), max(r.date for r in each)))
    return build(sorted(chosen, key=lambda result: result.date), benchmarks)


def of_machine(name: str) -> str:
    return f"of the machine {name}" if name else "of any commit"


def build(results: list[Any], benchmarks: Any) -> History:
    """Gather results, given from old to new."""
    keys = ("machine", "cpu", "num_cpu", "os", "ram")
    return History(
        commits={
            result.commit_hash: datetime.fromtimestamp(result.date / 1000, UTC)
            for result in results
        },
        points=[point for result in results for point in points(result, benchmarks)],
        machine={key: results[-1].params.get(key, "") for key in keys},
        benchmarks={name: dict(each) for name, each in benchmarks.items()},
    )


def points(result: Any, benchmarks: Any) -> Iterator[Point]:
    """Values of the tracking benchmarks that were measured at one commit."""
    for name in sorted(result.get_result_keys(benchmarks)):
        if benchmarks[name]["type"] != "track":
            continue
        params = benchmarks[name]["params"]
        names = benchmarks[name]["param_names"]
        values = result.get_result_value(name, params)
        for combination, value in zip(product(*params), values, strict=True):
            if value is not None and math.isfinite(value):
                parameters = dict(zip(names, map(plain, combination), strict=True))
                yield Point(result.commit_hash, name, parameters, value)


def plain(parameter: str) -> str:
    """A parameter as text; asv keeps the representation of its value."""
    try:
        return str(ast.literal_eval(parameter))
    except (SyntaxError, ValueError):
        return parameter
