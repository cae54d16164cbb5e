"""The one list of what is measured. Adding a contender is one entry at its end.

Scalers of other packages are named by the environment variable
``SKBN_BENCH_CONTENDERS``, and folders where they are by ``SKBN_BENCH_PATH``. Every
process reads them, asv's too, which hides ``PYTHONPATH`` from its own.
"""

import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from benchmarks import adapters
from benchmarks.adapters import Adapter

BASELINE = "StandardScaler"
VARIABLE, FOLDERS = "SKBN_BENCH_CONTENDERS", "SKBN_BENCH_PATH"

LEARNS = frozenset({"fit", "partial_fit"})
MAPS = frozenset({"transform", "inverse"})
READS = frozenset({"float32", "one_row"})
# What a contender may be able to do, and to read.
ABILITIES = (
    LEARNS
    | MAPS
    | READS
    | {"transform_in_place", "pipeline", "integers", "nan", "weights"}
    | {"sparse", "frames"}
)


class UnableError(NotImplementedError):
    """A contender cannot do something, or is not there; asv skips the benchmark."""


@dataclass(frozen=True)
class Contender:
    """A scaler, what it can do, and how right it is.

    Parameters
    ----------
    name : str
        As in tables and plots.
    module : str
        Where it is imported from.
    make : str or callable
        Name of a class there with the methods and attributes of StandardScaler, or
        what returns a new scaler in its adapter. Data that cannot be centred pass
        ``with_mean=False`` to the one and ``sparse=True`` to the other.
    can : frozenset of str
        Some of ``ABILITIES``; it takes part in the benchmarks that need no other.
    adapter : type of Adapter
        What speaks to the class.
    needs : tuple of str
        Modules that must be installed besides.
    error : float
        Error allowed in its statistics of float64 data: of the mean against the root
        mean square, of the variance relative to it.
    float32_error : float
        The same for float32 data.
    offset_power : int
        How the error grows with the data's distance from zero in standard deviations.
    averages : str
        "rows", or "batches" for the mean of their means and of their variances, those
        divided by n - 1.
    """

    name: str
    module: str
    make: str | Callable[..., Adapter]
    can: frozenset[str] = ABILITIES
    adapter: type[Adapter] = Adapter
    needs: tuple[str, ...] = ()
    error: float = 1e-12
    float32_error: float = 1e-12
    offset_power: int = 1
    averages: str = "rows"

    @property
    def missing(self) -> list[str]:
        """Packages that it needs and that are not installed."""
        tops = (name.partition(".")[0] for name in (self.module, *self.needs))
        return [top for top in tops if find_spec(top) is None]

    @property
    def installed(self) -> bool:
        return not self.missing

    def require(self, needs: frozenset[str]) -> None:
        """Raise if it cannot do all that is needed.

        Raises
        ------
        UnableError
            It cannot, or is not there.
        ValueError
            What it can do is misspelt, so that nobody knows.
        """
        if unknown := self.can - ABILITIES:
            raise ValueError(f"no ability {', '.join(sorted(map(repr, unknown)))}")
        if missing := needs - self.can:
            raise UnableError(f"{self.name}: {', '.join(sorted(missing))}")
        if not self.installed:
            raise UnableError(f"{self.name} needs {', '.join(self.missing)}")

    def create(self, *, sparse: bool = False) -> Adapter:
        """A new scaler in its adapter."""
        if isinstance(self.make, str):
            make = getattr(import_module(self.module), self.make)
            return self.adapter.of(make, sparse=sparse)
        return self.make(sparse=True) if sparse else self.make()

    def tolerance(self, dtype: Any, distance: float) -> float:
        """Error allowed at a distance from zero in standard deviations."""
        error = self.float32_error if dtype == "float32" else self.error
        return error * max(1.0, distance) ** self.offset_power


def skbn(engine: str, *, sparse: bool = False) -> Adapter:
    from skbn import BatchNormTransformer

    # Commits before the engine was there are skipped; it was a file once.
    found = (find_spec(f"skbn.engines.{engine}{end}") for end in ("", "_engine"))
    if engine != "auto" and not any(found):
        raise UnableError(f"skbn has no engine {engine} yet")
    scaler = BatchNormTransformer(engine=engine, with_mean=not sparse)
    if sparse and not scaler.__sklearn_tags__().input_tags.sparse:
        raise UnableError("skbn reads no sparse matrices yet")
    return Adapter(scaler)


