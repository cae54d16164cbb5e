"""Modules of the benchmarks that run in a process of their own and print JSON.

Nothing but the standard library is loaded here, lest an import find its work done.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.errors import FailedError, WrongAnswerError

ROOT = Path(__file__).parents[1]
# At the end of the path, so that an skbn which is installed, as by asv, comes first.
RUN = f"""
import runpy, sys
sys.path.append({str(ROOT)!r})
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def ask(module: str, *arguments: str, **variables: str) -> Any:
    """What a module answers, run with these arguments and environment variables.

    Raises
    ------
    WrongAnswerError
        A contender's answer was wrong there.
    FailedError
        Another error, or the process ended.
    """
    # Contenders lie where this process has found them.
    path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
    done = subprocess.run(
        [sys.executable, "-P", "-c", RUN, module, *arguments],
        env=os.environ | {"PYTHONPATH": path} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise FailedError(lines[-1])
    found = json.loads(done.stdout.splitlines()[-1])
    if "wrong" in found:
        raise WrongAnswerError(found["wrong"])
    if "failed" in found:
        raise FailedError(found["failed"])
    return found["found"]


def answer(function: Callable[..., Any], *arguments: Any) -> None:
    """Print what a function returns or raises, in the last line of the output."""
    try:
        found = {"found": function(*arguments)}
    except WrongAnswerError as error:
        found = {"wrong": str(error)}
    except Exception as error:  # noqa: BLE001
        found = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(found), flush=True)
