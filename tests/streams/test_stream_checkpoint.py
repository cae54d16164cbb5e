"""Streams that are interrupted, killed, and go on."""

import json
import os
import random
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from stream_data import FEATURES, IN_MEMORY, array, folder, learnt, table

from skbn import BatchNormTransformer, fit_stream
from skbn.state import to_document
from skbn.streams import checkpoint as checkpoints

TABLE = table()
KILLS = 50


def new(**parameters):
    return BatchNormTransformer(**{"engine": "numpy", "halflife": 300} | parameters)


@pytest.fixture
def always(monkeypatch):
    """A checkpoint after every batch."""
    monkeypatch.setattr(checkpoints, "INTERVAL", 0.0)


class Interrupt:
    """Ctrl-C before, or right after, so many batches were learnt."""

    def __init__(self, monkeypatch, after, *, late=False):
        learn, self.count = BatchNormTransformer._learn, 0

        def counted(scaler, *args):
            if self.count == after and not late:
                raise KeyboardInterrupt
            fitted = learn(scaler, *args)
            self.count += 1
            if self.count == after and late:
                raise KeyboardInterrupt
            return fitted

        monkeypatch.setattr(BatchNormTransformer, "_learn", counted)


def interrupted(source, path, monkeypatch, after, *, late=False, **options):
    scaler = new()
    with monkeypatch.context() as patch:
        Interrupt(patch, after, late=late)
        with pytest.raises(KeyboardInterrupt) as caught:
            fit_stream(scaler, source, checkpoint=path, **options)
    return scaler, caught.value


def state(scaler):
    return to_document(scaler)["fitted"]


