"""The NumPy engine: the readable oracle that other engines are tested against."""

from skbn.engines.numpy.engine import (
    CONTAINER,
    accepts,
    find_infinity,
    moments,
    normalize,
    write,
)

__all__ = ["CONTAINER", "accepts", "find_infinity", "moments", "normalize", "write"]
