"""What is told of two runs: certain changes, and no others."""

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import comparison
from benchmarks.contenders import BASELINE
from benchmarks.errors import HarnessError
from benchmarks.record import Figure, Record


def run(speeds, seed, machine=1.0, noise=0.05, rounds=25, **values):
    """Contenders that are so many times as fast as StandardScaler, by row."""
    random = np.random.default_rng(seed)
    rows = []
    for work, factor in speeds.items():
        # What slows down one of a round slows down the other.
        common = machine * np.exp(noise * random.standard_normal(rounds))
        for name, speed in ((BASELINE, 1.0), ("mine", factor)):
            own = np.exp(0.2 * noise * random.standard_normal(rounds))
            times = (common * own / speed).tolist()
            rows.append(Figure(work, "fit", name, times[0], times=times))
    return Record(rows, **values)


def lines(*runs):
    return list(comparison.told(*runs))


def changed(*runs):
    return [line for line in lines(*runs) if line.startswith(("faster", "slower"))]


SAME = {f"fit {number}": 2.0 for number in range(30)}


def test_a_change_is_told_with_its_interval():
    before, after = run(SAME, 1), run(SAME | {"fit 7": 3.0, "fit 9": 1.5}, 2)
    slower, faster = changed(before, after)
    assert faster.startswith("faster  ratio 1.49")
    assert faster.endswith("]  fit 7, mine")
    assert slower.startswith("slower  ratio 0.7")
    assert "fit 9, mine" in slower
    assert lines(before, after)[-1] == "2 changed, 58 did not, to 95% in all"


@pytest.mark.parametrize("seed", range(5))
def test_what_has_not_changed_is_not_told(seed):
    assert changed(run(SAME, 2 * seed), run(SAME, 2 * seed + 1)) == []


def test_another_machine_changes_the_times_of_the_baseline_alone():
    found = changed(run(SAME, 1), run(SAME, 2, machine=2.0))
    assert len(found) == len(SAME)
    factors = [float(line.split()[2]) for line in found]
    assert factors == pytest.approx([2.0] * len(found), rel=0.1)
    assert all(line.startswith("slower  time ") for line in found)
    assert all(line.endswith(BASELINE) for line in found)


def test_what_is_too_small_or_too_noisy_is_not_told():
    before = run(SAME, 1)
    assert changed(before, run(dict.fromkeys(SAME, 2.06), 2)) == []
    restless = [run(SAME, seed, noise=3.0, rounds=7) for seed in (1, 2)]
    assert changed(*restless) == []


def test_seven_rounds_are_enough_for_a_large_change():
    """Among as many rows as a whole run has."""
    many = {f"fit {number}": 2.0 for number in range(200)}
    found = changed(run(many, 1, rounds=7), run(many | {"fit 7": 2.5}, 2, rounds=7))
    assert len(found) == 1


def test_intervals_hold_the_change():
    """In nineteen of twenty runs or so."""
    random, hits = np.random.default_rng(0), 0
    for _ in range(100):
        before, after = random.normal(0, 1, 30), random.normal(0.5, 1, 30)
        change = comparison.Change(("fit", "mine"), "ratio", before, after)
        low, high = change.words.partition("[")[2].partition("]")[0].split(", ")
        hits += float(low) <= np.exp(0.5) <= float(high)
    assert 90 <= hits <= 99


def test_all_that_differs_is_said():
    first = run(SAME, 1, commit="a" * 40, versions={"numpy": "1.0", "same": "1"})
    second = run(
        SAME | {"new": 1.0}, 2, versions={"numpy": "2.0", "same": "1"}, profile="fast"
    )
    first.rows.append(Figure("memory", "memory", "mine", bytes=2**20))
    second.rows.append(Figure("memory", "memory", "mine", bytes=2**25))
    second.rows[0].outcome = "wrong"
    told = lines(first, second)
    assert "numpy: 1.0 to 2.0" in told
    assert "first:  profile not known · commit aaaaaaaa" in told
    assert "memory 1.0 MiB to 32.0 MiB  memory, mine" in told
    assert f"right to wrong  fit 0, {BASELINE}" in told
    assert f"only in the second: new, {BASELINE}; new, mine" in told
    assert any(line.startswith("! second: Profile fast") for line in told)
    assert not any("same" in line for line in told)


def test_runs_without_a_common_row_are_refused():
    with pytest.raises(HarnessError, match="one is of profile regular, the other of f"):
        lines(run({"a": 1.0}, 1, profile="regular"), run({"b": 1.0}, 1, profile="fast"))


def test_the_command(tmp_path):
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for seed, file in enumerate(files):
        run(SAME | {"fit 7": 2.0 + seed}, seed).write(file)

    def invoke(*paths):
        given = ["compare", *map(str, paths)]
        return CliRunner().invoke(command.build_app(), given)

    done = invoke(*files)
    assert done.exit_code == 0
    assert "faster  ratio 1." in done.stdout
    lost = invoke(files[0], tmp_path / "c.json")
    assert lost.exit_code == 1
    assert "c.json: No such file" in str(lost.output)
