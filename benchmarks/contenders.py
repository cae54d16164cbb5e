"""The one list of what is measured. Adding a contender is one entry at its end."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from benchmarks import adapters
from benchmarks.adapters import Adapter

BASELINE = "StandardScaler"

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
    needs: tuple[str, ...] = ()
    error: float = 1e-12
    float32_error: float = 1e-12
    offset_power: int = 1
    averages: str = "rows"

    @property
    def installed(self) -> bool:
        tops = (name.partition(".")[0] for name in (self.module, *self.needs))
        return all(find_spec(top) is not None for top in tops)

    def create(self, *, sparse: bool = False) -> Adapter:
        """A new scaler.

        Raises
        ------
        NotImplementedError
            It is not there, or cannot read such data; asv then skips the benchmark.
        """
        try:
            if isinstance(self.make, str):
                scaler = getattr(import_module(self.module), self.make)
                return Adapter(scaler(with_mean=False) if sparse else scaler())
            return self.make(sparse=True) if sparse else self.make()
        except ImportError as error:
            raise NotImplementedError(f"{self.name}: {error}") from error

    def tolerance(self, dtype: Any, distance: float) -> float:
        """Error allowed at a distance from zero in standard deviations."""
        error = self.float32_error if dtype == "float32" else self.error
        return error * max(1.0, distance) ** self.offset_power


def skbn(engine: str, *, sparse: bool = False) -> Adapter:
    from skbn import BatchNormTransformer

    # Commits before the engine was there are skipped; it was a file once.
    found = (find_spec(f"skbn.engines.{engine}{end}") for end in ("", "_engine"))
    if not any(found):
        raise NotImplementedError(f"skbn has no engine {engine} yet")
    scaler = BatchNormTransformer(engine=engine, with_mean=not sparse)
    if sparse and not scaler.__sklearn_tags__().input_tags.sparse:
        raise NotImplementedError("skbn reads no sparse matrices yet")
    return Adapter(scaler)


CONTENDERS = [
    Contender(
        "skbn-numba",
        "skbn",
        lambda **options: skbn("numba", **options),
        needs=("numba",),
        error=1e-14,
        float32_error=1e-14,
        offset_power=0,
    ),
    Contender(
        "skbn-numpy",
        "skbn",
        lambda **options: skbn("numpy", **options),
        error=1e-14,
        float32_error=1e-14,
        offset_power=0,
    ),
    Contender(BASELINE, "sklearn.preprocessing", "StandardScaler"),
    Contender(
        "oneDAL",
        "sklearnex.basic_statistics",
        adapters.OneDALAdapter,
        # The variance of one row is NaN, and stays it.
        can=LEARNS | {"float32", "integers"},
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
        "torch",
        adapters.TorchAdapter,
        # It refuses to learn from one row.
        can=LEARNS | {"transform", "float32"},
        float32_error=1e-2,
        averages="batches",
    ),
    Contender(
        "River",
        "river.preprocessing",
        adapters.RiverAdapter,
        can=READS | {"partial_fit", "transform"},
        needs=("pandas",),
        float32_error=1e-4,
        offset_power=2,
    ),
    Contender(
        "dask-ml",
        "dask_ml.preprocessing",
        adapters.DaskMLAdapter,
        can=MAPS | {"fit", "float32", "nan"},
        float32_error=1e-3,
    ),
    Contender(
        "ondil",
        "ondil.scaler",
        adapters.OndilAdapter,
        can=LEARNS | MAPS | {"float32", "weights", "pipeline"},
        float32_error=1e-3,
    ),
]


def names(*needs: str) -> list[str]:
    """Names of the contenders that are installed and can do all that is needed."""
    return [each.name for each in CONTENDERS if each.installed and each.can >= {*needs}]


def by_name(name: str) -> Contender:
    """The contender of that name.

    Raises
    ------
    KeyError
        There is none.
    """
    return {each.name: each for each in CONTENDERS}[name]
