"""Files are whole or as they were before, also when the writer is killed."""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lakeloop.durable import digest_folder, fsync_tree, sha256_file, write_atomically

# Writes for ever, so that a kill at any time falls into a write; says when it has begun.
WRITER = """
import itertools, sys
from pathlib import Path
from lakeloop.durable import write_atomically
for n in itertools.count():
    write_atomically(Path(sys.argv[1]), bytes([48 + n % 10]) * 3_000_000)
    print(n, flush=True)
"""


def test_content_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/file"
    write_atomically(path, "first, and longer")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_text_is_written_as_utf_8_without_new_line_changes(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "é\r\n")
    assert (tmp_path / "file").read_bytes() == b"\xc3\xa9\r\n"


def test_a_writer_killed_before_the_rename_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from lakeloop.durable import write_atomically\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(Path(sys.argv[1]), 'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_writer_killed_at_any_time_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(3):
                writer.stdout.readline()
            writer.kill()
        content = path.read_bytes()
        assert len(content) == 3_000_000
        assert len(set(content)) == 1


@pytest.mark.usefixtures("usual_umask")
def test_a_secret_is_its_owners_from_the_first_byte_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    sync = os.fsync

    def look(descriptor: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    write_atomically(tmp_path / "secrets.json", "{}", mode=0o600)
    assert seen[0] == 0o600
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(path, "new")
    assert stat.S_ISDIR(path.stat().st_mode)


def test_a_digest_of_a_file_is_its_sha256(tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "file").write_bytes(content)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_has_no_end_has_no_digest(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="not a regular file"):
        sha256_file(path)
    assert digest_folder(tmp_path) == hashlib.sha256().hexdigest()


def test_a_digest_of_a_folder_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "sub").mkdir(parents=True)
    for name in ("sub/y", "x"):
        (tmp_path / "a" / name).write_text(name)
    for name in ("x", "sub/y"):
        (tmp_path / "b" / name).write_text(name)
    digest = digest_folder(tmp_path / "a")
    assert digest_folder(tmp_path / "b") == digest
    (tmp_path / "b/x").rename(tmp_path / "b/z")
    assert digest_folder(tmp_path / "b") != digest


def test_a_digest_of_a_folder_ignores_bytecode_and_what_does_not_match(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("1")
    digest = digest_folder(tmp_path, "**/*.py")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/code.py").write_text("2")
    (tmp_path / "notes.txt").write_text("3")
    assert digest_folder(tmp_path, "**/*.py") == digest


def test_syncing_what_is_not_there_is_an_error_and_not_a_success(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("x")
    fsync_tree(tmp_path)
    with pytest.raises(FileNotFoundError):
        fsync_tree(tmp_path / "nowhere")
