"""Batch normalisation of one minibatch by its own statistics."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from skbn.transformer import BatchNormTransformer


def batch_norm(
    H: Any,
    *,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    epsilon: float = 0.0,
) -> Any:
    """Normalise a minibatch by its own mean and standard deviation.

    Every unit (column) is normalised by its own statistics, taken over the rows::

        mu[j]     = mean(H[:, j])
        sigma2[j] = mean((H[:, j] - mu[j])**2)
        out[i, j] = gamma[j] * (H[i, j] - mu[j]) / sqrt(sigma2[j] + epsilon) + beta[j]

    Parameters
    ----------
    H : array-like, DataFrame or array of another library, of shape (m, n_units)
        Design matrix of a minibatch, one example a row. NaN is left out of the
        statistics and kept in the result.
    gamma, beta : float or array-like of shape (n_units,), default=None
        Scale and shift of each unit; None means 1 and 0.
    epsilon : float, default=0.0
        Added to the variance. With 0, a constant unit is centred and not scaled.

    Returns
    -------
    ndarray of shape (m, n_units), or what ``BatchNormTransformer.transform`` returns
        float32 for float32, float16 for float16, else float64.

    Raises
    ------
    ValueError
        H is not a two-dimensional array of finite numbers or NaN, or a parameter
        does not fit it.

    References
    ----------
    Goodfellow, Bengio & Courville, *Deep Learning*, MIT Press 2016, section 8.7.1.
    Ioffe & Szegedy, "Batch Normalization", ICML 2015, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skbn import batch_norm
    >>> batch_norm(np.array([[1.0, 10.0], [3.0, 50.0]]))
    array([[-1., -1.],
           [ 1.,  1.]])
    """
    normalizer = BatchNormTransformer(gamma=gamma, beta=beta, epsilon=epsilon)
    return normalizer.set_output(transform="default").fit_transform(H)
