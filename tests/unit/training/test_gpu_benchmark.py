"""The benchmark for machines with a GPU runs, small, on one without."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_it_tells_of_each_method_and_of_the_trainer() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--tiny"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("tiny")]
    assert [line.split()[1] for line in told] == ["full", "lora", "top_layers", "embeddings", "Trainer"]
    assert all(re.search(r"[1-9][\d,]* texts/s", line) for line in told)
    assert all(line.endswith("the same weights twice") for line in told[:3])
