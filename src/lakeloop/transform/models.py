"""The dbt models of a loop: generated from its loop file, or its own, in the dbt project.

A loop without models below models/<loop>/ has them generated from the templates of this package, for each
build anew: an upgrade reaches them, and nothing is written into the dbt project. To change them a person
takes them over (`take_over`); from then on they are the loop's own, and no upgrade touches them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath
from string import Template

import yaml

from lakeloop.durable import digest_folder, digest_named, sha256_file, write_atomically
from lakeloop.errors import ConfigurationError
from lakeloop.records import fingerprint
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import quote
from lakeloop.spec.tasks import Task
from lakeloop.spec.tasks.base import LANGUAGE, TEXT
from lakeloop.transform.described import builds_nothing, described

TEMPLATES = resources.files("lakeloop.transform") / "templates"

_WRITTEN = {
    "staging/stg_{loop}.sql": "staging.sql",
    "staging/stg_{loop}.yml": "staging.yml",
    "marts/mart_{loop}.yml": "mart.yml",
    "marts/mart_{loop}.sql": "mart.sql",
}
"""File below models/<loop>/ -> its template. The one that makes a folder complete comes last."""

_YOURS = "This file is yours (lakeloop eject): change it as you like, no upgrade of Lakeloop does any more."
_NOTICES = {".sql": f"-- {_YOURS}\n".encode(), ".yml": f"# {_YOURS}\n".encode()}
"""First line of a model that was taken over. It says nothing to dbt, and is left out of the digest."""

_OF_MODELS = frozenset({".sql", ".yml", ".yaml", ".py", ".csv"})
BY_HAND = "generated"
"""Folder of the dbt project with the generated models, written where a person runs dbt by hand: see
`lakeloop.transform.by_hand`."""
_NOT_LINKED = frozenset({"models", BY_HAND, "target", "logs"})


@dataclass(frozen=True)
class Models:
    """The files of a loop's models."""

    loop: str
    files: Mapping[str, bytes]
    """Path below models/ -> content."""
    generated: bool
    """From the templates; else they are the loop's own."""


def models_of(project: Path, loop: LoopSpec) -> Models:
    """The models that a build of `loop` takes: its own where `project` has some, else generated ones."""
    own = _own_files(project, loop.name)
    if own:
        files = {path.relative_to(project / "models").as_posix(): path.read_bytes() for path in own}
        return Models(loop.name, files, generated=False)
    return Models(loop.name, generated(loop), generated=True)


def own_folder(project: Path, loop: str) -> Path | None:
    """The folder with the loop's own models; None when it has none."""
    return project / "models" / loop if _own_files(project, loop) else None


def project_digest(project: Path, models: Models) -> str:
    """sha256 of what decides what `models` build: their text, wherever it is from, and the shared parts.

    Not of files with exposures and unit tests alone.
    """
    return fingerprint(
        project=sha256_file(project / "dbt_project.yml"),
        macros=digest_folder(project / "macros"),
        tests=digest_folder(project / "tests"),
        models=_digest(models.files),
    )


def page_digest(project: Path, models: Models) -> str:
    """sha256 of what dbt's page about `models` says."""
    texts = {name: hashlib.sha256(content).hexdigest() for name, content in models.files.items()}
    return fingerprint(built=project_digest(project, models), texts=texts)


def runnable(project: Path, models: Models, others: Collection[str], folder: Path) -> Path:
    """The dbt project with `models`, made in `folder`: a slip in those of the loops `others` is not in it.

    Everything else of `project` is linked; of its folder of models what belongs to no loop is copied.
    """
    folder.mkdir(parents=True)
    for entry in project.iterdir():
        if entry.name not in _NOT_LINKED and not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry.resolve())
    for entry in (project / "models").glob("*"):
        if entry.name in {models.loop, *others} or (entry / f"marts/mart_{entry.name}.sql").exists():
            continue
        if entry.is_dir():
            shutil.copytree(entry, folder / "models" / entry.name)
        else:
            (folder / "models").mkdir(exist_ok=True)
            shutil.copy(entry, folder / "models")
    write_models(models, folder / "models")
    return folder


