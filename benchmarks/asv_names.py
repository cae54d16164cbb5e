"""Every name of asv that is used here, most of them private to it, loaded when asked.

A release that has moved one raises an error that says which; a test looks for all, and
for the parameters and results that are used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import Any

WRITTEN_FOR = "0.6.6"
NAMES = {
    "Benchmarks": "asv.benchmarks",
    "Config": "asv.config",
    "Machine": "asv.machine",
    "MachineCollection": "asv.machine",
    "NoSuchNameError": "asv.repo",
    "ProcessError": "asv.util",
    "Run": "asv.commands.run",
    "Setup": "asv.commands.setup",
    "UserError": "asv.util",
    "get_environments": "asv.environment",
    "get_repo": "asv.repo",
    "iter_results": "asv.results",
    "iter_results_for_machine_and_hash": "asv.results",
    "log": "asv.console",
    "plugin_manager": "asv.plugin_manager",
}


class AsvChangedError(Exception):
    """This release of asv is not what the benchmarks were written for."""


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(name)
    module = import_module("asv")
    try:
        module = import_module(NAMES[name])
        return getattr(module, name)
    except (ImportError, AttributeError) as error:
        raise AsvChangedError(
            f"asv {version('asv')} has no {NAMES[name]}.{name}, which {WRITTEN_FOR} has"
        ) from error


def load(config: Any) -> Any:
    """asv's configuration and its plugins, loaded as its command does."""
    conf = __getattr__("Config").load(str(config))
    for plugin in conf.plugins:
        __getattr__("plugin_manager").import_plugin(plugin)
    return conf
