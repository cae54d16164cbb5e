"""What benchmarks/cluster.py prints is measured, and its model adds up."""

import re
import sys

import pytest

from benchmarks import cluster


def test_bytes_of_a_state():
    """What docs/clusters.md says, and the model counts with."""
    plain = cluster.state_bytes(1000)
    assert plain == pytest.approx(32 * 1000, rel=0.03)
    assert cluster.state_bytes(1000, missing=True) == pytest.approx(48_000, rel=0.03)
    assert cluster.state_bytes(1000, momentum=0.1) == pytest.approx(32_000, rel=0.03)
    one = cluster.model(2, 1000, workers=1, merge=1.0, task=1.0)
    assert one["bytes of one state"] == pytest.approx(plain, rel=0.03)


def test_the_model():
    costs = cluster.model(256, 10, workers=4, merge=1e-3, task=1e-4, bandwidth=1e6)
    assert costs["levels"] == 2
    assert costs["tasks"] == 256 + 16 + 1
    assert costs["bytes moved"] == (256 + 16) * (320 + 640)
    assert costs["merges of two"] == 255
    assert costs["seconds of the scheduler"] == pytest.approx(0.0273)
    assert cluster.model(10**6, 1, workers=1, merge=0, task=0)["levels"] == 5
    assert cluster.model(1, 1, workers=1, merge=1, task=1)["levels"] == 0


def test_what_is_printed(capsys):
    cluster.show_state((10,))
    cluster.show_partitions(16, (3,), (1, 2), rounds=1)
    out = capsys.readouterr().out
    assert len(re.findall(r"\d µs", out)) == 1
    assert len(re.findall(r"[\d.]+ ns a value", out)) == 2


def test_command(monkeypatch, capsys):
    printed = []
    parts = {name: lambda name=name: printed.append(name) for name in cluster.PARTS}
    monkeypatch.setattr(cluster, "PARTS", parts)
    for arguments, expected in (([], list(parts)), (["model"], ["model"])):
        printed.clear()
        monkeypatch.setattr(sys, "argv", ["cluster", *arguments])
        cluster.main()
        assert printed == expected
    monkeypatch.setattr(sys, "argv", ["cluster", "nonsense"])
    with pytest.raises(SystemExit):
        cluster.main()
    assert "nonsense" in capsys.readouterr().err
