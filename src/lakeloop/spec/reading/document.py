"""A loop file as text and as plain data: bounded YAML without anchors, tags and surprises.

The file is data that a person wrote, and it is read by processes that run all loops: nothing in it may run
code, grow when it is read or take long. Scalars are read by the core schema of YAML 1.2, as editors do: `no`
is text, `010` is ten, and a day is text until a model asks for a date. What the data means is the business of
`load`.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lakeloop.errors import ConfigurationError
from lakeloop.spec.quoting import Key, describe, plain, quote
from lakeloop.spec.reading.problems import Problem, list_problems

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
"""libyaml takes minutes for 250 KB of `[`: its time grows with the square of the depth."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_BASED = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 60
_CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True)
class Document:
    """The content of a file: JSON-like values, and the line (from 1) of each key."""

    content: dict[str, Any]
    lines: dict[Key, int]

    def line(self, key: Key) -> int:
        """The line of `key`, or of the nearest thing around it that has one."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 1)


def read_text(path: Path, shown_as: str) -> str:
    """The text of the loop file at `path` (`<loops>/<name>/loop.yaml`); `shown_as` names it in errors.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigurationError: it leads to another file or out of the loops' folder, is not a regular file,
            cannot be read, is too large, or is not UTF-8.
    """
    try:
        # Not blocking: opening a named pipe would otherwise wait for somebody to write to it.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
        with os.fdopen(os.open(_real(path, shown_as), flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigurationError("cannot read it", where=shown_as, expected="a regular file")
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError("cannot read it", where=shown_as, found=reason or str(error)) from None
    if len(data) > MAX_BYTES:
        limit = f"at most {MAX_BYTES // 1024} KiB"
        raise ConfigurationError("too large for a loop file", where=shown_as, expected=limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        found = f"byte 0x{data[error.start]:02x} at position {error.start}"
        problem = Problem(line, (), "not UTF-8 text", "a file saved as UTF-8", found)
        raise list_problems(shown_as, [problem]) from None


def _real(path: Path, shown_as: str) -> str:
    """The file behind `path`: errors quote lines of a loop file, so a link must not make another file one."""
    # Not Path.resolve: it raises RuntimeError on a loop of links.
    real = os.path.realpath(path)
    loops = os.path.realpath(path.absolute().parent.parent)
    if not Path(real).is_relative_to(loops) or Path(real).name != path.name:
        raise ConfigurationError(
            "a link to what is not a loop file",
            where=shown_as,
            expected=f"a file {path.name} below {loops}",
            found=quote(real, limit=200),
            remedy="put the file itself there; LAKELOOP_LOOPS names another folder of loops",
        )
    return real


def parse(text: str, shown_as: str) -> Document:
    """Read one YAML document.

    Raises:
        ConfigurationError: the text is not one plain mapping; all that is wrong is listed.
    """
    reader = _Reader(yaml.parse(text, Loader=_LOADER))
    content: Any = None
    try:
        content = reader.document()
    except _StopError:
        pass
    except yaml.YAMLError as error:
        reader.problems.append(_syntax_problem(error, text))
    if not reader.problems and not isinstance(content, dict):
        wanted = "names with values, such as name: news"
        # Not the text itself: what is no loop file may be one of passwords.
        found = "a text" if isinstance(content, str) else describe(content)
        reader.problems.append(Problem(1, (), "not a loop", wanted, found))
    if reader.problems:
        raise list_problems(shown_as, reader.problems)
    return Document(content, reader.lines)


class _StopError(Exception):
    """The rest of the file is not read; the problem is noted."""


@dataclass
class _Reader:
    """Builds plain values from the parser's events, and notes what it refuses."""

    events: Iterator[yaml.Event]
    lines: dict[Key, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def document(self) -> Any:
        next(self.events)  # start of the stream
        content = None
        for number, event in enumerate(self.events):  # start of a document, or end of the stream
            if isinstance(event, yaml.StreamEndEvent):
                break
            if number:
                self._refuse(event, (), "a second document", "one document", "---")
                break
            content = self._value(next(self.events), ())
            next(self.events)  # end of the document
        return content

    def _value(self, event: yaml.Event, key: Key) -> Any:
        self.lines.setdefault(key, _line(event))
        if len(key) > MAX_DEPTH:
            self._refuse(event, key[:4], "nested too deep", f"at most {MAX_DEPTH} levels")
            raise _StopError
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, key, "YAML aliases are not used here", "the value itself", f"*{event.anchor}")
            return None
        self._refuse_decoration(event, key)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(key)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(key)
        assert isinstance(event, yaml.ScalarEvent)
        return scalar(event.value) if event.implicit[0] else event.value

    def _sequence(self, key: Key) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*key, len(items))))
        return items

    def _mapping(self, key: Key) -> dict[str, Any]:
        content: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse(event, key, "a key that is no name", "a name before the colon", _kind(event))
                raise _StopError
            self._refuse_decoration(event, key)
            name = event.value
            inner = (*key, name)
            if name == "<<" and event.implicit[0]:
                self._refuse(event, inner, "YAML merge keys are not used here", "the keys themselves", "<<")
                self._value(next(self.events), inner)
            elif name in content:
                first = f"line {self.lines[inner]}"
                self._refuse(event, inner, "the key is there twice", "one value", f"the first is on {first}")
                self._value(next(self.events), inner)
            else:
                self.lines[inner] = _line(event)
                content[name] = self._value(next(self.events), inner)
        return content

    def _refuse_decoration(self, event: Any, key: Key) -> None:
        if event.anchor is not None:
            wanted = "the value written out each time"
            self._refuse(event, key, "YAML anchors are not used here", wanted, f"&{event.anchor}")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(event, key, "YAML tags are not used here", "plain data", plain(tag))

    def _refuse(self, event: yaml.Event, key: Key, message: str, expected: str, found: str = "") -> None:
        self.problems.append(Problem(_line(event), key, message, expected, found))


def scalar(text: str) -> Any:
    """A plain scalar as the core schema of YAML 1.2 reads it; what JSON cannot hold stays text."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if len(text) <= _LONGEST_NUMBER and _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _kind(event: yaml.Event) -> str:
    names: dict[type[yaml.Event], str] = {
        yaml.SequenceStartEvent: "a list",
        yaml.MappingStartEvent: "a mapping",
    }
    return names.get(type(event), "an alias")


def _syntax_problem(error: yaml.YAMLError, text: str) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        lines = text.splitlines()
        shown = quote(lines[line - 1].strip()) if line <= len(lines) else "the end of the file"
        reason = ", ".join(filter(None, (error.problem, error.context)))
        return Problem(line, (), f"not YAML: {plain(reason, 200)}", found=shown)
    position = getattr(error, "position", 0) or 0
    line = text[:position].count("\n") + 1
    return Problem(line, (), "not YAML", "no control characters", plain(str(error).split("\n")[0]))
