"""All records of one day, page by page, as lines of JSON; memory is that of one answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from lakeloop.errors import ConfigurationError, TransientError
from lakeloop.sources.http.client import Answer, Client
from lakeloop.sources.http.paging import MISSING, Page, Step, at, step_after
from lakeloop.spec.http import HttpSource
from lakeloop.spec.quoting import quote

_CONFIGURED = ConfigurationError


def lines_of(source: HttpSource, client: Client) -> Iterator[bytes]:
    """The records of the day that `client` asks for, one line each, in the order of the answers.

    Equal records are equal lines: fields are in the order of their names, without spaces. A record that is no
    object, and one with a field twice, is a line all the same, for the parser to refuse.

    Raises:
        ConfigurationError: answers are not as the loop file says.
        DataError: there are more answers than allowed.
        TransientError: others came than the API says there are.
        LakeloopError: as `Client.get` raises.
    """
    page: Page | None = None
    seen: set[bytes] = set()
    while step := _step(source, client, page):
        number = page.number + 1 if page else 0
        if number >= source.max_requests:
            raise client.problem(
                "too many answers for one day", f"at most {source.max_requests} (source.max_requests)", "more"
            )
        answer = _ask(client, step)
        lines = list(_lines(source, client, answer))
        _require_progress(client, seen, lines, number)
        before = page.before + page.records if page else 0
        page = Page(answer, number, before, len(lines), _total(source, client, answer))
        yield from lines
    if page is not None:
        _require_all(client, page)


def _step(source: HttpSource, client: Client, page: Page | None) -> Step | None:
    try:
        return step_after(source.paging, page)
    except ValueError as error:
        raise client.problem(
            "the way to the next records is not there", str(error), "another", _CONFIGURED
        ) from None


def _ask(client: Client, step: Step) -> Answer:
    if step.link is None:
        return client.get(client.asked.url, {**client.asked.params, **step.params})
    client.require_same_host(step.link)
    # Links often come without the key that the request had.
    missing = {name: client.asked.params[name] for name in client.asked.secret_params}
    return client.get(
        step.link, {name: value for name, value in missing.items() if name not in step.link.params}
    )


def _lines(source: HttpSource, client: Client, answer: Answer) -> Iterator[bytes]:
    found = at(answer.content, source.records)
    where = source.records or "the answer"
    if not isinstance(found, list):
        raise client.problem(
            "no list of records in the answer",
            f"a list at {where} (source.records)",
            _seen(found, answer),
            _CONFIGURED,
        )
    items = [at(item, source.record) for item in found]
    if items and all(item is MISSING for item in items):
        expected = f"{source.record} (source.record) in each item of {where}"
        raise client.problem("no record in the items", expected, _seen(found[0], answer), _CONFIGURED)
    for item, record in zip(found, items, strict=True):
        # An item without a record is refused by the parser, which takes objects only; it is kept whole.
        yield _line([item] if record is MISSING else record)


def _line(record: Any) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _require_progress(client: Client, seen: set[bytes], lines: list[bytes], number: int) -> None:
    """A page that came before means that the server does not know the parameter: it would never end."""
    digest = hashlib.sha256(b"".join(lines)).digest()
    if lines and digest in seen:
        raise client.problem(
            "the same records came twice",
            "other records on each page: is source.paging what the API has?",
            f"page {number + 1} is one that was there before",
            _CONFIGURED,
        )
    seen.add(digest)


def _total(source: HttpSource, client: Client, answer: Answer) -> int | None:
    if source.total is None:
        return None
    total: Any = at(answer.content, source.total)
    if isinstance(total, bool) or not isinstance(total, int):
        expected = f"a whole number at {source.total} (source.total)"
        raise client.problem(
            "no number of records in the answer", expected, _seen(total, answer), _CONFIGURED
        )
    return int(total)


def _require_all(client: Client, page: Page) -> None:
    came = page.before + page.records
    if page.total not in (None, came):
        raise client.problem(
            "not as many records as the API says there are",
            f"{page.total} records",
            f"{came} records in {page.number + 1} answer(s); did they change, or have they no order (a"
            " parameter such as sort)?",
            TransientError,
        )


def _seen(found: Any, answer: Answer) -> str:
    shown = answer.content if found is MISSING else found
    what = "nothing there" if found is MISSING else type(found).__name__
    return f"{what}, status 200, {quote(json.dumps(shown, default=str), 200)}"
