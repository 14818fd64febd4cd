"""From loops/<name>/loop.yaml to a `LoopSpec`, or to one error that lists everything that is wrong.

Reading the YAML is `document`, what is valid is in the sections, how it is worded is `wording`. A file is
read anew each time: it is small, and a person may just have changed it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.paths import confine_all
from lakeloop.spec.quoting import Key, describe, quote
from lakeloop.spec.reading.document import Document, parse, read_text
from lakeloop.spec.reading.nearest import nearest
from lakeloop.spec.reading.problems import Problem, list_problems
from lakeloop.spec.reading.wording import UNKNOWN_KEY, Flaw, flaws
from lakeloop.spec.yesterday import lift_file, moved_key

LOOP_FILE = "loop.yaml"
_ROUNDS = 4


def load_loop(path: Path, settings: Settings) -> LoopSpec:
    """The loop that the file at `path` describes.

    Raises:
        ConfigurationError: there is no such file (known loops are listed), or it is wrong: each problem with
            file, line, key, what was expected, what was found and the nearest valid name.
    """
    shown_as = shown_path(path, settings)
    try:
        text = read_text(path, shown_as)
    except FileNotFoundError:
        raise _no_such_loop(path.parent.name, settings, shown_as) from None
    return read_loop(text, path, settings)


def read_loop(text: str, path: Path, settings: Settings) -> LoopSpec:
    """The loop that `text` describes, judged as the content of `path`; nothing is read from there.

    Raises:
        ConfigurationError: as for `load_loop`.
    """
    shown_as = shown_path(path, settings)
    document = parse(text, shown_as)
    spec, problems = _validate(document)
    problems += _misplaced(document, path)
    if spec is not None:
        problems += _misled(spec, document, settings)
    if problems or spec is None:
        raise list_problems(shown_as, problems)
    return spec


def load_named(name: str, settings: Settings) -> LoopSpec:
    """The loop called `name`.

    Raises:
        ConfigurationError: as for `load_loop`; `name` must be one of `loop_names`.
    """
    if name not in loop_names(settings):
        raise _no_such_loop(name, settings, "")
    return load_loop(settings.loop_file(name), settings)


def load_all(settings: Settings) -> list[LoopSpec]:
    """All loops of the project, by name.

    Raises:
        ConfigurationError: one or more files are wrong; the problems of all of them are listed.
    """
    loops, errors = [], []
    for name in loop_names(settings):
        try:
            loops.append(load_loop(settings.loop_file(name), settings))
        except ConfigurationError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ConfigurationError(f"{len(errors)} loop files are wrong\n" + "\n".join(map(str, errors)))
    return loops


def loop_names(settings: Settings) -> list[str]:
    """Names of the folders below loops/ that hold a loop file, sorted; the files are not read."""
    return sorted(file.parent.name for file in settings.loops.glob(f"*/{LOOP_FILE}"))


def _no_such_loop(name: str, settings: Settings, where: str) -> ConfigurationError:
    known = loop_names(settings)
    close = nearest(name, known)
    return ConfigurationError(
        "no such loop",
        where=where,
        expected=f"one of {', '.join(known)}" if known else f"a loop file below {settings.loops}",
        found=quote(name),
        remedy=f"did you mean {close}?" if close else f"make one: lakeloop new {name or 'NAME'}",
    )


def _validate(document: Document) -> tuple[LoopSpec | None, list[Problem]]:
    """Validate, mend what was reported, and validate again: a problem must not hide the ones behind it.

    The spec that comes back is only good for further checks when there are problems.
    """
    content: dict[str, Any] = lift_file(json.loads(json.dumps(document.content)))
    problems: dict[tuple[Key, str], Problem] = {}
    mended: set[Key] = set()
    robbed: set[Key] = set()
    """Sections that lack what was taken out of them: that they do is no mistake of anyone."""
    for _ in range(_ROUNDS):
        try:
            # As JSON, strict mode takes a list for a tuple and text for a date, and still no "5" for a 5.
            return LoopSpec.model_validate_json(json.dumps(content), strict=True), list(problems.values())
        except ValidationError as error:
            found = list(flaws(error.errors(include_url=False)))
        fresh = [f for f in found if f.key not in mended | robbed and (f.key, f.message) not in problems]
        if not fresh:
            break
        renamed = dict(_typos(fresh, content))
        for flaw in fresh:
            if flaw.key not in renamed.values():
                problems[flaw.key, flaw.message] = _located(flaw, document)
            mended |= {flaw.key, renamed.get(flaw.key, flaw.key)}
            mended |= _mend(content, flaw.key, renamed.get(flaw.key))
            robbed |= set() if flaw.key in renamed else {flaw.key[:-1]}
            if new := renamed.get(flaw.key):
                document.lines.setdefault(new, document.line(flaw.key))
    return None, list(problems.values())


def _located(flaw: Flaw, document: Document) -> Problem:
    """The problem at its line; a key that was written at its place of yesterday is named so."""
    old = moved_key(flaw.key)
    written = old if old in document.lines else flaw.key
    return Problem(document.line(written), *flaw._replace(key=written))


def _typos(fresh: list[Flaw], content: Any) -> Iterator[tuple[Key, Key]]:
    """Unknown keys that are one mistyped which is not there: one mistake, not two."""
    for flaw in fresh:
        section = _at(content, flaw.key[:-1])
        absent = isinstance(section, dict) and flaw.nearest not in section
        if flaw.message == UNKNOWN_KEY and flaw.nearest and "." not in flaw.nearest and absent:
            yield flaw.key, (*flaw.key[:-1], flaw.nearest)


def _at(content: Any, key: Key) -> Any:
    """What is at `key` in `content`; None when there is nothing."""
    for part in key:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return None
    return content


def _mend(content: Any, key: Key, renamed: Key | None) -> set[Key]:
    """Take what is at `key` out of `content`, and put it back under its new name if it has one.

    Returns the sections that had nothing else, and go with it: that they are empty is no mistake of anyone.
    """
    section, emptied = _at(content, key[:-1]), set[Key]()
    if isinstance(section, dict) and key and key[-1] in section:
        value = section.pop(key[-1])
        if renamed:
            section[renamed[-1]] = value
        elif not section and len(key) > 1:
            emptied = {key[:-1]} | _mend(content, key[:-1], None)
    return emptied


def _misplaced(document: Document, path: Path) -> list[Problem]:
    name, folder = document.content.get("name"), path.absolute().parent.name
    if not isinstance(name, str) or name == folder:
        return []
    wanted = f"the name of the folder, {quote(folder)}"
    return [Problem(document.line(("name",)), ("name",), "in the wrong folder", wanted, describe(name))]


def _misled(spec: LoopSpec, document: Document, settings: Settings) -> Iterator[Problem]:
    for error in confine_all(spec, settings):
        key = tuple(error.where.split("."))
        yield Problem(
            document.line(key), key, error.message, error.expected, error.found, remedy=error.remedy
        )


def shown_path(path: Path, settings: Settings) -> str:
    """`path` as people know it: relative to the project when it is inside."""
    try:
        return str(path.absolute().relative_to(settings.root))
    except ValueError:
        return str(path)
