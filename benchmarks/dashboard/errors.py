"""The one kind of error that the dashboards report to their user."""


class DashboardError(Exception):
    """What could not be had, or made, in one sentence."""
