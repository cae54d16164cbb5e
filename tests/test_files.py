"""Files that are written are whole, or as they were."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from skbn._files import atomic_write


def write(path, content):
    with atomic_write(path) as file:
        file.write(content)


@pytest.mark.parametrize("name", ["a", "ä" * 120, "b.json.gz"])
def test_what_was_written_is_there_and_nothing_else(tmp_path, name):
    write(tmp_path / name, b"one")
    write(tmp_path / name, b"two")

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"two"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a"
    write(path, b"one")

    def write_half():
        with atomic_write(path) as file:
            file.write(b"half of")
            raise error

    with pytest.raises(error):
        write_half()

    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_has_the_name_before_the_end(tmp_path):
    path = tmp_path / "a"
    with atomic_write(path) as file:
        file.write(b"one")
        assert not path.exists()
        assert Path(file.name).parent == tmp_path
    assert path.exists()


def test_a_killed_writer_leaves_what_was_there(tmp_path):
    path = tmp_path / "a"
    write(path, b"one")
    code = (
        "import os, signal, sys; from skbn._files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, path], check=False)

    assert killed.returncode == -9
    assert path.read_bytes() == b"one"


def test_it_is_synced_before_it_is_renamed(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda n: (done.append("sync"), sync(n))[1])
    monkeypatch.setattr(
        Path, "replace", lambda a, b: (done.append("rename"), replace(a, b))[1]
    )
    write(tmp_path / "a", b"one")

    assert done[:2] == ["sync", "rename"]


def test_permissions_are_those_of_the_file_before_or_of_any_new_one(tmp_path):
    (tmp_path / "plain").touch()
    write(tmp_path / "new", b"")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode

    (tmp_path / "new").chmod(0o640)
    write(tmp_path / "new", b"")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    write(tmp_path / "link", b"one")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"one"


def test_a_pipe_is_written_as_it_comes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    code = "import sys; print(open(sys.argv[1]).read())"
    reader = [sys.executable, "-c", code, tmp_path / "pipe"]
    with subprocess.Popen(reader, stdout=subprocess.PIPE, text=True) as process:
        write(tmp_path / "pipe", b"one")
        assert process.stdout.read() == "one\n"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_folder_and_a_missing_folder_are_named(tmp_path):
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        write(tmp_path, b"")
    with pytest.raises(FileNotFoundError, match="missing"):
        write(tmp_path / "missing" / "a", b"")
