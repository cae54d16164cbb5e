"""Time of an import and of first calls, each in a new interpreter.

``python -m benchmarks.first_calls CONTENDER`` prints the seconds of each, as JSON. This
module loads nothing but the standard library, lest an import find its work done.
"""

import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Any

from benchmarks import subprocesses
from benchmarks.errors import FailedError, WrongAnswerError

if TYPE_CHECKING:
    from benchmarks.adapters import Adapter
    from benchmarks.contenders import Contender

SHAPE = (256, 64)
IMPORT = "import"
WEIGHTED = "weighted fit"
CALLS = ("partial_fit", "transform", WEIGHTED)
# Where kernels that are compiled once lie in a file.
COLD, CACHED = "cold", "cached"
# By row of the table. Of two imports the second counts, when files are in memory.
STEPS = {IMPORT: (CACHED, IMPORT)} | {
    f"first {call} {SHAPE[0]}x{SHAPE[1]}, {state}": (state, call)
    for call in CALLS
    for state in (COLD, CACHED)
}

Seconds = dict[tuple[str, str], list[float]]  # by contender and row of the table


@cache
def take_turns(names: tuple[str, ...], rounds: int) -> tuple[Seconds, dict[str, Any]]:
    """Seconds of all rows in one, since one process gives several; and what failed."""
    seconds: Seconds = {}
    troubles: dict[str, Any] = {}
    for done in range(rounds):
        turn = done % len(names)
        for name in names[turn:] + names[:turn]:
            if name in troubles:
                continue
            try:
                found = in_new_processes(name)
            except (FailedError, WrongAnswerError) as error:
                troubles[name] = error
                continue
            for step, (state, what) in STEPS.items():
                if what in found[state]:
                    seconds.setdefault((name, step), []).append(found[state][what])
    return seconds, troubles


def in_new_processes(name: str) -> dict[str, dict[str, float]]:
    """Seconds of an import and of first calls, where nothing is compiled and then."""
    from benchmarks import contenders

    asked = "benchmarks.first_calls", contenders.by_name(name).module, name
    with tempfile.TemporaryDirectory() as kernels:
        return {
            state: subprocesses.ask(*asked, NUMBA_CACHE_DIR=kernels)
            for state in (COLD, CACHED)
        }


def measure(module: str, name: str) -> dict[str, float]:
    """Seconds of the import, and of calls."""
    return {IMPORT: seconds_of(import_module, module)[0]} | call(name)


def call(name: str, calls: Iterable[str] = CALLS) -> dict[str, float]:
    """Seconds of first calls that follow one another: what they share loads once.

    Raises
    ------
    WrongAnswerError
        A result was wrong.
    """
    import numpy as np

    from benchmarks import contenders

    contender = contenders.by_name(name)
    contender.require(frozenset())
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal(SHAPE), rng.random(SHAPE[0]) + 0.5
    adapter = contender.create()
    able = functions(contender.can, adapter, adapter.prepare(X), weights)
    found = {}
    for each in calls:
        if each in able:
            found[each], result = seconds_of(able[each])
            weighted = weights if each == WEIGHTED else None
            check(contender, adapter, X, weighted, result)
    return found


def functions(
    can: frozenset[str], adapter: "Adapter", X: Any, weights: Any
) -> dict[str, Callable[[], Any]]:
    """What is called, of all that the contender can do."""
    learn = adapter.partial_fit if "partial_fit" in can else adapter.fit
    found = {"partial_fit": lambda: learn(X)}
    if "transform" in can:
        found["transform"] = lambda: adapter.transform(X)
    if can >= {"fit", "weights"}:
        found[WEIGHTED] = lambda: adapter.fit(X, weights)
    return found


def check(
    contender: "Contender", adapter: "Adapter", X: Any, weights: Any, image: Any
) -> None:
    """Hold statistics, and what was returned if it is an image, to the right ones."""
    from benchmarks import answers

    found = adapter.statistics()
    if image is not None:
        image = adapter.to_numpy(image)
        answers.check_map(contender, "transform", X, image, found)
    right = answers.statistics(X, weights)
    if contender.averages == "batches":
        right = answers.averages([right], len(X))
    answers.check_statistics(contender, found, right, X.dtype)


def seconds_of(function: Any, *arguments: Any) -> tuple[float, Any]:
    start = perf_counter()
    result = function(*arguments)
    return perf_counter() - start, result


if __name__ == "__main__":
    subprocesses.answer(measure, *sys.argv[1:])
