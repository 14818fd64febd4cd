"""The files of a new loop, from the templates of this package: the loop file and its dbt models."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import quote
from lakeloop.spec.reading.load import read_loop
from lakeloop.spec.tasks import Task

TEMPLATES = resources.files("lakeloop.cli") / "templates"


def scaffold(
    name: str, settings: Settings, task: str = "classification", text: str | None = None
) -> list[Path]:
    """Write the files of a new loop called `name`, for a kind of task; returns the paths of the files.

    The loop file is `text`, or the template.

    Raises:
        ConfigurationError: there is no such kind of task, `name` is no name for a loop, or one of the files
            is there already; nothing was written.
    """
    if task not in kinds_of_task():
        raise ConfigurationError(
            "no such kind of task", where="--task", expected=", ".join(kinds_of_task()), found=quote(task)
        )
    models = settings.dbt / "models" / name
    files = {
        settings.loop_file(name): f"loop.{task}.yaml",
        models / "staging" / f"stg_{name}.sql": "staging.sql",
        models / "staging" / f"stg_{name}.yml": "staging.yml",
        models / "marts" / f"mart_{name}.sql": "mart.sql",
        models / "marts" / f"mart_{name}.yml": "mart.yml",
    }
    # Judges the name too, before it becomes a path.
    loop_text = text or _filled(f"loop.{task}.yaml", {"name": name})
    loop = read_loop(loop_text, settings.loop_file(name), settings)
    words = {"name": name, "target": loop.task.target, **_contract(loop.task)}
    texts = {path: _filled(template, words) for path, template in files.items()}
    texts[settings.loop_file(name)] = loop_text
    if there := [path for path in files if path.exists()]:
        raise ConfigurationError(
            f"there is a loop {quote(name)} already",
            where=str(there[0]),
            expected="a name that is not taken",
            remedy="choose another name, or remove the old files",
        )
    for path, content in texts.items():
        write_atomically(path, content)
    return list(files)


def kinds_of_task() -> list[str]:
    """The kinds of task that a loop can begin with."""
    return sorted(file.name.split(".")[1] for file in TEMPLATES.iterdir() if file.name.startswith("loop."))


def _contract(task: Task) -> dict[str, str]:
    """What models say of the task's columns besides the text: arguments of the macro, and the contract."""
    roles = {name: role.kept_as for name, role in task.roles().items() if name != "text"}
    arguments = ""
    for kind, argument in (("string", "words"), ("number", "numbers")):
        given = ", ".join(f"'{name}': 'lakeloop_{name}'" for name, kept in roles.items() if kept == kind)
        arguments += f", {argument}={{{given}}}" if given else ""
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


def is_template(loop: LoopSpec, settings: Settings) -> bool:
    """Whether `loop` is what `scaffold` writes, with nothing said about the data yet.

    It never is where its kind of task has no template.
    """
    if loop.task.kind not in kinds_of_task():
        return False
    text = _filled(f"loop.{loop.task.kind}.yaml", {"name": loop.name})
    return read_loop(text, settings.loop_file(loop.name), settings) == loop
