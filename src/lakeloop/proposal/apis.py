"""An API that a person points at by the address of one of its answers: `https://host/path?date=2026-11-20`.

What the address says of the day, and how the answer says where the next records are, becomes keys of a source
`http`. Requests are made by the client that ingest uses: one, and where a day holds few records one for each
of the days after it, until there are enough to tell what the columns and the answers are.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from pydantic import ValidationError

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.sample import MOST_RECORDS, Sample
from lakeloop.settings import Settings
from lakeloop.sources.connections import PREFIXES
from lakeloop.sources.http.api import require_private
from lakeloop.sources.http.client import Answer, Client
from lakeloop.sources.http.paging import at
from lakeloop.sources.http.secrets import OF_SECRETS
from lakeloop.sources.http.words import asked
from lakeloop.spec.days import is_day, yesterday
from lakeloop.spec.http import OF_THE_DAY, PLACEHOLDER, SECRET_NAME, HttpSource
from lakeloop.spec.quoting import plain

_DAYS_BACK = 30
_ENOUGH_RECORDS = 200
_MOST_DAYS = 30
_MOST_DEPTH = 3
_LAST = re.compile(r"(max|to|end|until|before|lt|lte|upper|last)$|^(to|end|until|before)", re.IGNORECASE)
_TOTAL = re.compile(r"^(total|count|num_?found|matches)|total(_?count|_?results|_?items)?$", re.IGNORECASE)
_NEXT = re.compile(r"^next(_?(url|link|page|href))?$", re.IGNORECASE)
_CURSOR = re.compile(r"cursor|page_?token|continuation|next_?token", re.IGNORECASE)
_SIZE = re.compile(r"^[$_]?(size|limit|per_?page|page_?size|rows|count|top)$", re.IGNORECASE)
_OFFSET = re.compile(r"^[$_]?(offset|from|frm|skip|start)$", re.IGNORECASE)
_PAGE = re.compile(r"^(page|p|page_?(number|no|num))$", re.IGNORECASE)


@dataclass
class _Asked:
    """What the address says, as keys of the loop file."""

    url: str
    params: dict[str, str]
    start: date
    paging: dict[str, str] = field(default_factory=dict)
    """Which part a parameter plays -> its name."""
    page_size: int | None = None
    variables: dict[str, str] = field(default_factory=dict)


def look(pointer: Pointer) -> Given | None:
    """The records of one answer; None where something else than an API is meant.

    Raises:
        ConfigurationError: the address says no day, or the API refuses the request.
        DataError: the answer is no JSON, or has no records.
        ServiceError: the API is not to be had.
    """
    if urlsplit(pointer.text).scheme not in ("http", "https"):
        return None
    said = _read(pointer)
    keys: dict[str, Any] = {"kind": "http", "url": said.url, "start": said.start}
    if pointer.connection:
        keys["connection"] = pointer.connection
    answer = _ask({**keys, "params": _first_page(said)}, said.start.isoformat(), pointer.settings)
    records, record, items = _records(answer.content, said.url)
    total = next((path for path, number in _totals(answer.content) if number >= len(items)), None)
    found = {"records": records, "record": record, "total": total}
    keys |= {key: path for key, path in found.items() if path}
    paging, note = _paging(said, answer, len(items))
    keys |= {"paging": paging} if paging else {}
    days = _with_days_after(said, keys, items, pointer.settings)
    if said.params:
        keys["params"] = said.params
    rows, last = _rows(chain(*days.values()), record), max(days)
    fields = tuple(dict.fromkeys(name for row in rows for name in row))
    asked_for = (
        f"its answers for {said.start} to {last}" if last > f"{said.start}" else f"its answer for {last}"
    )
    return Given(
        said.url,
        f"JSON of an API, {asked_for}",
        keys,
        Sample(None, tuple(rows[:MOST_RECORDS]), fields, whole=False, has_numbers=True),
        says_day=True,
        notes={
            "start": "the first day that is wanted",
            "paging": note,
            "total": "a day comes whole or not",
        },
        variables=said.variables,
    )


def _with_days_after(
    said: _Asked, keys: Mapping[str, Any], first: list[Any], settings: Settings
) -> dict[str, list[Any]]:
    """Day -> what was answered for it: the first one, and those after it until there are enough records.

    Where the end that is asked for counts as well, `said` asks for that day alone from here on.

    Raises:
        ConfigurationError: of two days the same records are answered.
    """
    days, again = _answered(said, keys, {said.start.isoformat(): first}, settings)
    ends = [param for param, text in said.params.items() if text == "{next_day}"]
    if again and ends:
        said.params |= dict.fromkeys(ends, "{partition}")
        days, again = _answered(said, keys, {}, settings)
    if again:
        raise ConfigurationError(
            "this API answers the same records for two days",
            where="--from",
            expected="an address that says where the day begins and where it ends:"
            f" …?from={said.start}&to={said.start + timedelta(days=1)}",
            found=again,
            remedy="add the parameter that bounds the day on the other side",
        )
    return days


def _answered(
    said: _Asked, keys: Mapping[str, Any], known: Mapping[str, list[Any]], settings: Settings
) -> tuple[dict[str, list[Any]], str]:
    """Day -> its records, beside those that are known; and of which two days most are the same, in words."""
    days, before = dict(known), set[str]()
    for day in (said.start.isoformat(), *_days_after(said.start)):
        if len(days) > 1 and sum(map(len, days.values())) >= _ENOUGH_RECORDS:
            break
        if day not in days:
            answer = _ask({**keys, "params": _first_page(said)}, day, settings)
            found = at(answer.content, str(keys.get("records", "")))
            days[day] = found if isinstance(found, list) else []
        these = {json.dumps(item, sort_keys=True) for item in days[day]}
        if len(same := these & before) > min(len(these), len(before)) / 2:
            return days, f"{len(same)} of {len(these)} records of {day} are those of the day before, too"
        before = these
    return days, ""


def _days_after(start: date) -> list[str]:
    """At most `_MOST_DAYS` days that are over."""
    days = [(start + timedelta(days=number)).isoformat() for number in range(1, _MOST_DAYS + 1)]
    return [day for day in days if day <= yesterday("UTC")]


def _rows(items: Iterable[Any], record: str) -> list[dict[str, Any]]:
    """The fields of each item; what is no object is left to ingest, which says so."""
    found = [item.get(record) if record and isinstance(item, Mapping) else item for item in items]
    return [row for row in found if isinstance(row, dict)]


def _read(pointer: Pointer) -> _Asked:
    parts = urlsplit(pointer.text)
    login, _, host = parts.netloc.rpartition("@")
    url = urlunsplit((parts.scheme, host, parts.path, "", ""))
    said = _Asked(url, dict(parse_qsl(parts.query, keep_blank_values=True)), date.min)
    if login:
        name = pointer.connection or pointer.loop
        raise ConfigurationError(
            "a login in the address",
            where="--from",
            expected=f"a connection of the host {host}, and --connection {name}",
            remedy=f"export {PREFIXES[0]}{name.upper()}='https://USER:PASSWORD@{host}'; leave it out here",
        )
    for param, value in said.params.items():
        if SECRET_NAME.search(param) and not PLACEHOLDER.search(value):
            _hide(said, param, value)
    _find_day(said)
    for part, pattern in (("size", _SIZE), ("offset", _OFFSET), ("page", _PAGE)):
        for param in [name for name in said.params if pattern.search(name)]:
            if said.params[param].isdecimal():
                number = int(said.params.pop(param))
                said.paging[part] = param
                said.page_size = number if part == "size" and number else said.page_size
    return said


def _hide(said: _Asked, param: str, value: str) -> None:
    """A key in the address: to the environment, for this process, and by its name to the loop file."""
    name = re.sub(r"[^A-Za-z0-9]", "_", param).upper()
    os.environ[f"{OF_SECRETS}{name}"] = value
    said.params[param] = f"{{secret.{name}}}"
    said.variables[f"{OF_SECRETS}{name}"] = ""


def _find_day(said: _Asked) -> None:
    """Put words where the address has days: in its path or in its parameters."""
    said.url = unquote(said.url) if "%7B" in said.url.upper() else said.url
    words = {word for text in (said.url, *said.params.values()) for word in PLACEHOLDER.findall(text)}
    if words & set(OF_THE_DAY):
        said.start = date.fromisoformat(yesterday("UTC")) - timedelta(days=_DAYS_BACK)
        return
    days = {param: value[:10] for param, value in said.params.items() if is_day(value[:10])}
    in_path = [part for part in urlsplit(said.url).path.split("/") if is_day(part)]
    if not days and not in_path:
        raise ConfigurationError(
            "no day is asked for",
            where="--from",
            expected="an address with a day in it: …?from=2026-11-20&to=2026-11-21, or …?date={partition}",
            found=", ".join(said.params) or "no parameters",
            remedy="say how this API is asked for the records of one day",
        )
    said.start = date.fromisoformat(min([*days.values(), *in_path]))
    said.url = said.url.replace(f"/{said.start}", "/{partition}")
    last = {param for param in days if len(days) > 1 and _LAST.search(param)}
    for param in days:
        moment = len(said.params[param]) > len("2026-11-20")
        instead = ("next_moment", "next_day") if param in last else ("first_moment", "partition")
        said.params[param] = f"{{{instead[not moment]}}}"


def _first_page(said: _Asked) -> dict[str, str]:
    size = {said.paging["size"]: str(said.page_size)} if "size" in said.paging and said.page_size else {}
    return {**said.params, **size}


def _ask(keys: dict[str, Any], day: str, settings: Settings) -> Answer:
    usual = {"key_from": "content", "columns": {"any": "string"}, "retries": 1}
    try:
        source = HttpSource.model_validate({**keys, **usual})
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise ConfigurationError("not an address that can be asked", where="--from", found=found) from None
    require_private(source, settings)
    with Client(source, asked(source, day, "UTC")) as client:
        try:
            return client.get(client.asked.url, client.asked.params)
        except DataError as error:
            raise DataError(
                error.message,
                where=error.where,
                expected=error.expected,
                found=error.found,
                remedy="if it is a file, fetch it: curl -o data/FILE URL; lakeloop new NAME --from data/FILE",
            ) from None


def _records(content: Any, where: str) -> tuple[str, str, list[dict[str, Any]]]:
    """Where the records are: the longest list of objects; the part of each that has the fields; the items."""
    lists = sorted(_lists(content), key=lambda pair: -len(pair[1]))
    if not lists:
        raise DataError(
            "no records in the answer",
            where=where,
            expected="a list of objects, somewhere in the JSON",
            found=plain(json.dumps(content, default=str), 200),
            remedy="choose a day that has records",
        )
    path, items = lists[0]
    inner = {name: len(value) for name, value in items[0].items() if isinstance(value, Mapping)}
    widest = max(inner, key=lambda name: inner[name], default="")
    single = sum(not isinstance(value, Mapping | list) for value in items[0].values())
    inside = (
        widest and inner[widest] > single and all(isinstance(item.get(widest), Mapping) for item in items)
    )
    return path, widest if inside else "", items


def _lists(content: Any, path: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    if isinstance(content, list) and content and all(isinstance(item, dict) for item in content):
        yield path, content
    elif isinstance(content, Mapping) and path.count(".") < _MOST_DEPTH:
        for name, value in content.items():
            yield from _lists(value, f"{path}.{name}" if path else name)


def _totals(content: Any, path: str = "", *, named: bool = False) -> Iterator[tuple[str, int]]:
    """Whole numbers that may say how many records there are."""
    if isinstance(content, bool) or path.count(".") > _MOST_DEPTH:
        return
    if isinstance(content, int) and named:
        yield path, content
    elif isinstance(content, Mapping):
        for name, value in content.items():
            says = bool(_TOTAL.search(name)) or (named and name == "value")
            yield from _totals(value, f"{path}.{name}" if path else name, named=says)


def _paging(said: _Asked, answer: Answer, records: int) -> tuple[dict[str, Any], str]:
    """How to come to the next records, by what the address has or the answer says; and where that is from."""
    size: dict[str, Any] = {}
    if "size" in said.paging:
        size = {"size_param": said.paging["size"], "page_size": said.page_size or max(records, 1)}
    if "offset" in said.paging:
        return {"kind": "offset", "param": said.paging["offset"], **size}, "as the address has it"
    if "page" in said.paging:
        return {"kind": "page", "param": said.paging["page"], **size}, "as the address has it"
    if answer.next_link:
        return {"kind": "link", **size}, "the answer has a header Link"
    texts = dict(_texts(answer.content))
    for path, text in texts.items():
        if _NEXT.search(path.rpartition(".")[2]) and re.match(r"https?://|/", text):
            return {"kind": "link", "link": path, **size}, "as the answer has it"
    for path in texts:
        name = path.rpartition(".")[2]
        if _CURSOR.search(name):
            param = re.sub(r"^next_?", "", name, flags=re.IGNORECASE)
            param = param[0].lower() + param[1:] if param else "cursor"
            return {"kind": "cursor", "param": param, "cursor": path, **size}, "is that the parameter's name?"
    return ({"kind": "none"}, "one answer has all records; or say how the next come") if size else ({}, "")


def _texts(content: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, str):
        yield path, content
    elif isinstance(content, Mapping) and path.count(".") < _MOST_DEPTH:
        for name, value in content.items():
            yield from _texts(value, f"{path}.{name}" if path else name)
