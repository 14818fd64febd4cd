"""Policies of the repository: what is kept in it, and how long a module and a function may be.

Each test says how much it looks at, so that none passes because it looked in the wrong place.
"""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("src", "training", "plugins", "dags")
MADE = {".onnx", ".safetensors", ".bin", ".gguf", ".pt", ".parquet", ".whl"}
MOST_BYTES = 512 * 1024
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 50


def _kept() -> list[Path]:
    """The files of the repository, relative to its root; without git, all that is not made at run time."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z"]
    if (ROOT / ".git").exists():
        names = subprocess.run(git, check=True, capture_output=True, text=True).stdout.split("\0")
        return [Path(name) for name in names if name and (ROOT / name).exists()]
    kept: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in {"target", "logs"}]
        kept += [(Path(folder) / name).relative_to(ROOT) for name in names]
    return kept


KEPT = _kept()
TESTS = "tests"
MODULES = [path for path in KEPT if path.suffix == ".py" and path.parts[0] in ROOMS]


def test_nothing_that_a_run_or_a_build_makes_is_kept_in_the_repository() -> None:
    made = [path for path in KEPT if path.suffix in MADE]
    assert not made, f"{made}: weights, tables and packages are made at run time, below a home or a tmp_path"


def test_no_large_file_is_kept_in_the_repository() -> None:
    assert len(KEPT) > 250, "looked at too few files to say anything"
    large = {
        path: f"{size // 1024} KB"
        for path in KEPT
        if path.parts[:2] != ("docs", "pictures") and (size := (ROOT / path).stat().st_size) > MOST_BYTES
    }
    assert not large, (
        f"{large}: above {MOST_BYTES // 1024} KB. Packages come from the locks, data and models are made or"
        " fetched at run time: `git rm --cached` the file and name it in .gitignore."
    )


def test_no_built_package_is_kept_in_the_repository() -> None:
    built = [path for path in KEPT if path.suffix in {".whl", ".egg", ".so", ".pyc"}]
    assert not built, f"{built}: packages come from the locks. `git rm --cached` them."


@pytest.mark.parametrize("room", [*ROOMS, TESTS])
def test_no_module_is_longer_than_a_reader_can_hold(room: str) -> None:
    modules = [path for path in KEPT if path.suffix == ".py" and path.parts[0] == room]
    assert len(modules) >= {"src": 100, "training": 10, "plugins": 10, "dags": 1, TESTS: 150}[room], (
        "looked at too few modules"
    )
    lines = {path: len((ROOT / path).read_text().splitlines()) for path in modules}
    long = {str(path): count for path, count in lines.items() if count > MOST_LINES}
    assert not long, (
        f"{long}: more than {MOST_LINES} lines. Part the module by subject, each with a docstring of its own."
    )


def test_no_function_is_longer_than_a_screen() -> None:
    lengths = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(lengths) > 800, "looked at too few functions to say anything"
    long = {where: count for where, count in lengths.items() if count > MOST_LINES_OF_A_FUNCTION}
    assert not long, (
        f"{long}: more than {MOST_LINES_OF_A_FUNCTION} lines from `def` to its end, docstring included."
        " Give the parts names: a function for each thing that it does."
    )
