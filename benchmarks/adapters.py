"""How each library is asked for the same thing.

``Adapter`` speaks to scalers with the methods and attributes of scikit-learn's
``StandardScaler``; the others say where a library differs, and know its classes.
"""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import scipy.sparse


class Adapter:
    """A scaler as the benchmarks call it.

    Parameters
    ----------
    scaler : object
        With ``fit``, ``partial_fit``, ``transform``, ``inverse_transform``, ``mean_``
        and ``var_``, or as many of them as the contender says it can do.
    """

    # What scalers of this kind read, if nothing else is said.
    reads = frozenset({"float32", "one_row", "integers"})
    # Their method for each of what the benchmarks do.
    methods: ClassVar = {
        "fit": "fit",
        "partial_fit": "partial_fit",
        "transform": "transform",
        "inverse": "inverse_transform",
    }

    def __init__(self, scaler: Any) -> None:
        self.scaler = scaler

    @classmethod
    def of(cls, make: Callable[..., Any], *, sparse: bool = False) -> "Adapter":
        """A new scaler of a class, in its adapter."""
        return cls(make(with_mean=False) if sparse else make())

    @classmethod
    def speaks_to(cls, make: Any) -> bool:
        """Whether a class has the methods that this adapter calls."""
        return any(hasattr(make, method) for method in cls.methods.values())

    @classmethod
    def abilities(cls, make: Any) -> frozenset[str]:
        """What a class is able to do, from its methods, parameters and tags."""
        can = {able for able, name in cls.methods.items() if hasattr(make, name)}
        if "copy" in parameters(make, "transform"):
            can.add("transform_in_place")
        if "sample_weight" in parameters(make, "fit"):
            can.add("weights")
        if {"fit", "transform"} <= can and hasattr(make, "get_params"):
            can.add("pipeline")
        if hasattr(make, "__sklearn_tags__"):
            # Sparse data cannot be centred.
            centres = "with_mean" in parameters(make, "__init__")
            scaler = make(with_mean=False) if centres else make()
            tags = scaler.__sklearn_tags__().input_tags
            can |= {"nan"} if tags.allow_nan else set()
            can |= {"sparse"} if tags.sparse and centres else set()
        return cls.reads | can

    def prepare(self, X: Any) -> Any:
        """X as this library holds data; it is not timed."""
        return X

    def fit(self, X: Any, weights: Any = None) -> None:
        if weights is None:
            self.scaler.fit(X)
        else:
            self.scaler.fit(X, sample_weight=weights)

    def partial_fit(self, X: Any) -> None:
        self.scaler.partial_fit(X)

    def transform(self, X: Any) -> Any:
        return self.scaler.transform(X)

    def transform_in_place(self, X: Any) -> Any:
        return self.scaler.transform(X, copy=False)

    def inverse(self, X: Any) -> Any:
        return self.scaler.inverse_transform(X)

    def statistics(self) -> tuple[Any, Any]:
        """Mean and variance of each feature, as ``transform`` uses them."""
        return self.scaler.mean_, self.scaler.var_

    def to_numpy(self, X: Any) -> Any:
        """What ``transform`` returned as an array, or sparse; it is not timed."""
        return X if scipy.sparse.issparse(X) else np.asarray(X)


class MakesAnew(Adapter):
    """A scaler that is made when data are there, or once more."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make
        super().__init__(None)

    @classmethod
    def of(cls, make: Callable[..., Any], *, sparse: bool = False) -> Adapter:  # noqa: ARG003
        return cls(make)


class OneDALAdapter(MakesAnew):
    """scikit-learn-intelex's ``IncrementalBasicStatistics``: it divides by n - 1."""

    n = 0

    def _new(self) -> Any:
        return self.make(result_options=["mean", "variance"])

    def fit(self, X: Any, weights: Any = None) -> None:
        # Its own `fit` reads batches of five rows a feature, which is slower.
        self.scaler, self.n = self._new(), 0
        self.partial_fit(X)
        # What it has gathered becomes statistics when they are first asked for.
        self.statistics()

    def partial_fit(self, X: Any) -> None:
        if self.scaler is None:
            self.scaler = self._new()
        self.scaler.partial_fit(X)
        self.n += len(X)

    def statistics(self) -> tuple[Any, Any]:
        mean, variance = self.scaler.mean_, self.scaler.variance_
        return mean, variance * ((self.n - 1) / self.n)


class PolarsAdapter(Adapter):
    """Aggregations of a frame, whose missing values are null, not NaN."""

    def __init__(self) -> None:
        super().__init__(None)

    def prepare(self, X: Any) -> Any:
        import polars as pl

        if isinstance(X, pl.DataFrame):
            return X
        return (
            pl.from_numpy(X).fill_nan(None) if X.dtype.kind == "f" else pl.from_numpy(X)
        )

    def fit(self, X: Any, weights: Any = None) -> None:
        import polars as pl

        columns = pl.all()
        self.result = X.select(
            columns.mean().name.prefix("mean_"), columns.var(ddof=0).name.prefix("var_")
        )

    def statistics(self) -> tuple[Any, Any]:
        mean, variance = np.array_split(self.result.to_numpy()[0], 2)
        return mean, variance


