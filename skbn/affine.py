"""From statistics and parameters to the map that normalises, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
T = TypeVar("T")


class computed_once(Generic[T]):
    """``functools.cached_property`` without its lock, which takes 2 µs before 3.12."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function, self.__doc__ = function, function.__doc__
        self.name = function.__name__

    def __get__(self, instance: Any, owner: Any = None) -> T:
        """Return what is then found in the ``__dict__`` of the instance."""
        value = instance.__dict__[self.name] = self.function(instance)
        return value


# The low part is None where it is zero for every feature.
Offset = tuple[Array, Array | None]


@dataclass(frozen=True, eq=False)
class Affine:
    """``(x - center) / scale + shift``, then clipped; the inverse multiplies.

    Attributes
    ----------
    center, shift : tuple of ndarray of shape (n_features,), or None
        High and low part of what is subtracted first and added last.
    scale : ndarray of shape (n_features,) or None
    divides : bool
        Whether to divide by the scale, or to multiply with it.
    clip : tuple of float or None
    """

    center: Offset | None = None
    scale: Array | None = None
    divides: bool = True
    shift: Offset | None = None
    clip: tuple[float, float] | None = None

    @computed_once
    def inverse(self) -> Affine:
        """The map back; what was clipped stays so."""
        return replace(
            self,
            center=self.shift,
            shift=self.center,
            divides=not self.divides,
            clip=None,
        )

    @computed_once
    def rounded(self) -> Affine:
        """The same for results of 24 bits and fewer, which are as right with less work.

        A reciprocal is quicker than a division, and one that leaves the range makes
        zeros, and what such results have no numbers for, as the division does.
        """
        center, scale = self.center, self.scale
        if not self.divides:
            return self
        if center is not None and center[1] is not None:
            center = center[0], _visible(center[1], scale, 2.0**-52)
        if scale is not None:
            with np.errstate(divide="ignore", over="ignore"):
                scale = np.nan_to_num(1.0 / scale)
        return replace(self, center=center, scale=scale, divides=False)

    @computed_once
    def steps(self) -> list[tuple[str, Array]]:
        """What is done before clipping, in order, by the names of NumPy's functions."""
        steps: list[tuple[str, Any]] = []
        steps += [("subtract", part) for part in self.center or ()]
        steps += [("divide" if self.divides else "multiply", self.scale)]
        steps += [("add", part) for part in reversed(self.shift or ())]
        return [(name, values) for name, values in steps if values is not None]

    def columns(self, part: slice) -> Affine:
        """Return the map of some features."""
        return self._each(lambda values: values[part])

    def tiled(self, times: int) -> Affine:
        """Return the map for so many rows laid side by side."""
        return _tiled(self, times)

    def _each(self, function: Callable[[Array], Array]) -> Affine:

        def apply(values: Any) -> Any:
            if isinstance(values, tuple):
                return tuple(apply(part) for part in values)
            return None if values is None else function(values)

        return replace(
            self,
            center=apply(self.center),
            scale=apply(self.scale),
            shift=apply(self.shift),
        )


@lru_cache(maxsize=16)
def _tiled(affine: Affine, times: int) -> Affine:
    """Kept, since a stream maps batch after batch of one length."""
    return affine._each(lambda values: np.tile(values, times))


def affine(
    mean: tuple[Array, Array] | None,
    scale: Array | None,
    gamma: Array | None = None,
    beta: Array | None = None,
    clip: tuple[float, float] | None = None,
) -> Affine:
    """Return the map ``gamma (x - mean) / scale + beta``, clipped.

    All arrays have shape (n_features,); None leaves a step out.
    """
    center: Offset | None = None
    if mean is not None:
        center = mean[0], _visible(mean[1], scale)
    if gamma is not None:
        with np.errstate(divide="ignore"):
            scale = (1.0 if scale is None else scale) / gamma
    shift = None if beta is None else (beta, None)
    return Affine(center=center, scale=scale, shift=shift, clip=clip)


def refuse_endless(affine: Affine, what: str, name: Callable[[int], Any] = int) -> None:
    """Raise where a scale is infinite, so that all of a feature is mapped to one value.

    Parameters
    ----------
    affine : Affine
    what : str
        What there is none of then.
    name : callable
        From the number of a feature to what the error calls it.
    """
    if affine.scale is None or not np.isinf(affine.scale).any():
        return
    feature = name(int(np.argmax(np.isinf(affine.scale))))
    raise ValueError(
        f"gamma is 0 for feature {feature}, or its variance is infinite: there is no "
        f"{what}."
    )


def _visible(low: Array, scale: Array | None, least: float = 2.0**-55) -> Array | None:
    """The low part of the mean where, scaled, it is more than the least that counts.

    Feature by feature: how one is mapped does not depend on the others.
    """
    visible = np.abs(low) > (0.0 if scale is None else least * scale)
    return np.where(visible, low, 0.0) if np.count_nonzero(visible) else None
