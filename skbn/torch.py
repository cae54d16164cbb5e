"""BatchNormTransformer as a module of torch, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn.affine import Affine
from skbn.checks import check_per_feature
from skbn.exports import map_of, name_of, restored, statistics_of
from skbn.transformer import BatchNormTransformer

try:
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError as missing:
    raise ImportError(
        f"skbn.torch needs {missing.name}, which is not installed: "
        "pip install 'skbn[torch]'."
    ) from missing

__all__ = ["BatchNorm1d", "Normalize", "from_module", "to_module"]

# What a standardised value may differ by, and a variance relatively, where a layer is
# said to have the statistics: the digits that the transformer has itself.
EXACT = 1e-15


class BatchNorm1d(nn.BatchNorm1d):
    """torch's layer, which takes data of less precision than its statistics, too.

    It computes in its own precision and returns that of the data, so that it stands in
    a network of single precision; integers become floats. Its ``state_dict`` is that
    of :class:`torch.nn.BatchNorm1d`.

    Attributes
    ----------
    reason : str
        Why it is this module.
    """

    reason: str

    def forward(self, input: Tensor) -> Tensor:
        """Return the data normalised."""
        dtype = input.dtype if self.running_mean is None else self.running_mean.dtype
        if torch.promote_types(input.dtype, dtype) != dtype:
            return super().forward(input)
        output = super().forward(input.to(dtype))
        return output.to(input.dtype) if input.dtype.is_floating_point else output


class Normalize(nn.Module):
    """The map of a fitted BatchNormTransformer, equal to ``transform`` bit for bit.

    But for one value of float32 in 10**8: NumPy's engine multiplies by reciprocals
    before it rounds to that.

    It subtracts both parts of the mean in double precision before it divides, whatever
    the precision of the data, and rounds at the end. It does not learn, in training
    mode either: that is the transformer's part. Its buffers stay in double precision
    where a network is cast to another one, by ``half()`` for instance; a device must
    have that precision.

    Parameters
    ----------
    affine : skbn.affine.Affine
    n_features : int
    reason : str
        Why it is this module, and not a BatchNorm1d.

    Attributes
    ----------
    mean, mean_low, scale, beta : Tensor of shape (n_features,), float64
        ``(X - mean - mean_low) / scale + beta``.
    clip : tuple of float or None
    reason : str
    """

    mean: Tensor
    mean_low: Tensor
    scale: Tensor
    beta: Tensor

    def __init__(self, affine: Affine, n_features: int, reason: str) -> None:
        super().__init__()
        self.n_features, self.clip, self.reason = n_features, affine.clip, reason
        mean, mean_low = affine.center or (None, None)
        # To add -0.0 changes no bit, and to add 0.0 changes -0.0.
        beta = -0.0 if affine.shift is None else affine.shift[0]
        buffers = {"mean": mean, "mean_low": mean_low, "beta": beta}
        buffers["scale"] = 1.0 if affine.scale is None else affine.scale
        for name, values in buffers.items():
            full = np.full(n_features, 0.0 if values is None else values)
            self.register_buffer(name, torch.from_numpy(full))

    def forward(self, X: Tensor) -> Tensor:
        """Return X, of shape (..., n_features), normalised.

        Floats in their own precision, all else in double.
        """
        values = (X.to(torch.float64) - self.mean - self.mean_low) / self.scale
        values = values + self.beta
        if self.clip is not None:
            values = values.clamp(*self.clip)
        return _rounded(values, X.dtype) if X.dtype.is_floating_point else values

    def extra_repr(self) -> str:
        """What the module prints of itself."""
        clip = "" if self.clip is None else f"clip={self.clip}, "
        return f"{self.n_features}, {clip}reason={self.reason!r}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        before = dict(self._buffers)
        super()._apply(fn, recurse)
        for name, values in before.items():
            now = self._buffers[name]
            if values is not None and now is not None and now.dtype != values.dtype:
                self._buffers[name] = values.to(now.device)
        return self


def to_module(
    transformer: BatchNormTransformer, *, dtype: torch.dtype = torch.float64
) -> BatchNorm1d | Normalize:
    """Return a fitted transformer as a module of torch, in evaluation mode.

    That is a :class:`torch.nn.BatchNorm1d` where such a layer has the same running
    statistics, and goes on training with the same numbers: with a ``momentum``,
    ``zero_debias=False`` and ``ddof=1``, without ``clip``, and where ``dtype`` holds
    the mean and the variance of each feature to 15 digits of the spread. Far from zero
    it does not: a layer in float32 is off by 0.03 standard deviations at 1e6, one in
    float64 by 5e-5 at 1e12. All else becomes a :class:`Normalize`, which gives what
    ``transform`` does, bit for bit (of float32, one value in 10**8 is rounded the other
    way), and does not learn.

    Parameters
    ----------
    transformer : BatchNormTransformer
    dtype : torch.dtype, default=torch.float64
        Of the layer's statistics and weights, in which it computes.

    Returns
    -------
    BatchNorm1d or Normalize
        Its attribute ``reason`` says why it is this one. ``train()`` lets a
        BatchNorm1d go on learning.

    Raises
    ------
    TypeError
        Not a BatchNormTransformer.
    NotFittedError

    Examples
    --------
    >>> import numpy as np
    >>> import skbn.torch
    >>> as_torch = {"momentum": 0.5, "zero_debias": False, "ddof": 1, "epsilon": 1e-5}
    >>> scaler = skbn.BatchNormTransformer(**as_torch)
    >>> _ = scaler.fit(np.array([[1.0], [3.0]]))
    >>> skbn.torch.to_module(scaler)
    BatchNorm1d(1, eps=1e-05, momentum=0.5, affine=False, ...)
    >>> skbn.torch.to_module(skbn.BatchNormTransformer().fit(np.array([[1.0], [3.0]])))
    Normalize(1, reason='BatchNorm1d averages over batches, not rows: ...')
    """
    transformer = copy(transformer)  # of one moment, whatever other threads do
    affine, n_features = map_of(transformer), transformer.n_features_in_
    reason = _other_training(transformer) or _lost_digits(transformer, dtype)
    if reason is not None:
        return Normalize(affine, n_features, reason).eval()
    weights = {
        "weight": check_per_feature(transformer.gamma, "gamma", n_features),
        "bias": check_per_feature(transformer.beta, "beta", n_features),
    }
    layer = BatchNorm1d(
        n_features,
        eps=transformer.epsilon,
        momentum=transformer.momentum,
        affine=any(values is not None for values in weights.values()),
        dtype=dtype,
    )
    its = statistics_of(transformer)
    state = layer.state_dict() | {
        "running_mean": torch.tensor(its.mean),
        "running_var": torch.tensor(its.variance),
        "num_batches_tracked": torch.tensor(transformer.n_batches_seen_),
    }
    state |= {k: torch.tensor(v) for k, v in weights.items() if v is not None}
    layer.load_state_dict(state)
    layer.reason = f"{dtype} holds the statistics"
    return layer.eval()


def from_module(batch_norm: nn.BatchNorm1d) -> BatchNormTransformer:
    """Return a layer of torch as a fitted transformer that goes on as it would.

    ``momentum``, ``epsilon`` and the affine weights are the layer's, and what it has
    learnt counts as all that was seen before: its next batch changes both alike.
    ``n_samples_seen_`` starts from 0, since a layer counts batches alone. Of a batch
    with missing values, or of one row, the transformer learns what there is, where the
    layer has NaN or an error.

    Parameters
    ----------
    batch_norm : torch.nn.BatchNorm1d

    Returns
    -------
    BatchNormTransformer
        With ``zero_debias=False`` and ``ddof=1``, as torch has it.

    Raises
    ------
    TypeError
        Not a BatchNorm1d.
    ValueError
        The layer has no running statistics, or some that are not finite, or a momentum
        that has no equal: None averages over batches whatever their sizes, and loses
        the variance between them; 0 never learns.

    Examples
    --------
    >>> import skbn.torch
    >>> from torch import nn
    >>> skbn.torch.from_module(nn.BatchNorm1d(2, affine=False)).var_
    array([1., 1.])
    """
    if not isinstance(batch_norm, nn.BatchNorm1d):
        kind = type(batch_norm).__name__
        raise TypeError(f"Expected a torch.nn.BatchNorm1d, got a {kind}.")
    momentum = batch_norm.momentum
    if momentum is None or not 0 < momentum <= 1:
        raise ValueError(
            f"A BatchNorm1d with momentum={momentum} has no equal: it must be in "
            "(0, 1]. None averages over batches, whatever their sizes."
        )
    mean, variance = batch_norm.running_mean, batch_norm.running_var
    if mean is None or variance is None or batch_norm.num_batches_tracked is None:
        raise ValueError("The BatchNorm1d keeps no running statistics.")
    transformer = BatchNormTransformer(
        momentum=momentum,
        zero_debias=False,
        ddof=1,
        epsilon=batch_norm.eps,
        gamma=_weights(batch_norm, "weight"),
        beta=_weights(batch_norm, "bias"),
    )
    n_batches = int(batch_norm.num_batches_tracked)
    return restored(transformer, _to_numpy(mean), _to_numpy(variance), n_batches)


def _weights(layer: nn.Module, name: str) -> NDArray[np.float64] | None:
    values = getattr(layer, name)
    return None if values is None else _to_numpy(values)


def _to_numpy(values: Tensor) -> NDArray[np.float64]:
    return values.detach().to("cpu", torch.float64).numpy().copy()


def _rounded(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Doubles rounded once. Half precision is reached from single, in torch.

    Where single precision had to round, the neighbour with an odd last digit is no
    tie of any shorter precision (Boldo & Melquiond, "Emulation of FMA and correctly
    rounded sums", IEEE Trans. Computers 57(4), 2008).
    """
    if dtype not in (torch.float16, torch.bfloat16):
        return values.to(dtype)
    single = values.to(torch.float32)
    rounded = single.to(torch.float64) != values
    end = torch.where(values > single, math.inf, -math.inf).to(torch.float32)
    is_even = single.view(torch.int32) % 2 == 0
    odd = torch.where(rounded & is_even, torch.nextafter(single, end), single)
    return odd.to(dtype)


