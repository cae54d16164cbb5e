"""Standardise features on streams, exactly and at the speed of memory."""

from skbn.functional import batch_norm
from skbn.transformer import BatchNormTransformer

__all__ = ["BatchNormTransformer", "batch_norm"]
__version__ = "0.1.0"