OPTIONS = {"columns": FEATURES, "weight_column": "w", "batch_rows": 64}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", ["parquet", "feather", "stream", "csv"])
def test_ctrl_c_leaves_a_usable_transformer_and_files_go_on(
    kind, late, tmp_path, monkeypatch
):
    base, path = folder(TABLE, tmp_path / "data", kind), tmp_path / "c.json"
    scaler, error = interrupted(base, path, monkeypatch, 7, late=late, **OPTIONS)
    assert "Interrupted after 448 rows" in error.__notes__[0]
    assert "goes on" in error.__notes__[1]
    assert scaler.n_batches_seen_ == 7
    assert np.isfinite(scaler.transform(TABLE.select(FEATURES))[:, 0]).all()

    again = fit_stream(new(), base, checkpoint=path, **OPTIONS)

    whole = fit_stream(new(), base, **OPTIONS)
    assert state(again) == state(whole)
    assert json.loads(path.read_bytes())["position"]["complete"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.json", "data"]


@pytest.mark.parametrize("kind", IN_MEMORY)
def test_other_sources_go_on(kind, tmp_path, monkeypatch):
    path, make = tmp_path / "c.json", IN_MEMORY[kind]
    interrupted(make(TABLE), path, monkeypatch, 5, **OPTIONS)
    again = fit_stream(new(), make(TABLE), checkpoint=path, **OPTIONS)
    assert state(again) == state(learnt(TABLE, 64, weighted=True, halflife=300))


def test_arrays_go_on(tmp_path, monkeypatch):
    X, path = array(TABLE), tmp_path / "c.json"
    np.save(tmp_path / "x.npy", X)
    for source in (X, tmp_path / "x.npy"):
        interrupted(source, path, monkeypatch, 3, batch_rows=100)
        again = fit_stream(new(), source, checkpoint=path, batch_rows=100)
        assert state(again) == state(fit_stream(new(), X, batch_rows=100))
        path.unlink()


def test_the_same_transformer_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "c.json"
    scaler, _ = interrupted(TABLE, path, monkeypatch, 5, **OPTIONS)
    fit_stream(scaler, TABLE, checkpoint=path, **OPTIONS)
    assert scaler.n_batches_seen_ == 16
    before = state(scaler)
    fit_stream(scaler, TABLE, checkpoint=path, **OPTIONS)
    assert state(scaler) == before
    assert state(fit_stream(new(), TABLE, checkpoint=path, **OPTIONS)) == before


def test_what_was_learnt_before_is_kept(tmp_path, monkeypatch):
    path, head = tmp_path / "c.json", TABLE.slice(0, 128).select(FEATURES)
    rest = TABLE.slice(128)
    options = {"columns": FEATURES, "batch_rows": 64}
    scaler = new().fit(head)
    with monkeypatch.context() as patch:
        Interrupt(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            fit_stream(scaler, rest, checkpoint=path, **options)
    again = fit_stream(new().fit(head), rest, checkpoint=path, **options)
    expected = fit_stream(new().fit(head), rest, **options)
    assert state(again) == state(expected)
    with pytest.raises(ValueError, match="has learnt something else"):
        fit_stream(new(), rest, checkpoint=path, **options)


def test_an_error_keeps_what_came_before(tmp_path):
    path, X = tmp_path / "c.json", array(TABLE)[:, [0, 2]]

    def broken():
        yield from np.split(X, 10)[:4]
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken") as caught:
        fit_stream(new(), broken(), checkpoint=path)
    assert "after 400 rows" in caught.value.__notes__[0]
    again = fit_stream(new(), iter(np.split(X, 10)), checkpoint=path)
    assert state(again) == state(fit_stream(new(), np.split(X, 10)))


def test_it_is_written_every_minute(tmp_path, monkeypatch):
    clock, saved = [0.0], []
    monkeypatch.setattr(checkpoints, "monotonic", lambda: clock[0])
    path = tmp_path / "c.json"

    def slow():
        for part in np.split(np.arange(10.0)[:, None], 10):
            clock[0] += 25.0
            saved.append(path.exists() and json.loads(path.read_bytes()))
            yield part

    fit_stream(new(), slow(), checkpoint=path)
    rows = [each and each["position"]["rows"] for each in saved]
    assert rows == [False, False, False, 3, 3, 3, 6, 6, 6, 9]
    assert json.loads(path.read_bytes())["position"]["rows"] == 10


# Refused


@pytest.mark.parametrize(
    ("parameters", "changed", "message"),
    [
        ({"halflife": 200}, {}, r"halflife=300.*not 200"),
        ({"halflife": None, "momentum": 0.1}, {}, "momentum=None, not 0.1"),
        ({}, {"columns": ["a", "b"]}, "columns="),
        ({}, {"weight_column": None}, "weight_column='w', not None"),
        ({}, {"batch_rows": 65}, "batch_rows=64, not 65"),
    ],
)
def test_other_arguments_are_refused(
    parameters, changed, message, tmp_path, monkeypatch
):
    path = tmp_path / "c.json"
    interrupted(TABLE, path, monkeypatch, 5, **OPTIONS)
    before, scaler = path.read_bytes(), new(**parameters)
    with pytest.raises(ValueError, match=message):
        fit_stream(scaler, TABLE, checkpoint=path, **OPTIONS | changed)
    assert path.read_bytes() == before
    assert not hasattr(scaler, "mean_")


def test_other_engines_are_not(tmp_path, monkeypatch):
    path = tmp_path / "c.json"
    interrupted(TABLE, path, monkeypatch, 5, **OPTIONS)
    scaler = fit_stream(new(engine="auto"), TABLE, checkpoint=path, **OPTIONS)
    assert scaler.n_batches_seen_ == 16


@pytest.mark.parametrize("kind", ["table", "generator of batches", "reader"])
def test_another_source_in_memory_is_refused(kind, tmp_path, monkeypatch):
    path, make = tmp_path / "c.json", IN_MEMORY[kind]
    interrupted(make(TABLE), path, monkeypatch, 5, **OPTIONS)
    before, scaler = path.read_bytes(), new()
    with pytest.raises(ValueError, match="a checkpoint of another source: first rows"):
        fit_stream(scaler, make(table(seed=1)), checkpoint=path, **OPTIONS)
    with pytest.raises(ValueError, match="ends 220 rows before"):
        fit_stream(scaler, make(TABLE.slice(0, 100)), checkpoint=path, **OPTIONS)
    assert path.read_bytes() == before
    assert not hasattr(scaler, "mean_")


def test_files_that_were_changed_are_refused(tmp_path, monkeypatch):
    base, path = folder(TABLE, tmp_path / "data"), tmp_path / "c.json"
    interrupted(base, path, monkeypatch, 5, **OPTIONS)
    os.utime(base / "part-1.parquet", ns=(0, 0))
    with pytest.raises(ValueError, match=r"another source: .*part-1\.parquet"):
        fit_stream(new(), base, checkpoint=path, **OPTIONS)
    (base / "part-2.parquet").unlink()
    with pytest.raises(ValueError, match="another source"):
        fit_stream(new(), base, checkpoint=path, **OPTIONS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("[]", "not a checkpoint"),
        ('{"format": "skbn.BatchNormTransformer"}', "not a checkpoint"),
        ('{"format": "skbn.checkpoint", "version": 2}', "version 2, not 1"),
        ('{"format": "skbn.checkpoint", "version": 1}', "source"),
    ],
)
def test_what_is_no_checkpoint(content, message, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=rf"c\.json: .*{message}"):
        fit_stream(new(), TABLE, checkpoint=path, **OPTIONS)
    assert path.read_text() == content


def test_a_truncated_or_edited_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "c.json"
    interrupted(TABLE, path, monkeypatch, 5, **OPTIONS)
    whole = path.read_bytes()
    for content in (
        whole[:-20],
        whole.replace(b'"complete": false', b'"complete": 0'),
        whole.replace(b'"momentum": null', b'"momentum": "x"'),
        whole.replace(b'"part": 0', b'"part": -1'),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"c\.json: "):
            fit_stream(new(), TABLE, checkpoint=path, **OPTIONS)


def test_only_what_can_be_saved(tmp_path):
    from sklearn.preprocessing import StandardScaler

    with pytest.raises(TypeError, match="BatchNormTransformer"):
        fit_stream(StandardScaler(), np.eye(3), checkpoint=tmp_path / "c.json")


def test_a_checkpoint_in_no_folder(tmp_path):
    scaler = new()
    with pytest.raises(FileNotFoundError, match="no such folder"):
        fit_stream(scaler, TABLE, checkpoint=tmp_path / "no" / "c.json", **OPTIONS)
    assert not hasattr(scaler, "mean_")


@pytest.mark.usefixtures("always")
def test_a_checkpoint_that_cannot_be_written(tmp_path):
    scaler, folder = new(), tmp_path / "folder"
    folder.mkdir()

    def removed():
        for i, part in enumerate(np.split(array(TABLE), 10)):
            if i == 3:
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()
            yield part

    with pytest.raises(FileNotFoundError) as caught:
        fit_stream(scaler, removed(), checkpoint=folder / "c.json")
    assert scaler.n_batches_seen_ == 4
    assert "after 400 rows" in caught.value.__notes__[0]
    assert "checkpoint was not written" in caught.value.__notes__[1]


# Sources that know how far they are


class Stateful:
    """Batches in an order of its own, that a state brings back."""

    def __init__(self, n=12):
        self.n, self.done, self.log = n, 0, []
        self.order = np.random.default_rng(0).permutation(n)

    def __iter__(self):
        while self.done < self.n:
            i = int(self.order[self.done])
            self.done += 1
            self.log.append(i)
            yield np.full((10, 2), [i, i * i], dtype=float)
        self.done = 0

    def state_dict(self):
        import torch

        return {
            "done": self.done,
            "order": self.order,
            "more": (torch.arange(3), b"\x00\xff", None, 1.5, [True, "x"], {2: 3}),
        }

    def load_state_dict(self, state):
        more = state["more"]
        assert [*map(int, more[0])] == [0, 1, 2]
        assert more[1:] == (b"\x00\xff", None, 1.5, [True, "x"], {2: 3})
        self.done, self.order = state["done"], state["order"]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("rows", [None, 7, 25])
def test_sources_with_a_state_go_on_by_it(rows, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    path = tmp_path / "c.json"
    interrupted(Stateful(), path, monkeypatch, 4, batch_rows=rows)
    source = Stateful()
    again = fit_stream(new(), source, checkpoint=path, batch_rows=rows)
    assert state(again) == state(fit_stream(new(), Stateful(), batch_rows=rows))
    # What is read again is at most the batch that the state was asked for before.
    assert 12 - len(source.log) in range(4 * (rows or 10) // 10 - 3, 12)


def test_a_buffer_of_shuffled_rows_loses_none(tmp_path, monkeypatch):
    """Hugging Face's state does not hold them."""
    rows = IN_MEMORY["hugging face, iterable"](TABLE.drop_columns(["b"]))
    options = {**OPTIONS, "columns": ["a", "c"]}
    for shuffled in (
        rows.shuffle(seed=0, buffer_size=50),
        rows.shuffle(seed=0, buffer_size=50).map(lambda row: row),
    ):
        path = tmp_path / "c.json"
        interrupted(shuffled, path, monkeypatch, 5, **options)
        again = fit_stream(new(), shuffled, checkpoint=path, **options)
        assert state(again) == state(fit_stream(new(), shuffled, **options))
        assert again.n_batches_seen_ == 16
        path.unlink()


@pytest.mark.usefixtures("always")
def test_a_state_that_cannot_be_kept(tmp_path):
    source = Stateful()
    source.state_dict = lambda: {"lock": object()}
    with pytest.raises(ValueError, match="holds a object, which a checkpoint cannot"):
        fit_stream(new(), source, checkpoint=tmp_path / "c.json")


# Killed


def fork(base, path, options):
    """Start a process that fits, with a checkpoint after every batch."""
    pid = os.fork()
    if pid:
        return pid
    try:
        checkpoints.INTERVAL = 0.0
        fit_stream(new(), base, checkpoint=path, **options)
    finally:
        os._exit(0)


@pytest.fixture
def quick_disk(tmp_path):
    """A folder in memory, where there is one: syncing takes no time there."""
    shared = "/dev/shm"
    with TemporaryDirectory(dir=shared if Path(shared).is_dir() else tmp_path) as path:
        yield Path(path)


# Another test may have started JAX, whose threads the children never use.
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_random_points(quick_disk):
    """No row is counted twice and none is lost."""
    options, path = {**OPTIONS, "batch_rows": 32}, quick_disk / "c.json"
    base = folder(TABLE.slice(0, 500), quick_disk / "data")
    whole = state(fit_stream(new(), base, **options))
    started = time.monotonic()
    os.waitpid(fork(base, path, options), 0)
    seconds, chance = time.monotonic() - started, random.Random(0)
    positions, ends = [], []
    for _ in range(KILLS):
        if path.exists() and json.loads(path.read_bytes())["position"]["complete"]:
            ends.append(state(fit_stream(new(), base, checkpoint=path, **options)))
            path.unlink()
        pid = fork(base, path, options)
        time.sleep(chance.uniform(0.0, 0.6 * seconds))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if path.exists():
            positions.append(json.loads(path.read_bytes())["position"]["rows"])
    ends.append(state(fit_stream(new(), base, checkpoint=path, **options)))

    assert all(end == whole for end in ends)
    assert len(ends) > 2
    assert len({rows for rows in positions if 0 < rows < 500}) > 5
