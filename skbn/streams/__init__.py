"""Streams: files, tables and iterables that are read batch by batch."""

from skbn.streams.fit import fit_stream
from skbn.streams.transform import transform_stream

__all__ = ["fit_stream", "transform_stream"]
