"""The arrows of the layout: who may import whom, and what must stay light.

dags -> plugins/lakeloop_airflow -> light modules of lakeloop      training -> lakeloop
dags ~~> training: only as the argv of a process
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HEAVY = frozenset(
    [
        "dbt",
        "deltalake",
        "duckdb",
        "fastapi",
        "great_expectations",
        "numpy",
        "onnxruntime",
        "pandas",
        "pyarrow",
        "sklearn",
        "torch",
        "transformers",
        "wandb",
    ]
)
"""Each costs 0.2 to 10 seconds; a DAG file is parsed every minute, and each task is a process of its own."""

LIGHT = (
    "lakeloop.artifact",
    "lakeloop.attempt",
    "lakeloop.base_model",
    "lakeloop.bases",
    "lakeloop.durable",
    "lakeloop.errors",
    "lakeloop.evidence",
    "lakeloop.faults",
    "lakeloop.garbage",
    "lakeloop.hosts",
    "lakeloop.jobs",
    "lakeloop.measures",
    "lakeloop.plural",
    "lakeloop.records",
    "lakeloop.settings",
    "lakeloop.spec",
    "lakeloop.stages.catalogue",
    "lakeloop.tasks.base",
    "lakeloop.tasks.registry",
)
"""Modules and packages that may be imported while a DAG file is parsed."""

ROOMS = (
    (
        "errors",
        "durable",
        "full_disk",
        "locks",
        "attempt",
        "faults",
        "garbage",
        "ports",
        "extras",
        "plural",
        "redaction",
        "removal",
        "temporary",
    ),
    ("records", "settings", "hosts", "hub", "object_store"),
    ("measures",),
    ("spec",),
    ("lake", "tracking", "jobs", "scratch"),
    ("search",),
    ("tasks", "bases"),
    ("cleaning", "artifact", "evidence", "base_model"),
    ("sources", "transform", "quality", "datasets", "inference"),
    ("gate", "proposal", "examples"),
    ("registry",),
    ("evaluation", "monitoring"),
    ("serving",),
    ("disk",),
    ("stages",),
    ("local",),
    ("cli",),
)
"""The rooms of the library from left to right. A room may import rooms to the left of it only; rooms in one
group do not import each other, but for the plain modules of the first two. `stages.catalogue` is a list of
names, which everybody may read."""
_PLAIN = 2

PLUGINS = frozenset({"lakeloop_airflow", "lakeloop_ui", "lakeloop_plugin", "plugins"})
FORBIDDEN = {
    "src/lakeloop": PLUGINS | {"airflow", "dags", "training"},
    "training": PLUGINS | {"airflow", "dags"},
    "plugins/lakeloop_airflow": frozenset({"dags", "training", "lakeloop_ui"}),
    "plugins/lakeloop_ui": frozenset({"dags", "training"}),
    "dags": frozenset({"dags", "training", "lakeloop_ui"}),
}
"""Never imported below that folder, not even inside a function."""

FEWEST_FILES = {
    "src/lakeloop": 50,
    "training": 5,
    "plugins/lakeloop_airflow": 5,
    "plugins/lakeloop_ui": 3,
    "dags": 6,
}
"""A test that looked at nothing would pass: fewer files than this mean that a folder moved."""


@dataclass(frozen=True)
class Import:
    file: Path
    line: int
    name: str
    """The full name of the module, or of what is taken from it."""
    at_import: bool
    """Runs when the file is imported: not in a function, not for type checkers only."""

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.name}"


def imports_below(root: Path, folder: str) -> list[Import]:
    files = sorted(f for f in (root / folder).rglob("*.py") if "__pycache__" not in f.parts)
    assert len(files) >= FEWEST_FILES[folder], f"only {len(files)} files below {folder}: did it move?"
    return [found for file in files for found in imports_of(file, root)]


def imports_of(file: Path, root: Path) -> Iterator[Import]:
    def visit(node: ast.AST, at_import: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            names = []
        for name in names:
            yield Import(file.relative_to(root), getattr(node, "lineno", 0), name, at_import)
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _typing_only(node)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, at_import and not later)

    return visit(ast.parse(file.read_text(), str(file)), True)


def _typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not node.orelse


def is_light(name: str) -> bool:
    return any(name == light or name.startswith(f"{light}.") for light in LIGHT)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_nothing_is_imported_against_the_arrows(root: Path, folder: str) -> None:
    wrong = [str(i) for i in imports_below(root, folder) if i.top in FORBIDDEN[folder]]
    assert wrong == [], f"never imported below {folder}: {', '.join(sorted(FORBIDDEN[folder]))}"


def test_every_room_has_its_place(root: Path) -> None:
    there = {path.stem for path in (root / "src/lakeloop").iterdir() if path.stem.isidentifier()}
    there -= {"__init__", "__pycache__"}
    placed = [room for group in ROOMS for room in group]
    assert sorted(placed) == sorted(there), "give a new room its place in ROOMS"


def test_a_room_imports_only_rooms_to_its_left(root: Path) -> None:
    place = {room: number for number, group in enumerate(ROOMS) for room in group}
    wrong = []
    for found in imports_below(root, "src/lakeloop"):
        own, parts = found.file.parts[2].removesuffix(".py"), found.name.split(".")
        if parts[0] != "lakeloop" or len(parts) < 2 or parts[1] not in place or own not in place:
            continue
        other = parts[1]
        if other == own or parts[1:3] == ["stages", "catalogue"]:
            continue
        if place[other] > place[own] or (place[other] == place[own] >= _PLAIN):
            wrong.append(str(found))
    assert wrong == [], "move what both need to a room further left, see ROOMS"


def test_the_sections_of_a_loop_file_know_nothing_of_how_it_is_read(root: Path) -> None:
    wrong = [
        str(found)
        for found in imports_below(root, "src/lakeloop")
        if found.file.parts[2] == "spec"
        and found.file.parts[3] != "reading"
        and found.name.startswith("lakeloop.spec.reading")
    ]
    assert wrong == [], "what both need stands in lakeloop/spec, beside the sections"


@pytest.mark.parametrize("folder", ["dags", "plugins/lakeloop_airflow"])
def test_parsing_a_dag_file_imports_only_the_light_part_of_the_library(root: Path, folder: str) -> None:
    found = [i for i in imports_below(root, folder) if i.at_import and i.top == "lakeloop"]
    assert found
    wrong = [str(i) for i in found if not is_light(i.name)]
    assert wrong == [], "import it inside the function that needs it"


@pytest.mark.parametrize("folder", ["dags", "plugins/lakeloop_airflow"])
def test_parsing_a_dag_file_imports_no_heavy_package(root: Path, folder: str) -> None:
    wrong = [str(i) for i in imports_below(root, folder) if i.at_import and i.top in HEAVY]
    assert wrong == [], "import it inside the function that needs it"


def test_the_library_starts_training_only_as_a_process(root: Path) -> None:
    """`import_module("training.finetune")` would go round the arrows; `-m training.finetune` does not."""
    for folder in ("src/lakeloop", "plugins/lakeloop_airflow", "dags"):
        for file in {root / i.file for i in imports_below(root, folder)}:
            assert [call for call in _dynamic_imports(file) if "training" in call] == [], file


def _dynamic_imports(file: Path) -> list[str]:
    calls = (
        ast.unparse(node) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
    )
    return [call for call in calls if call.partition("(")[0].endswith(("import_module", "__import__"))]


def test_the_light_modules_load_nothing_heavy(root: Path) -> None:
    """With the tests above: nothing that a DAG file imports from the library loads anything heavy."""
    light = [module for module in modules_below(root / "src") if is_light(module)]
    assert len(light) >= 20, light
    program = (
        "import importlib, json, sys\n"
        "for name in json.loads(sys.argv[1]):\n"
        "    importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    argv = [sys.executable, "-c", program, json.dumps(light)]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert {"lakeloop", "pydantic", "yaml"} <= loaded
    assert loaded & (HEAVY | FORBIDDEN["src/lakeloop"]) == set()


def modules_below(source: Path) -> list[str]:
    """Names of all modules and packages below `source`."""
    files = sorted(f for f in source.rglob("*.py") if "__pycache__" not in f.parts)
    names = (".".join(f.relative_to(source).with_suffix("").parts) for f in files)
    return [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import torch", [("torch", True)]),
        ("def f():\n    import torch", [("torch", False)]),
        ("class A:\n    import torch", [("torch", True)]),
        ("try:\n    from a import b\nexcept ImportError:\n    import c", [("a.b", True), ("c", True)]),
        ("if TYPE_CHECKING:\n    from a import b", [("a.b", False)]),
        ("if x:\n    import a.b as c", [("a.b", True)]),
        ("async def f():\n    if x:\n        import a", [("a", False)]),
    ],
)
def test_imports_are_found_wherever_they_stand(
    tmp_path: Path, text: str, expected: list[tuple[str, bool]]
) -> None:
    file = tmp_path / "module.py"
    file.write_text(text)
    assert [(i.name, i.at_import) for i in imports_of(file, tmp_path)] == expected