def write_models(models: Models, folder: Path) -> None:
    """Write `models` below `folder`; a file that is as it would be is left alone."""
    for name, content in models.files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def take_over(project: Path, loop: LoopSpec) -> list[Path]:
    """Write the generated models of `loop` into `project`, as its own; returns the paths of the files.

    What they build stays as it was, until somebody changes them.

    Raises:
        ConfigurationError: the loop has models of its own already; nothing was written.
    """
    if there := own_folder(project, loop.name):
        raise ConfigurationError(
            f"loop {quote(loop.name)} has dbt models of its own already",
            where=str(there),
            expected="no models there",
            remedy="change them as you like; to have them generated again, move the folder away",
        )
    written = []
    for name, content in generated(loop).items():
        path = project / "models" / name
        write_atomically(path, _NOTICES[path.suffix] + content)
        written.append(path)
    return written


def lacking(project: Path, loop: LoopSpec) -> tuple[str, ...]:
    """Columns of the mart that the contract of the loop's own models does not have: their build will fail.

    None where the contract cannot be read without dbt.
    """
    from lakeloop.lake.tables import mart_schema

    declared = _declared(_own_files(project, loop.name), f"mart_{loop.name}")
    wanted = (name for name in mart_schema(loop).names if name != LANGUAGE)  # which the stage adds
    return tuple(name for name in wanted if declared and name not in declared)


def _declared(files: Iterable[Path], model: str) -> set[str]:
    """Columns of `model` that the yml among `files` declares."""
    found: set[str] = set()
    for file in files:
        if file.suffix not in {".yml", ".yaml"}:
            continue
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            models = [each for each in content["models"] if each["name"] == model]
            found |= {column["name"] for each in models for column in each["columns"]}
        except (ValueError, KeyError, TypeError, yaml.YAMLError):  # dbt says what is wrong with it
            continue
    return found


def _own_files(project: Path, loop: str) -> list[Path]:
    """All files of the loop's folder; none where nothing in it is for dbt."""
    folder = project / "models" / loop
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return files if any(path.suffix in _OF_MODELS for path in files) else []


def _digest(files: Mapping[str, bytes]) -> str:
    """Of names and contents, as `digest_folder` makes it: models of before have the digest of before."""
    digests = {
        name: hashlib.sha256(content.removeprefix(_NOTICES.get(PurePosixPath(name).suffix, b""))).hexdigest()
        for name, content in files.items()
        if not builds_nothing(content)
    }
    return digest_named((name, digests[name]) for name in sorted(digests, key=PurePosixPath))


def generated(loop: LoopSpec) -> dict[str, bytes]:
    """The models that a loop without its own ones has: file, below the folder of models -> content."""
    words = {"name": loop.name, "target": loop.task.target, **_contract(loop.task)}
    built = {
        file.format(loop=loop.name): _filled(file_of, words).encode() for file, file_of in _WRITTEN.items()
    }
    return {f"{loop.name}/{name}": content for name, content in {**described(loop), **built}.items()}


def _contract(task: Task) -> dict[str, str]:
    """What models say of the task's columns besides the text: arguments of the macro, and the contract."""
    roles = {name: role.kept_as for name, role in task.roles().items() if name != TEXT}
    arguments = ""
    for kind, argument in (("string", "words"), ("number", "numbers")):
        given = ", ".join(f"'{name}': 'lakeloop_{name}'" for name, kept in roles.items() if kept == kind)
        arguments += f", {argument}={{{given}}}" if given else ""
    if beside := ", ".join(f"'{name}'" for name in task.reads if name != TEXT):
        arguments += f", beside=[{beside}]"
    columns = "".join(_COLUMN[kept].format(name=name) for name, kept in roles.items())
    return {"arguments": arguments, "target_columns": columns}


_COLUMN = {
    "string": """\
      - name: {name}
        description: The {name} as delivered, normalised; null when there is none. Not checked yet.
        data_type: varchar
""",
    "number": """\
      - name: {name}
        description: The {name} as delivered; null when there is none. Not checked yet.
        data_type: double
""",
}


def _filled(template: str, words: Mapping[str, str]) -> str:
    return Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(words)