class TorchAdapter(MakesAnew):
    """``BatchNorm1d`` with ``momentum=None``, which averages over batches."""

    # It refuses to learn from one row.
    reads = frozenset({"float32"})

    @classmethod
    def speaks_to(cls, make: Any) -> bool:
        return "num_features" in parameters(make, "__init__") and hasattr(
            make, "reset_running_stats"
        )

    @classmethod
    def abilities(cls, make: Any) -> frozenset[str]:  # noqa: ARG003
        return cls.reads | {"fit", "partial_fit", "transform"}

    def prepare(self, X: Any) -> Any:
        import torch

        with warnings.catch_warnings():
            # A tensor cannot be kept from being written to.
            warnings.filterwarnings("ignore", "The given NumPy array is not writ")
            return torch.from_numpy(X)

    def fit(self, X: Any, weights: Any = None) -> None:
        if self.scaler is not None:
            self.scaler.reset_running_stats()
        self.partial_fit(X)

    def partial_fit(self, X: Any) -> None:
        if self.scaler is None:
            self.scaler = self._new(X)
        elif not self.scaler.training:
            self.scaler.train()
        self.scaler(X)

    def _new(self, X: Any) -> Any:
        options = {"momentum": None, "affine": False, "dtype": X.dtype}
        # An epsilon of zero is refused; this one is lost beside any variance.
        return self.make(X.shape[1], eps=1e-30, **options)

    def transform(self, X: Any) -> Any:
        if self.scaler.training:
            self.scaler.eval()
        return self.scaler(X)

    def statistics(self) -> tuple[Any, Any]:
        return self.scaler.running_mean.numpy(), self.scaler.running_var.numpy()


class RiverAdapter(Adapter):
    """River's scalers learn from frames with named columns, or from one row's dict."""

    reads = frozenset({"float32", "one_row"})
    methods: ClassVar = {"partial_fit": "learn_many", "transform": "transform_many"}

    def prepare(self, X: Any) -> Any:
        import pandas as pd

        names = [f"x{j}" for j in range(X.shape[1])]
        if len(X) == 1:
            return dict(zip(names, X[0].tolist(), strict=True))
        return pd.DataFrame(X, columns=names)

    def partial_fit(self, X: Any) -> None:
        one = isinstance(X, dict)
        (self.scaler.learn_one if one else self.scaler.learn_many)(X)

    def transform(self, X: Any) -> Any:
        one = isinstance(X, dict)
        return (self.scaler.transform_one if one else self.scaler.transform_many)(X)

    def statistics(self) -> tuple[Any, Any]:
        means, variances = self.scaler.means, self.scaler.vars
        return (
            np.array([means[name] for name in means]),
            np.array([variances[name] for name in means]),
        )

    def to_numpy(self, X: Any) -> Any:
        return np.array([[*X.values()]]) if isinstance(X, dict) else np.asarray(X)


class DaskMLAdapter(Adapter):
    """dask-ml's scalers take Dask arrays, and their results are lazy."""

    reads = frozenset({"float32", "nan"})

    @classmethod
    def speaks_to(cls, make: Any) -> bool:
        return make.__module__.partition(".")[0] == "dask_ml"

    @classmethod
    def abilities(cls, make: Any) -> frozenset[str]:  # noqa: ARG003
        # Its `partial_fit` and its tags are scikit-learn's, and do not work.
        return cls.reads | {"fit", "transform", "inverse"}

    def prepare(self, X: Any) -> Any:
        import dask.array as da

        return da.from_array(X, chunks=("auto", X.shape[1]))

    def transform(self, X: Any) -> Any:
        return self.scaler.transform(X).compute()

    def inverse(self, X: Any) -> Any:
        return self.scaler.inverse_transform(X).compute()


class OndilAdapter(Adapter):
    """ondil's ``OnlineScaler``: later batches are passed to ``update``."""

    def partial_fit(self, X: Any) -> None:
        learn = self.scaler.update if hasattr(self.scaler, "mean_") else self.scaler.fit
        learn(X)


def speaking_to(make: Any) -> type[Adapter]:
    """The adapter for a class that nobody has said anything about.

    Raises
    ------
    TypeError
        It has no methods that one of them knows.
    """
    for adapter in (DaskMLAdapter, TorchAdapter, RiverAdapter, Adapter):
        if adapter.speaks_to(make):
            return adapter
    known = {name for each in (Adapter, RiverAdapter) for name in each.methods.values()}
    raise TypeError(f"{make!r} has no method of {', '.join(sorted(known))}")


def parameters(make: Any, method: str) -> frozenset[str]:
    """Names of the parameters of a method, if it is there."""
    found = getattr(make, method, None)
    return frozenset(inspect.signature(found).parameters if found else ())
