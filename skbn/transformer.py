"""BatchNormTransformer: the scikit-learn contract."""

from __future__ import annotations

from functools import reduce
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skbn.learning import RunningLearner
from skbn.mapping import RunningMap
from skbn.output import quick_output
from skbn.running import Running
from skbn.validation import (
    check_same_features,
    check_same_parameters,
    check_weights,
)


class BatchNormTransformer(
    RunningLearner, RunningMap, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """Standardise features by running means and variances.

    Each feature is normalised by its own statistics::

        gamma * (x - mean_) / sqrt(var_ + epsilon) + beta

    With its defaults it is a drop-in replacement for
    :class:`sklearn.preprocessing.StandardScaler` whose results do not depend on how
    the data was cut into batches.

    Parameters
    ----------
    momentum : float in (0, 1], default=None
        Average over batches as batch norm does: the **new** batch weighs
        ``momentum``, older ones fade by ``1 - momentum`` a batch.
    halflife : float, default=None
        Average over rows with weights ``2**(-age / halflife)``, the age counted in
        rows, whatever the batches. With neither, every row counts the same for ever.
    zero_debias : bool, default=True
        With True, the momentum's averages are divided by the weight gathered, so
        that early statistics are unbiased. With False they start from mean 0 and
        variance 1, as in PyTorch and Keras.
    ddof : int, default=0
        The variance is divided by the number of rows (or weight) minus ``ddof``.
    epsilon : float, default=0.0
        Added to the variance, in squared units of the data; 1e-5 is batch norm's
        usual floor. With 0, constant features are recognised and not scaled.
    with_mean : bool, default=True
        Whether to subtract the mean.
    with_std : bool, default=True
        Whether to divide by the standard deviation.
    gamma, beta : float or array-like of shape (n_features,), default=None
        Scale and shift of the standardised values; None means 1 and 0.
    clip : float or (float, float), default=None
        Bounds of the output: ``(-clip, clip)`` for a number. NaN stays.
    batch_size : int, default=None
        ``fit`` takes this many rows at a time, all at once with None. The result
        depends on it for ``momentum`` alone.
    copy : bool, default=True
        With False, ``transform`` overwrites a writeable array of floats.
    engine : str, default="auto"
        What computes: "numpy"; "numba", the extra ``skbn[numba]``, which reads any
        real dtype as it is and memory once; or "auto". That takes Numba, where it is
        installed, for 2**25 values (sparse: 2**21) and more, or once it is compiled
        in this process (some ten seconds, the first time on a machine). The engines
        agree to 15 digits, not to the last bit.
    n_threads : int, default=None
        Threads for large arrays; None for every core this process may use, one in
        a joblib worker. The result does not depend on it, to the last bit.
    sparse_output : {"matrix", "linear_operator"}, default="matrix"
        What sparse data become that would be dense, for ``with_mean=True`` or
        ``beta``: an error, or a :class:`scipy.sparse.linalg.LinearOperator` (float64)
        that adds the shift to products and stores no zero, for ``svds``, ``lsqr`` and
        the like. ``inverse_transform`` takes it back to the matrix. All else stays
        CSR or CSC.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,), float64, or None
        Running mean; NaN where nothing was seen. None without ``with_mean`` and
        ``with_std``.
    var_ : ndarray of shape (n_features,), float64, or None
        Running variance; NaN where no more than ``ddof`` rows were seen. None
        without ``with_std``.
    scale_ : ndarray of shape (n_features,), float64, or None
        ``sqrt(var_ + epsilon)``; 1 for constant features. None without ``with_std``.
    constant_features_ : ndarray of shape (n_features,), bool, or None
        Features not scaled since their spread is rounding noise (if ``epsilon`` is 0).
    n_samples_seen_ : int, float, or ndarray of shape (n_features,)
        Valid rows seen, or the sum of their weights if any were given; an array
        where features differ.
    n_batches_seen_ : int
        Batches seen.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where the data had names that are all strings.

    See Also
    --------
    skbn.batch_norm : Normalise one batch by its own statistics.

    Notes
    -----
    NaN is left out of the statistics and kept in the output. A feature without a
    valid value in a batch keeps its statistics. Infinity is an error.

    A feature is constant where its variance is at most
    ``n * eps * var + (n * mean * eps)**2``, the bound of StandardScaler. The second
    ``n`` is that scaler's rounding error; with ``with_mean=True`` it stops counting
    at 128 here, so that features with an offset of 1e12 times their spread are
    scaled, however many rows there are.

    **Momentum** goes by many names. This class weighs the new batch, as PyTorch does:

    ================================  ======================  ========================
    library and its parameter         weight of the new       here
    ================================  ======================  ========================
    PyTorch ``momentum=m``            m a batch               ``momentum=m``
    Keras ``momentum=m``              1 - m a batch           ``momentum=1 - m``
    Flax ``momentum=m``               1 - m a batch           ``momentum=1 - m``
    pandas ``ewm(halflife=h)``        1 - 2**(-1/h) a row     ``halflife=h``
    pandas ``ewm(alpha=a)``           a a row                 ``halflife=h(a)``
    pandas ``ewm(span=s)``            a = 2/(s + 1) a row     ``halflife=h(a)``
    River ``fading_factor=f``         f a row                 ``halflife=h(f)``
    ================================  ======================  ========================

    where ``h(a) = -1 / log2(1 - a)``.

    With ``momentum`` the running variance is the average of the variances within the
    batches, Ioffe & Szegedy's definition; the cumulative average and the half-life
    include the variance between batches. ``momentum=None`` is cumulative over
    **rows**. PyTorch's ``momentum=None`` averages over **batches** and loses the
    variance between them: after ten batches of zeros and ninety of tens its running
    variance is 0 (here 9, the variance of the rows), and a short last batch counts
    as much as a full one.

    ``momentum=m, zero_debias=False, ddof=1, epsilon=1e-5`` gives the numbers of
    ``torch.nn.BatchNorm1d(momentum=m, affine=False)``. ``halflife=h`` gives those of
    pandas ``ewm(halflife=h, adjust=True)``, ``var(bias=True)``, at the last row. A
    batch with no more than ``ddof`` valid rows moves momentum's mean and not its
    variance.

    Means and variances are kept as pairs of float64 and combined by the difference
    of means (Chan, Golub & LeVeque 1983), so that they agree with exact arithmetic
    to 15 digits. Both parts of the mean are subtracted.

    Examples
    --------
    >>> import numpy as np
    >>> from skbn import BatchNormTransformer
    >>> stream = [np.array([[1.0, 10.0], [3.0, 50.0]]), np.array([[5.0, 30.0]])]
    >>> scaler = BatchNormTransformer()
    >>> for batch in stream:
    ...     scaler = scaler.partial_fit(batch)
    >>> scaler.mean_
    array([ 3., 30.])
    >>> scaler.transform(np.array([[3.0, 30.0]]))
    array([[0., 0.]])
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012
        "momentum": [Interval(Real, 0, 1, closed="right"), None],
        "halflife": [Interval(Real, 0, None, closed="neither"), None],
        "zero_debias": ["boolean"],
        "ddof": [Interval(Integral, 0, None, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "with_mean": ["boolean"],
        "with_std": ["boolean"],
        "gamma": [Interval(Real, None, None, closed="neither"), "array-like", None],
        "beta": [Interval(Real, None, None, closed="neither"), "array-like", None],
        "clip": [Interval(Real, 0, None, closed="neither"), tuple, list, None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "copy": ["boolean"],
        "engine": [str],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "sparse_output": [StrOptions({"matrix", "linear_operator"})],
    }

    def __init__(
        self,
        *,
        momentum: float | None = None,
        halflife: float | None = None,
        zero_debias: bool = True,
        ddof: int = 0,
        epsilon: float = 0.0,
        with_mean: bool = True,
        with_std: bool = True,
        gamma: ArrayLike | None = None,
        beta: ArrayLike | None = None,
        clip: float | tuple[float, float] | None = None,
        batch_size: int | None = None,
        copy: bool = True,
        engine: str = "auto",
        n_threads: int | None = None,
        sparse_output: str = "matrix",
    ) -> None:
        self.momentum = momentum
        self.halflife = halflife
        self.zero_debias = zero_debias
        self.ddof = ddof
        self.epsilon = epsilon
        self.with_mean = with_mean
        self.with_std = with_std
        self.gamma = gamma
        self.beta = beta
        self.clip = clip
        self.batch_size = batch_size
        self.copy = copy
        self.engine = engine
        self.n_threads = n_threads
        self.sparse_output = sparse_output

    def fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Forget what was seen before and compute the statistics of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data, one example a row. NaN is left out.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, zero or more.

        Returns
        -------
        self : BatchNormTransformer

        Raises
        ------
        ValueError
            X or sample_weight is not valid; the transformer is then unchanged.
        """
        return self._fit_from_scratch(X, sample_weight, self.batch_size)

    def partial_fit(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Let one more batch enter the running statistics.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The batch, one example a row, one row or more. NaN is left out.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row, zero or more.

        Returns
        -------
        self : BatchNormTransformer

        Raises
        ------
        ValueError
            X or sample_weight is not valid; the transformer is then unchanged.
        """
        running = self.__dict__.get("_running")
        if running is None:
            return self._fit_from_scratch(X, sample_weight, None, partly=True)
        if self._averaging_asked() != self._averaging_used:
            self._refuse_other_averaging(running)
        X = self._checked(X, reset=False)
        weights = None
        if sample_weight is not None:
            weights = check_weights(sample_weight, X.shape[0])
        self._running = self._after(running, X, weights, X.shape[0])
        return self

    def merge(self, *others: BatchNormTransformer) -> Self:
        """Absorb what others have seen, as if their batches had come next.

        Parameters
        ----------
        *others : BatchNormTransformer
            Transformers with the same parameters, fitted on later parts of the same
            stream, in order. Those that are not fitted change nothing.

        Returns
        -------
        self : BatchNormTransformer

        Raises
        ------
        ValueError
            Parameters, number or names of features differ; self is then unchanged.
        TypeError
            One of the others is not a BatchNormTransformer.

        Examples
        --------
        >>> import numpy as np
        >>> from skbn import BatchNormTransformer
        >>> X = np.arange(12.0).reshape(6, 2)
        >>> first = BatchNormTransformer(halflife=2).fit(X[:2])
        >>> rest = BatchNormTransformer(halflife=2).fit(X[2:])
        >>> whole = BatchNormTransformer(halflife=2).fit(X)
        >>> bool(np.allclose(first.merge(rest).mean_, whole.mean_, rtol=1e-14))
        True
        """
        for position, other in enumerate(others):
            if not isinstance(other, BatchNormTransformer):
                raise TypeError(
                    f"merge takes BatchNormTransformers; number {position} is a "
                    f"{type(other).__name__}."
                )
            check_same_parameters(self, other, position)
        streams: tuple[BatchNormTransformer, ...] = (self, *others)
        fitted = [t for t in streams if "_running" in t.__dict__]
        if not fitted:
            return self
        first = fitted[0]
        for one in fitted:
            one._refuse_other_averaging(one._running)
            check_same_features(first, one)
        running = reduce(Running.merge, (t._running for t in fitted))
        for name in ("n_features_in_", "feature_names_in_", "_averaging_used"):
            if hasattr(first, name):
                setattr(self, name, getattr(first, name))
        self._running = running
        return self

    def transform(self, X: Any, copy: bool | None = None) -> Any:
        """Normalise X by the running statistics.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The data. NaN is kept.
        copy : bool, default=None
            Whether to leave X alone; None means the parameter ``copy``.
            With False, X is overwritten if it is a writeable array of floats.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            float32 for float32, float16 for float16, else float64.

        Raises
        ------
        ValueError
            X does not fit, or holds an infinity; X is then unchanged.
        """
        if "_running" not in self.__dict__:
            check_is_fitted(self)
        X = self._checked(X, reset=False)
        return self._map(X, self._affine(), copy)

    def inverse_transform(self, X: Any, copy: bool | None = None) -> NDArray[Any]:
        """Map normalised data back to the original units; clipping stays.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Normalised data. NaN is kept.
        copy : bool, default=None
            As for ``transform``.

        Returns
        -------
        ndarray of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            X does not fit, holds an infinity, or ``gamma`` is zero somewhere.
        """
        if "_running" not in self.__dict__:
            check_is_fitted(self)
        X = self._checked(X, reset=False, names=False)
        forward = self._affine()
        if forward.scale is not None and np.isinf(forward.scale).any():
            feature = int(np.argmax(np.isinf(forward.scale)))
            raise ValueError(f"gamma is 0 for feature {feature}: there is no inverse.")
        return self._map(X, forward.inverse(), copy)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = tags.input_tags.allow_nan = True
        tags.input_tags.sparse = (
            not self.with_mean or self.sparse_output == "linear_operator"
        )
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


BatchNormTransformer.transform = quick_output(BatchNormTransformer.transform)  # type: ignore[method-assign]
