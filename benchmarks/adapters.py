"""How each library is asked for the same thing.

``Adapter`` speaks to scalers with the methods and attributes of scikit-learn's
``StandardScaler``; the others say where a library differs.
"""

import warnings
from typing import Any

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

    def __init__(self, scaler: Any) -> None:
        self.scaler = scaler

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


class OneDALAdapter(Adapter):
    """scikit-learn-intelex's ``IncrementalBasicStatistics``: it divides by n - 1."""

    def __init__(self) -> None:
        super().__init__(self._new())
        self.n = 0

    def _new(self) -> Any:
        from sklearnex.basic_statistics import IncrementalBasicStatistics

        return IncrementalBasicStatistics(result_options=["mean", "variance"])

    def fit(self, X: Any, weights: Any = None) -> None:
        # Its own `fit` reads batches of five rows a feature, which is slower.
        self.scaler, self.n = self._new(), 0
        self.partial_fit(X)
        # What it has gathered becomes statistics when they are first asked for.
        self.statistics()

    def partial_fit(self, X: Any) -> None:
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


class TorchAdapter(Adapter):
    """``BatchNorm1d`` with ``momentum=None``, which averages over batches."""

    def __init__(self) -> None:
        super().__init__(None)

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
        from torch.nn import BatchNorm1d

        options = {"momentum": None, "affine": False, "dtype": X.dtype}
        # An epsilon of zero is refused; this one is lost beside any variance.
        return BatchNorm1d(X.shape[1], eps=1e-30, **options)

    def transform(self, X: Any) -> Any:
        if self.scaler.training:
            self.scaler.eval()
        return self.scaler(X)

    def statistics(self) -> tuple[Any, Any]:
        return self.scaler.running_mean.numpy(), self.scaler.running_var.numpy()


class RiverAdapter(Adapter):
    """River's ``StandardScaler``, which learns from frames with named columns."""

    def __init__(self) -> None:
        from river.preprocessing import StandardScaler

        super().__init__(StandardScaler())

    def prepare(self, X: Any) -> Any:
        import pandas as pd

        return pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])

    def partial_fit(self, X: Any) -> None:
        self.scaler.learn_many(X)

    def transform(self, X: Any) -> Any:
        return self.scaler.transform_many(X)

    def statistics(self) -> tuple[Any, Any]:
        means, variances = self.scaler.means, self.scaler.vars
        return (
            np.array([means[name] for name in means]),
            np.array([variances[name] for name in means]),
        )


class DaskMLAdapter(Adapter):
    """dask-ml's ``StandardScaler``: its results are lazy."""

    def __init__(self) -> None:
        from dask_ml.preprocessing import StandardScaler

        super().__init__(StandardScaler())

    def prepare(self, X: Any) -> Any:
        import dask.array as da

        return da.from_array(X, chunks=("auto", X.shape[1]))

    def transform(self, X: Any) -> Any:
        return self.scaler.transform(X).compute()

    def inverse(self, X: Any) -> Any:
        return self.scaler.inverse_transform(X).compute()


class OndilAdapter(Adapter):
    """ondil's ``OnlineScaler``: later batches are passed to ``update``."""

    def __init__(self) -> None:
        from ondil.scaler import OnlineScaler

        super().__init__(OnlineScaler())

    def partial_fit(self, X: Any) -> None:
        learn = self.scaler.update if hasattr(self.scaler, "mean_") else self.scaler.fit
        learn(X)
