"""The memory of ingest is that of some batches, whatever the drop holds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.small_loop import small_context

DAY = "2026-11-16"
CODE = """
import sys
from pathlib import Path
from lakeloop.lake import parquet
from lakeloop.stages.data.ingest import ingest
from tests.support.small_loop import small_context

parquet.ROW_GROUP_BYTES = 2 << 20  # full with the few lines as with the many
print(ingest(small_context(Path(sys.argv[1])), sys.argv[2]).counts.quarantined)
# Not getrusage: its peak begins with that of the parent process.
print(next(line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmHWM:")))
"""


def peak_mb(folder: Path, root: Path, line: str, lines: int) -> float:
    """Of a process that ingests a drop of `lines` bad lines."""
    folder.mkdir()
    small_context(folder)
    (folder / "drops").mkdir()
    (folder / "drops" / f"{DAY}.jsonl").write_text(f"{line}\n" * lines)
    environment = {**os.environ, "PYTHONPATH": str(root), "WANDB_MODE": "disabled"}
    argv = [sys.executable, "-c", CODE, str(folder), DAY]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True)
    quarantined, kilobytes = done.stdout.split()
    assert int(quarantined) == lines
    return int(kilobytes) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from Linux's /proc")
@pytest.mark.parametrize("line", ["", "no row at all, " * 8], ids=["line ends", "words"])
def test_five_times_as_many_bad_lines_take_no_more_memory(tmp_path: Path, root: Path, line: str) -> None:
    few, many = 20_000, 120_000
    growth = peak_mb(tmp_path / "many", root, line, many) - peak_mb(tmp_path / "few", root, line, few)
    # 1 KB each, as when they were kept in memory, would be 98 MB.
    assert growth < 50
