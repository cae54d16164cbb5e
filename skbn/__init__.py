"""Standardise features on streams, exactly and at the speed of memory."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skbn.functional import batch_norm
from skbn.transformer import BatchNormTransformer

if TYPE_CHECKING:
    from skbn.state import load, save
    from skbn.streams import fit_stream, transform_stream

__all__ = [
    "BatchNormTransformer",
    "batch_norm",
    "fit_stream",
    "load",
    "save",
    "transform_stream",
]
__version__ = "0.1.0"

# Not needed by all who import the package, and loaded when first asked for.
_LATER = {
    "fit_stream": "skbn.streams",
    "load": "skbn.state",
    "save": "skbn.state",
    "transform_stream": "skbn.streams",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'skbn' has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
