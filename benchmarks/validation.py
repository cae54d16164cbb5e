"""What contenders take that scikit-learn refuses: checks cost time, too."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.adapters import Adapter
from benchmarks.contenders import Contender, by_name

X = np.arange(24.0).reshape(8, 3) ** 2


def leniency(names: Iterable[str]) -> dict[str, list[str]]:
    """What each takes; contenders that refuse all are left out."""
    found = {name: taken(by_name(name)) for name in names}
    return {name: what for name, what in found.items() if what}


def taken(contender: Contender) -> list[str]:
    """What a contender takes without an error."""
    probes: dict[str, Callable[[Adapter], Any]] = {
        "infinity": lambda adapter: learn(contender, adapter, spoilt()),
    }
    if "transform" in contender.can:
        probes["infinity in transform"] = lambda adapter: transform(adapter, spoilt())
        fewer = X[:, :2]
        probes["another number of features"] = lambda adapter: transform(adapter, fewer)
    return [what for what, probe in probes.items() if takes(contender, probe)]


def takes(contender: Contender, probe: Callable[[Adapter], Any]) -> bool:
    """Whether a scaler that has learnt does it; what none can is told in its rows."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapter = contender.create()
            learn(contender, adapter, X)
            probe(adapter)
    except Exception:  # noqa: BLE001
        return False
    return True


def spoilt() -> Any:
    infinite = X.copy()
    infinite[5, 1] = np.inf
    return infinite


def learn(contender: Contender, adapter: Adapter, values: Any) -> None:
    if "partial_fit" in contender.can:
        adapter.partial_fit(adapter.prepare(values))
    else:
        adapter.fit(adapter.prepare(values))
    adapter.statistics()


def transform(adapter: Adapter, values: Any) -> None:
    adapter.to_numpy(adapter.transform(adapter.prepare(values)))
