"""The dashboards: asv's pages without a network, and a start page beside them."""

from benchmarks.dashboard.commands import publish, vendor

__all__ = ["publish", "vendor"]