# Why a layer would not do


def _other_training(transformer: BatchNormTransformer) -> str | None:
    """What BatchNorm1d computes otherwise, if anything."""
    if transformer.momentum is None:
        return (
            "BatchNorm1d averages over batches, not rows: the transformer has no "
            "momentum"
        )
    if transformer.zero_debias:
        return "BatchNorm1d starts from mean 0 and variance 1: zero_debias is True"
    if transformer.ddof != 1:
        return f"BatchNorm1d has an unbiased running variance: ddof={transformer.ddof}"
    if not (transformer.with_mean and transformer.with_std):
        return "BatchNorm1d always centres and scales: with_mean or with_std is False"
    if transformer.clip is not None:
        return "BatchNorm1d does not clip"
    return None


def _lost_digits(transformer: BatchNormTransformer, dtype: torch.dtype) -> str | None:
    """The number that a layer of that precision does not hold, if any."""

    def rest(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.abs(values - _to_numpy(torch.tensor(values).to(dtype)))

    its = statistics_of(transformer)
    if its.constant.any():
        name = name_of(transformer, int(np.argmax(its.constant)))
        return f"BatchNorm1d would scale feature {name}, which is constant"
    lost = {
        "mean": (rest(its.mean) + np.abs(its.mean_low)) / its.scale,
        "variance": rest(its.variance) / its.scale**2,
    }
    for name in ("gamma", "beta"):
        values = check_per_feature(getattr(transformer, name), name, len(its.mean))
        if values is not None:
            lost[name] = rest(values)
    for name, parts in lost.items():
        feature = int(np.argmax(parts))
        if parts[feature] > EXACT:
            return (
                f"in {dtype} the {name} of feature {name_of(transformer, feature)} "
                f"would be off by {parts[feature]:.0e}"
            )
    return None
