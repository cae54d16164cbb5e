"""The dashboards: asv's pages without a network, and a start page beside them."""

from benchmarks.dashboard.commands import publish, vendor
from benchmarks.dashboard.plots import picture

__all__ = ["picture", "publish", "vendor"]
