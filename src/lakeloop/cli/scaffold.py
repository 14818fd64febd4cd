"""The files of a new loop, from the templates of this package: the loop file and its dbt models."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from string import Template

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.load import read_loop
from lakeloop.spec.problems import quote

TEMPLATES = resources.files("lakeloop.cli") / "templates"


def scaffold(name: str, settings: Settings) -> list[Path]:
    """Write the files of a new loop called `name`; the paths that were written.

    Raises:
        ConfigurationError: `name` cannot be a loop's, or one of the files is there; nothing was written.
    """
    models = settings.dbt / "models" / name
    files = {
        settings.loop_file(name): "loop.yaml",
        models / "staging" / f"stg_{name}.sql": "staging.sql",
        models / "staging" / f"stg_{name}.yml": "staging.yml",
        models / "marts" / f"mart_{name}.sql": "mart.sql",
        models / "marts" / f"mart_{name}.yml": "mart.yml",
    }
    texts = {path: _filled(template, name) for path, template in files.items()}
    # Judges the name too, before it becomes a path.
    read_loop(texts[settings.loop_file(name)], settings.loop_file(name), settings)
    if there := [path for path in files if path.exists()]:
        raise ConfigurationError(
            f"there is a loop {quote(name)} already",
            where=str(there[0]),
            expected="a name that is not taken",
            remedy="choose another name, or remove the old files",
        )
    for path, text in texts.items():
        write_atomically(path, text)
    return list(files)


def _filled(template: str, name: str) -> str:
    return Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(name=name)
