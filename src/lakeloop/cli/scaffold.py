"""The file of a new loop, from the templates of this package; its dbt models follow from it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from string import Template

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import quote
from lakeloop.spec.reading.load import read_loop
from lakeloop.transform.models import own_folder

TEMPLATES = resources.files("lakeloop.cli") / "templates"


def scaffold(name: str, settings: Settings, task: str, text: str | None = None) -> Path:
    """Write the loop file of a new loop called `name`, for a kind of task; returns its path.

    The loop file is `text`, or the template.

    Raises:
        ConfigurationError: there is no such kind of task, `name` is no name for a loop, the file is there
            already, or dbt models of a loop of this name are; nothing was written.
    """
    if text is None and task not in kinds_of_task():
        raise ConfigurationError(
            "no such kind of task", where="--task", expected=", ".join(kinds_of_task()), found=quote(task)
        )
    require_free(name, settings)
    text = text or _template(name, task)
    path = settings.loop_file(name)
    read_loop(text, path, settings)
    write_atomically(path, text)
    return path


def require_free(name: str, settings: Settings) -> None:
    """Return when a loop can be begun under `name`; raises ConfigurationError else."""
    path = settings.loop_file(name)
    read_loop(_template(name, kinds_of_task()[0]), path, settings)  # judges the name
    if there := path if path.exists() else own_folder(settings.dbt, name):
        raise ConfigurationError(
            f"there is a loop {quote(name)} already",
            where=str(there),
            expected="a name that is not taken",
            remedy="choose another name, or remove the old files",
        )


def kinds_of_task() -> list[str]:
    """The kinds of task that a loop can begin with."""
    return sorted(file.name.split(".")[1] for file in TEMPLATES.iterdir() if file.name.startswith("loop."))


def is_template(loop: LoopSpec, settings: Settings) -> bool:
    """Whether `loop` is what `scaffold` writes, with nothing said about the data yet.

    It never is where its kind of task has no template.
    """
    if loop.task.kind not in kinds_of_task():
        return False
    return read_loop(_template(loop.name, loop.task.kind), settings.loop_file(loop.name), settings) == loop


def _template(name: str, task: str) -> str:
    return Template((TEMPLATES / f"loop.{task}.yaml").read_text(encoding="utf-8")).substitute(name=name)
