"""Standardise features on streams, exactly and at the speed of memory."""

from skbn.database import sql
from skbn.folding import fold, to_standard_scaler
from skbn.functional import batch_norm
from skbn.transformer import BatchNormTransformer

__all__ = ["BatchNormTransformer", "batch_norm", "fold", "sql", "to_standard_scaler"]
__version__ = "0.1.0"
