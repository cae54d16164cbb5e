"""BatchNormTransformer: the scikit-learn contract."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from functools import cache, reduce
from numbers import Integral, Real
from operator import attrgetter, is_
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skbn import engines, threads
from skbn._sklearn import (
    NO_TASK,
    CallbackSupportMixin,
    FitTask,
    Interval,
    QuickTransformMixin,
    StrOptions,
    array_like,
    fit_task,
    refuse_other_namespace,
    to_numpy,
    validate_parameter_constraints,
)
from skbn.affine import Affine, affine, computed_once, refuse_endless
from skbn.averaging import Averaging, averaging
from skbn.checks import (
    check_clip,
    check_per_feature,
    check_same_features,
    check_same_parameters,
    check_weights,
    infinity_error,
)
from skbn.engines.base import InfinityInBlockError
from skbn.running import Running, batches

Array = NDArray[np.float64]
Parameters = tuple[Any, ...]

# All that ``fit`` sets, and takes away. ``_space`` is an empty array of the library and
# device of the data, where not NumPy's: what scikit-learn's conversion of estimators
# moves.
FITTED = ("n_features_in_", "feature_names_in_", "_running", "_space")
SCALARS = frozenset({type(None), bool, int, float, str})


class RunningView:
    """Running statistics under the parameters of the moment, computed when asked for.

    One record and one set of parameters: what is read of a view belongs together,
    whatever other threads do.

    Parameters
    ----------
    running : Running
    key : tuple
        From ``parameters_of``: to tell a change.
    parameters : named tuple
    """

    def __init__(self, running: Running, key: Parameters, parameters: Any) -> None:
        self.running, self.key, self.parameters = running, key, parameters

    @computed_once
    def statistics(self) -> tuple[tuple[Array, Array], Array]:
        """Mean as a pair, and variance."""
        return self.running.statistics(self.parameters.ddof)

    @computed_once
    def scaling(self) -> tuple[NDArray[np.bool_], Array]:
        """Whether each feature is constant, and what it is divided by."""
        its, ((mean, _), variance) = self.parameters, self.statistics
        constant, scale = engines.scaling(its.engine)(
            mean,
            variance,
            self.running.n_samples,
            with_mean=its.with_mean,
            epsilon=its.epsilon,
        )
        constant.flags.writeable = scale.flags.writeable = False
        return constant, scale

    @computed_once
    def affine(self) -> Affine:
        """The map of ``transform``."""
        its = self.parameters
        n_features = len(self.statistics[1])
        return affine(
            self.statistics[0] if its.with_mean else None,
            self.scaling[1] if its.with_std else None,
            check_per_feature(its.gamma, "gamma", n_features),
            check_per_feature(its.beta, "beta", n_features),
            check_clip(its.clip),
        )


class Derived:
    """What can be made anew, beside the ``__dict__``.

    That is what scikit-learn compares, copies and pickles, and ``transform`` must not
    change it.

    Attributes
    ----------
    _checked : tuple
        Parameters that are valid, and the averaging that they ask for.
    _last_view : RunningView
    """

    __slots__ = ("_checked", "_last_view")
    _checked: tuple[Parameters, Averaging]
    _last_view: RunningView


# FrozenEstimator shows what it has frozen, and scikit-learn copies and pickles nothing
# that shows it.
del Derived.__slots__


class BatchNormTransformer(
    Derived,
    QuickTransformMixin,
    CallbackSupportMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
    BaseEstimator,
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
        What computes: "numpy"; "numba", the extra ``skbn[numba]``; or "auto". That
        takes Numba, where it is installed, for 2**25 values (sparse: 2**21) and more
        at once, for a stream after 2**27 values of one dtype where the kernels are on
        the disk, after 2**31 where they must be compiled (a call counts as 2**12; of
        a file all values count before the first is read), and from then on in this
        process. The engines agree to 15 digits, not to the last
        bit: with "auto" the last bits of a result may depend on what was computed
        before it. Name an engine where two runs must give the same bits. What no
        kernel of Numba takes, NumPy computes also where that was asked for by name:
        output of float16, for one; ``skbn.engines.numba`` and ``sparse`` list it.
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

    **Threads.** While one thread fits or changes parameters, others may transform and
    read attributes: each result is of one state of the statistics. Several threads may
    call ``partial_fit`` and ``merge`` at the same time: no batch is lost, and they come
    in the order in which they are stored. A single thread makes better use of the
    cores, since a batch that another has overtaken is learnt again.

    **Clusters.** Arrays and DataFrames of Dask are fitted in one pass, a block as a
    batch, and DataFrames of Spark in one job, each as a batch, with a column's name for
    ``sample_weight``. They, and lazy tables of polars, DuckDB and Narwhals, are
    transformed lazily, into their own kind.

    **Callbacks.** From scikit-learn 1.9 on ``set_callbacks`` takes its callbacks, a
    progress bar for instance. ``fit`` with a ``batch_size`` is a task of its own for
    each batch, after which a callback may stop it.

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
        with fit_task(self) as task:
            fitted = self._fit(X, sample_weight, task, self.batch_size, some=True)
            with threads.exclusive():
                self.__dict__ = self._unfitted_attributes() | fitted
            task.end(X, fitted)
        return self

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
        with fit_task(self) as task:
            task.end(X, self._learn(X, sample_weight, task))
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
        transformers: tuple[BatchNormTransformer, ...] = (self, *others)

        def learn(running: Running | None) -> dict[str, Any]:
            records = [running, *(vars(other).get("_running") for other in others)]
            fitted = [
                (transformer, record)
                for transformer, record in zip(transformers, records, strict=True)
                if record is not None
            ]
            if not fitted:
                return {}
            first = fitted[0][0]
            for transformer, record in fitted:
                transformer._refuse_other_averaging(record)
                check_same_features(first, transformer)
            merged = reduce(Running.merge, (record for _, record in fitted))
            return first._fitted_attributes(merged)

        self._update(learn)
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
            float32 for float32 and bfloat16, float16 for float16, else float64.

        Raises
        ------
        ValueError
            X does not fit, or holds an infinity; X is then unchanged.
        """
        return self._map(*self._check(X), self._current_map(), copy)

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
            X does not fit, holds an infinity, or ``gamma`` is zero somewhere, or a
            variance infinite.
        """
        reader, X = self._check(X, names=False)
        forward = self._current_map()
        refuse_endless(forward, "inverse")
        return self._map(reader, X, forward.inverse, copy)

    # Fitted attributes

    @property
    def mean_(self) -> NDArray[np.float64] | None:
        """Running mean of each feature; None without ``with_mean`` and ``with_std``."""
        view = self._view("mean_")
        if not (view.parameters.with_mean or view.parameters.with_std):
            return None
        return self._as_fitted(view.statistics[0][0])

    @property
    def var_(self) -> NDArray[np.float64] | None:
        """Running variance of each feature; None without ``with_std``."""
        view = self._view("var_")
        return self._as_fitted(view.statistics[1]) if self.with_std else None

    @property
    def scale_(self) -> NDArray[np.float64] | None:
        """What each feature is divided by; None without ``with_std``."""
        view = self._view("scale_")
        return self._as_fitted(view.scaling[1]) if self.with_std else None

    @property
    def constant_features_(self) -> NDArray[np.bool_] | None:
        """Whether the spread of a feature is rounding noise, and not divided by."""
        view = self._view("constant_features_")
        return self._as_fitted(view.scaling[0]) if self.with_std else None

    @property
    def n_samples_seen_(self) -> int | float | NDArray[Any]:
        """Rows, or sum of weights, seen; an array where features differ."""
        seen = self._view("n_samples_seen_").running.n_samples
        return self._as_fitted(seen) if isinstance(seen, np.ndarray) else seen

    @property
    def n_batches_seen_(self) -> int:
        """Number of batches seen."""
        return self._view("n_batches_seen_").running.n_batches

    # Learning. Nothing is changed until all is known.

    def _fit(
        self,
        X: Any,
        sample_weight: Any,
        task: FitTask,
        batch_size: int | None = None,
        *,
        some: bool = False,
    ) -> dict[str, Any]:
        """Return the attributes of a transformer that is fitted on X alone.

        ``some`` says that not all of the weights may be zero.
        """
        asked = self._checked_averaging()
        twin = self._unfitted()
        X = engines.with_weights(X, sample_weight)
        reader = engines.reader(X, self.engine, self.n_threads)
        X = reader.check(twin, X, reset=True)
        if reader.reads_collections:
            start = twin._running = Running.start(asked, X.shape[1])
            twin._current_map()  # gamma, beta and clip fit the features
            task.begin(X, sample_weight, 1)
            options = {"batch_size": batch_size, "some": some}
            running = reader.learn(X, sample_weight, start, **options)
            return twin._fitted_attributes(running)
        n_samples = X.shape[0]
        weights = None
        if sample_weight is not None:
            weights = check_weights(sample_weight, n_samples, some=some)
        size = batch_size or n_samples
        task.begin(X, weights, -(-n_samples // size))
        twin._running = Running.start(asked, X.shape[1])
        try:
            for part, its in batches(X, weights, size, reader):
                if size < n_samples:
                    task.begin_batch(part)
                twin._running = twin._running.learn(part, its, reader)
                fitted = twin._fitted_attributes(twin._running)
                if size < n_samples and task.end_batch(part, fitted):
                    break
        except InfinityInBlockError:
            raise twin._infinity_error(X, reader) from None
        twin._current_map()  # gamma, beta and clip fit the features
        return fitted

    def _fit_more(
        self, running: Running, X: Any, sample_weight: Any, task: FitTask
    ) -> dict[str, Any]:
        """Return the attributes once one more batch has been seen."""
        self._refuse_other_averaging(running)
        reader, X = self._check(engines.with_weights(X, sample_weight))
        if reader.reads_collections:
            task.begin(X, sample_weight, 1)
            start = Running.start(running.averaging, self.n_features_in_)
            later = reader.learn(X, sample_weight, start)
            return {"_running": running.merge(later, reader.combine)}
        weights = None
        if sample_weight is not None:
            weights = check_weights(sample_weight, X.shape[0])
        task.begin(X, weights, 1)
        try:
            return {"_running": running.learn(X, weights, reader)}
        except InfinityInBlockError:
            raise self._infinity_error(X, reader) from None

    def _learn(
        self, X: Any, sample_weight: Any, task: FitTask = NO_TASK
    ) -> dict[str, Any]:
        """Learn one more batch, or the first one; return the attributes."""

        def learn(running: Running | None) -> dict[str, Any]:
            if running is None:
                return self._fit(X, sample_weight, task)
            return self._fit_more(running, X, sample_weight, task)

        return self._update(learn)

    def _update(self, learn: Callable[[Running | None], dict[str, Any]]) -> Any:
        """Take over the attributes that ``learn`` returns for a record; return them.

        It is called again where another thread has stored a record in between: what
        it learns then comes after that, and no batch is lost.
        """
        while True:
            running = self.__dict__.get("_running")
            fitted = learn(running)
            with threads.exclusive():
                if self.__dict__.get("_running") is running:
                    self.__dict__.update(fitted)
                    return fitted

    def _unfitted(self) -> Self:
        """Return a transformer with the same parameters, for the checks to fit."""
        twin = object.__new__(type(self))
        twin.__dict__ = self._unfitted_attributes()
        return twin

    def _unfitted_attributes(self) -> dict[str, Any]:
        state = self.__dict__.copy()  # of one moment, whatever other threads add
        return {name: value for name, value in state.items() if name not in FITTED}

    def _fitted_attributes(self, running: Running) -> dict[str, Any]:
        state = self.__dict__
        return {name: state[name] for name in FITTED if name in state} | {
            "_running": running
        }

    def _checked_averaging(self) -> Averaging:
        """Return the averaging asked for; parameters are checked when they change."""
        values, key = parameters_of(self)
        checked = getattr(self, "_checked", None)
        if checked is None or (checked[0] is not key and checked[0] != key):
            its = by_name(self, values)
            validate_parameter_constraints(
                self._parameter_constraints, its._asdict(), type(self).__name__
            )
            asked = averaging(
                its.momentum,
                its.halflife,
                zero_debias=its.zero_debias,
                ddof=its.ddof,
            )
            checked = self._checked = key, asked
        return checked[1]

    def _refuse_other_averaging(self, running: Running) -> None:
        asked = self._checked_averaging()
        if asked is not running.averaging and asked != running.averaging:
            raise ValueError(
                f"The averaging was changed from {running.averaging} to {asked} after "
                "fitting: call fit to start anew, or set the parameter back."
            )

    # Reading and mapping

    def _check(self, X: Any, *, names: bool = True) -> tuple[engines.Reader, Any]:
        """Return the engine that reads X, and X as it wants it.

        ``names`` says whether those of the features are compared.
        """
        if "_running" not in self.__dict__:
            check_is_fitted(self)
        reader = engines.reader(X, self.engine, self.n_threads)
        if "_space" in self.__dict__:
            refuse_other_namespace(self, X, self._space)
        return reader, reader.check(self, X, reset=False, names=names)

    def _view(self, attribute: str = "_running") -> RunningView:
        """Return what the record and the parameters of this moment say together."""
        running = self.__dict__.get("_running")
        if running is None:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute {attribute!r} "
                "before it is fitted"
            )
        values, key = parameters_of(self)
        view = getattr(self, "_last_view", None)
        if (
            view is None
            or view.running is not running
            or (view.key is not key and view.key != key)
        ):
            view = self._last_view = RunningView(running, key, by_name(self, values))
        return view

    def _current_map(self) -> Affine:
        """Return the map of ``transform``, from parameters that are valid."""
        view = self._view()
        checked = getattr(self, "_checked", None)
        if checked is None or view.key is not checked[0]:
            self._checked_averaging()
        return view.affine

    def _map(
        self, reader: engines.Reader, X: Any, affine: Affine, copy: bool | None
    ) -> Any:
        copy = self.copy if copy is None else copy
        try:
            return reader.normalize(self, X, affine, copy=copy)
        except InfinityInBlockError:
            raise self._infinity_error(X, reader) from None

    def _infinity_error(self, X: Any, reader: engines.Reader) -> ValueError:
        names = getattr(self, "feature_names_in_", None)
        return infinity_error(X, reader.find_infinity(X), names)

    _returns_lazily = staticmethod(engines.is_lazy)

    def _as_fitted(self, values: NDArray[Any]) -> Any:
        """The values as an array of the library and device that ``fit`` saw."""
        return array_like(values, self.__dict__.get("_space"))

    def __sklearn_is_fitted__(self) -> bool:
        return "_running" in self.__dict__

    # Pickles, and skops, which trusts arrays, what Python has built in, and no class
    # but those that it is told to.

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if "_running" in state:
            state["_running"] = state["_running"].to_builtins()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_running" in state:
            state = state | {"_running": Running.from_builtins(state["_running"])}
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = tags.input_tags.allow_nan = True
        tags.input_tags.sparse = (
            not self.with_mean or self.sparse_output == "linear_operator"
        )
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


# Parameters, to tell a change


@cache
def _looks_at_parameters(cls: Any) -> tuple[Callable[[Any], Parameters], Any]:
    """What returns the values of an object's parameters, and a named tuple of them."""
    # A subclass may take fewer, and set the others.
    names = dict.fromkeys(
        (*BatchNormTransformer._get_param_names(), *cls._get_param_names())
    )
    return attrgetter(*names), namedtuple("Parameters", names, rename=True)


def by_name(transformer: Any, values: Parameters) -> Any:
    """Return the values as a named tuple: 1 µs less than a ``dict`` of them."""
    cls: Any = type(transformer)
    return _looks_at_parameters(cls)[1]._make(values)


def parameters_of(transformer: BatchNormTransformer) -> tuple[Parameters, Parameters]:
    """Return the values of all parameters, and a key that tells when they change.

    Both from one look, since another thread may set parameters. The key has in place
    of arrays what they hold at present.
    """
    cls: Any = type(transformer)
    values = _looks_at_parameters(cls)[0](transformer)
    checked = getattr(transformer, "_checked", None)
    # Arrays have been replaced in the key: they are never the same.
    if checked is not None and all(map(is_, values, checked[0])):
        return values, checked[0]
    return values, tuple(map(_frozen, values))


def _frozen(value: Any) -> Any:
    if type(value) in SCALARS:
        return value
    try:
        values = np.asarray(to_numpy(value))
    except (TypeError, ValueError):  # what no parameter takes
        return repr(value)
    return values.shape, values.dtype, values.tobytes()
