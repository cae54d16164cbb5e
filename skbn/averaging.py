"""How a batch enters the running statistics."""

from __future__ import annotations

from dataclasses import dataclass

from skbn.moments import Moments, pool


@dataclass(frozen=True)
class Cumulative:
    """Every row counts the same, or as its ``sample_weight`` says, for ever."""

    def merge(self, left: Moments, right: Moments) -> Moments:
        """Return the statistics of what ``left`` saw, then ``right``."""
        return pool(left, right)


Averaging = Cumulative