def ours(engine: str, **options: Any) -> Contender:
    """An engine of this package, held to fourteen digits at any distance from zero."""
    return Contender(
        f"skbn-{engine}",
        "skbn",
        lambda **data: skbn(engine, **data),
        error=1e-14,
        float32_error=1e-14,
        offset_power=0,
        **options,
    )


CONTENDERS = [
    ours("numba", needs=("numba",)),
    ours("numpy"),
    ours("auto"),
    Contender(BASELINE, "sklearn.preprocessing", "StandardScaler"),
    Contender(
        "oneDAL",
        "sklearnex.basic_statistics",
        "IncrementalBasicStatistics",
        # The variance of one row is NaN, and stays it.
        can=LEARNS | {"float32", "integers"},
        adapter=adapters.OneDALAdapter,
        # float32 is added up in float32.
        float32_error=1e-2,
        offset_power=2,
    ),
    Contender(
        "polars",
        "polars",
        adapters.PolarsAdapter,
        can=frozenset({"fit", "float32", "integers", "nan", "frames"}),
        float32_error=1e-4,
    ),
    Contender(
        "torch",
        "torch.nn",
        "BatchNorm1d",
        can=LEARNS | {"transform", "float32"},
        adapter=adapters.TorchAdapter,
        float32_error=1e-2,
        averages="batches",
    ),
    Contender(
        "River",
        "river.preprocessing",
        "StandardScaler",
        can=READS | {"partial_fit", "transform"},
        adapter=adapters.RiverAdapter,
        needs=("pandas",),
        float32_error=1e-4,
        offset_power=2,
    ),
    Contender(
        "dask-ml",
        "dask_ml.preprocessing",
        "StandardScaler",
        can=MAPS | {"fit", "float32", "nan"},
        adapter=adapters.DaskMLAdapter,
        float32_error=1e-3,
    ),
    Contender(
        "ondil",
        "ondil.scaler",
        "OnlineScaler",
        can=LEARNS | MAPS | {"float32", "weights", "pipeline"},
        adapter=adapters.OndilAdapter,
        float32_error=1e-3,
    ),
]


def everyone() -> list[Contender]:
    """The list, and the strangers that the environment names."""
    for folder in filter(None, os.environ.get(FOLDERS, "").split(os.pathsep)):
        if folder not in sys.path:
            sys.path.append(folder)
    given = os.environ.get(VARIABLE, "").split()
    return [*CONTENDERS, *(stranger(specification) for specification in given)]


def stranger(specification: str) -> Contender:
    """A contender from ``[NAME=]package.module:Class``.

    What is there may be a scaler's class, or a `Contender` which says more of one. Of a
    class in the list above holds what is said there; of others what their methods, the
    parameters of these and scikit-learn's tags tell.

    Raises
    ------
    ValueError
        The specification has another form.
    """
    form = re.fullmatch(r"(?:([^=\s]+)=)?([\w.]+):(\w+)", specification)
    if form is None:
        raise ValueError(f"{specification!r} is not [NAME=]package.module:Class")
    name, module, attribute = form.groups()
    return _described(name, module, attribute)


@cache
def _described(given: str | None, module: str, attribute: str) -> Contender:
    name = given or f"{module}:{attribute}"
    for each in CONTENDERS:
        if (each.module, each.make) == (module, attribute):
            return replace(each, name=name)
    entry = Contender(name, module, attribute)
    try:
        found = getattr(import_module(module), attribute)
        if isinstance(found, Contender):
            return replace(found, name=given or found.name)
        adapter = adapters.speaking_to(found)
        averages = "batches" if adapter is adapters.TorchAdapter else "rows"
        can = adapter.abilities(found)
        # Sums of float32 in float32 are few digits, not a wrong answer.
        entry = replace(entry, can=can, adapter=adapter, averages=averages)
        return replace(entry, float32_error=1e-2, offset_power=2)
    except Exception:  # noqa: BLE001
        # It is raised again, and told, in each row.
        return entry


def names(*needs: str) -> list[str]:
    """Names of the contenders that are installed and can do all that is needed."""
    return [each.name for each in everyone() if each.installed and each.can >= {*needs}]


def by_name(name: str) -> Contender:
    """The contender of that name.

    Raises
    ------
    KeyError
        There is none.
    """
    return {each.name: each for each in everyone()}[name]


def modules(names: list[str]) -> list[str]:
    """Where contenders are imported from, and what they need."""
    each = map(by_name, names)
    return [module for one in each for module in (one.module, *one.needs)]
