"""Ingest within limits: hostile drops in little memory, and a disk that is full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakeloop.errors import EXIT_TRANSIENT
from lakeloop.stages.data.ingest import ingest
from tests.support.small_loop import small_context

DAY = "2026-11-16"
CODE = """
import resource, sys
from pathlib import Path
from lakeloop.errors import LakeloopError, exit_code
from lakeloop.stages.data.ingest import ingest
from tests.support.small_loop import small_context

kind, limit = sys.argv[2], int(sys.argv[3])
context = small_context(Path(sys.argv[1]))
if kind == "memory":  # what the process may add to what it has when all is imported
    import lakeloop.sources.intake, lakeloop.sources.registry, lakeloop.tracking.tracker
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, 2 * (pages * resource.getpagesize() + limit,))
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    print(ingest(context, "2026-11-16").counts.quarantined)
except LakeloopError as error:
    print(error, file=sys.stderr)
    sys.exit(exit_code(error))
"""


def ingested(folder: Path, root: Path, kind: str, limit: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root), "WANDB_MODE": "disabled"}
    argv = [sys.executable, "-c", CODE, str(folder), kind, str(limit)]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def rows(count: int) -> bytes:
    """That do not compress well."""
    texts = (os.urandom(150).hex() for _ in range(count))
    return "".join(
        f'{{"id": "{number}", "text": "{text}", "label": "tech"}}\n' for number, text in enumerate(texts)
    ).encode()


def drop(folder: Path, content: bytes) -> None:
    small_context(folder)
    (folder / "drops").mkdir()
    (folder / "drops" / f"{DAY}.jsonl").write_bytes(content)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the size from Linux's /proc")
@pytest.mark.parametrize(
    ("content", "quarantined"),
    [(b"\n" * (1 << 19), 1 << 19), (b"x\n" * (1 << 18), 1 << 18), (b"x" * (100 << 20), 1)],
    ids=["line ends", "one-byte lines", "one line of 100 MB"],
)
def test_hostile_drops_are_quarantined_in_little_memory(
    tmp_path: Path, root: Path, content: bytes, quarantined: int
) -> None:
    drop(tmp_path, content)
    done = ingested(tmp_path, root, "memory", 700 << 20)  # of addresses, stacks of threads among them
    assert done.stdout.split() == [str(quarantined)], done.stderr


def test_a_file_that_cannot_grow_is_a_clear_error_and_a_new_run_is_right(tmp_path: Path, root: Path) -> None:
    drop(tmp_path, rows(9000))
    done = ingested(tmp_path, root, "disk", 1 << 20)
    assert done.returncode == EXIT_TRANSIENT, done.stderr
    assert "cannot write" in done.stderr
    assert "MB free" in done.stderr
    context = small_context(tmp_path)
    assert context.lake.read("raw").num_rows == 0
    record = ingest(context, DAY)
    assert record.counts is not None
    assert record.counts.accepted == 9000
    assert context.lake.digest("raw", partition=DAY) == record.outputs["raw"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk, which only root can")
def test_a_full_disk_is_a_clear_error_and_a_new_run_is_right(tmp_path: Path, root: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts no disk in memory")
    try:
        drop(small, rows(9000))
        done = ingested(small, root, "disk", 1 << 40)
        assert done.returncode == EXIT_TRANSIENT, done.stderr
        assert "no space is left" in done.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        record = ingest(small_context(small), DAY)
        assert record.counts is not None
        assert record.counts.accepted == 9000
    finally:
        subprocess.run(["umount", str(small)], check=True)
