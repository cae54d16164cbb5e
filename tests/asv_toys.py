"""A small repository with results of asv at several commits, and its dashboards."""

import functools
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

from benchmarks import dashboard
from benchmarks.measure import Summary
from benchmarks.record import Figure, Record

# What has to be installed.
NEEDS = ("asv", "jinja2", "matplotlib", "virtualenv")
COMMITS = 6
MACHINE = {
    "machine": "bench",
    "cpu": "Imaginary CPU at 3 GHz",
    "num_cpu": "2",
    "os": "Linux 6",
    "arch": "x86_64",
    "ram": "8000000000",
}
CONTENDERS = [
    *("skbn-numba", "skbn-numpy", "StandardScaler", "oneDAL", "polars"),
    *("torch", "River", "dask-ml", "ondil"),
]
WORKLOADS = {
    "fit, 400,000 × 100": [22.0, 3.7, 1.0, 4.4, 2.9, 0.9, 0.01, 0.6, 0.03],
    "partial_fit, 256 × 64": [6.8, 2.6, 1.0, 1.9, 1.4, 5.2, 0.05, 0.2, 0.11],
    "transform, 256 × 64": [3.0, 3.1, 1.0, 1.1, 0.7, 4.0, 0.02, 0.1, 0.5],
}
OFFSETS = [0.0, 1e3, 1e6, 1e9, 1e12]


def git(repository, *arguments, date=datetime(2026, 1, 1, tzinfo=UTC)):
    """Run git as somebody, on some day, whatever the machine's settings."""
    settings = {
        **{f"GIT_{who}_NAME": "toy" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "toy@localhost" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_DATE": date.isoformat() for who in ("AUTHOR", "COMMITTER")},
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    done = subprocess.run(
        ["git", *arguments],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
        env=environment() | settings,
    )
    return done.stdout.strip()


def environment():
    # Within a hook or a rebase git would use the outer repository.
    return {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}


def make_repository(folder, **configuration):
    """A repository without commits, and asv's configuration in it."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    content = {
        "version": 1,
        "project": "toy",
        "repo": ".",
        "branches": ["main"],
        "environment_type": "virtualenv",
        "env_dir": ".asv/env",
        "results_dir": ".asv/results",
        "html_dir": ".asv/html",
        **configuration,
    }
    (folder / "asv.conf.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / ".gitignore").write_text(".asv/\n__pycache__/\n", encoding="utf-8")
    return folder


def commit(repository, message, day=0):
    """Commit all that changed and return the hash."""
    date = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--allow-empty", f"-m{message}", date=date)
    return git(repository, "rev-parse", "HEAD"), date


def benchmark(name, unit, **params):
    return {
        "name": name,
        "type": "track",
        "unit": unit,
        "version": "1",
        "code": f"def {name}(): ...",
        "param_names": list(params),
        "params": [[repr(value) for value in values] for values in params.values()],
    }


BENCHMARKS = {
    each["name"]: each
    for each in (
        benchmark(
            "ratios.Ratios.track_ratio",
            "times",
            workload=list(WORKLOADS),
            contender=CONTENDERS,
        ),
        benchmark(
            "ratios.Ratios.track_share",
            "share",
            workload=list(WORKLOADS),
            contender=CONTENDERS,
        ),
        benchmark(
            "accuracy.Accuracy.track_digits",
            "digits",
            offset=OFFSETS,
            contender=CONTENDERS[:3],
        ),
    )
}


def ratio(workload, contender, age):
    """Our engines grow quicker with every commit."""
    newest = WORKLOADS[workload][CONTENDERS.index(contender)]
    return newest / (1 + 0.2 * age) if contender.startswith("skbn") else newest


def digits(offset, contender):
    if contender.startswith("skbn"):
        return 15.5
    return max(0.0, 15.2 - (len(f"{offset:.0f}") - 1) * 1.05)


def values(name, age):
    """What a benchmark tracked; the last contender could not be measured."""
    combinations = product(*BENCHMARKS[name]["params"])
    plain = [tuple(json.loads(p.replace("'", '"')) for p in c) for c in combinations]
    if name.endswith("track_digits"):
        return [digits(*combination) for combination in plain]
    scale = 0.035 if name.endswith("track_share") else 1.0
    return [
        None
        if contender == "ondil" and age
        else scale * ratio(workload, contender, age)
        for workload, contender in plain
    ]


def add_results(repository, commit_hash, date, age, machine=MACHINE):
    """Write results as a run of asv does, through asv."""
    from asv.machine import Machine
    from asv.results import Results
    from asv.runner import BenchmarkResult
    from asv.util import datetime_to_js_timestamp, write_json

    folder = repository / ".asv" / "results"
    described = Machine()
    described.__dict__.update(machine)
    described.save(str(folder))
    params = {**machine, "python": "3.11"}
    stamp = datetime_to_js_timestamp(date)
    results = Results(params, {}, commit_hash, stamp, "3.11", "virtualenv-py3.11", {})
    for name, each in BENCHMARKS.items():
        found = values(name, age)
        samples = [v and [k * v for k in (0.8, 0.9, 1.0, 1.2, 1.3)] for v in found]
        numbers = [v and 1 for v in found]
        done = [v and True for v in found]
        results.add_result(each, BenchmarkResult(done, samples, numbers, 0, "", None))
    results.save(str(folder))
    write_json(str(folder / "benchmarks.json"), BENCHMARKS, 2)


def quick_rows():
    for (workload, ratios), index in product(WORKLOADS.items(), range(len(CONTENDERS))):
        newest = ratios[index]
        yield Figure(
            workload,
            workload.partition(",")[0],
            CONTENDERS[index],
            seconds=0.477 / newest,
            quartiles=(0.47 / newest, 0.49 / newest),
            ratio=Summary(newest, 0.93 * newest, 1.08 * newest),
            share_of_limit=min(1.02, 0.035 * newest),
            note="rows one by one" if CONTENDERS[index] == "River" else "",
            rounds=9,
            times=[0.477 / newest] * 9,
        )


def write_quick(path, **changes):
    """What ``python -m benchmarks --json`` writes."""
    given = {
        "rows": list(quick_rows()),
        "profile": "regular",
        "date": datetime(2026, 1, 7, 12, tzinfo=UTC),
        "machine": {"cpu": MACHINE["cpu"], "cores": 2, "cache": 2**25, "os": "Linux"},
        "versions": {"numpy": "2.4.0", "scikit-learn": "1.9.1"},
        "limits": {when: {"read": 1.2e10, "copy": 8e9} for when in ("before", "after")},
        "load": {"before": 0.1, "after": 1.9},
        "lenient": {"River": ["infinity"]},
    }
    Record(**(given | changes)).write(path)
    return path


@functools.cache
def measured_repository(folder: Path) -> Path:
    """A repository with results at each of its commits."""
    repository = make_repository(folder / "repository")
    for age in reversed(range(COMMITS)):
        found = commit(repository, f"Commit {age} before the last", COMMITS - age)
        add_results(repository, *found, age)
    return repository


@functools.cache
def published(folder: Path) -> Path:
    """The dashboards of that repository."""
    repository = measured_repository(folder)
    site = folder / "site"
    quick = write_quick(folder / "quick.json")
    config = repository / "asv.conf.json"
    dashboard.publish(config, site, quick, cache=folder / "archives")
    return site
