"""The verbs of the Makefile, as `make help` lists them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def test_help_names_every_verb_in_lines_that_fit_a_terminal(root: Path) -> None:
    shown = subprocess.run(
        ["make", "-s", "help"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    assert max(map(len, shown.splitlines())) <= 80
    verbs = re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^  make (\S+) +\S", shown, re.MULTILINE) == verbs
