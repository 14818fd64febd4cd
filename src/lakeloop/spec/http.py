"""The source `http`: paged JSON of an API, one delivery a day. Asking the API is `lakeloop.sources.http`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from lakeloop.spec.base import NOTHING, RAW, PlainName, Section, text_like
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.rules import Broken, refuse_broken

PLACEHOLDER = re.compile(r"\{([a-z][A-Za-z0-9_.]*)\}")
"""A word in braces that is replaced when a request is made."""
OF_THE_DAY = ("partition", "next_day", "first_moment", "next_moment", "first_second", "next_second")
OF_THE_CONNECTION = ("login", "password")
SECRET, EXTRA = "secret.", "extra."
SECRET_NAME = re.compile(
    r"authorization|cookie|passw|secret|token|credential|signature|(api|access|auth|private|subscription)[-_]?key",
    re.IGNORECASE,
)
_HEADER = re.compile(r"[A-Za-z0-9_-]+")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

DottedPath = Annotated[
    str, text_like(r"^[^.\s]+(\.[^.\s]+)*$", "names with dots between them, such as data.items", 200)
]
"""Where something is in an answer: names of fields, and places in lists (0 is the first, -1 the last)."""
ParamName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class OnePage(Section):
    """One answer has all records of a day."""

    kind: Annotated[Literal["none"], RAW] = "none"


class PageNumber(Section):
    """Pages by number, until one is empty or `total` records came."""

    kind: Annotated[Literal["page"], RAW]
    param: Annotated[ParamName, RAW] = "page"
    """Parameter with the number of the page."""
    first: Annotated[int, RAW] = Field(default=1, ge=0, le=1)
    """Number of the first page."""
    size_param: Annotated[ParamName | None, RAW] = None
    """Parameter with the number of records wanted in an answer."""
    page_size: Annotated[int, RAW] = Field(default=100, ge=1, le=100_000)
    """The records wanted in an answer, where there is a parameter for it."""


class Offset(Section):
    """Pages by the number of records before them, until one is empty or `total` records came."""

    kind: Annotated[Literal["offset"], RAW]
    param: Annotated[ParamName, RAW] = "offset"
    """Parameter with the number of records to pass over."""
    size_param: Annotated[ParamName | None, RAW] = "limit"
    """Parameter with the number of records wanted in an answer."""
    page_size: Annotated[int, RAW] = Field(default=100, ge=1, le=100_000)
    """The records wanted in an answer, where there is a parameter for it."""


class Cursor(Section):
    """Each answer says where the next begins, until one is empty or says nothing."""

    kind: Annotated[Literal["cursor"], RAW]
    param: Annotated[ParamName, RAW] = "cursor"
    """Parameter with the cursor; the first request has none."""
    cursor: Annotated[DottedPath, RAW]
    """Where the cursor is in an answer: `meta.next`, or `hits.hits.-1.sort` for what the last record was
    sorted by."""
    join: Annotated[str, RAW] = Field(default="_", max_length=10)
    """What stands between the values of a cursor that is a list."""
    size_param: Annotated[ParamName | None, RAW] = None
    """Parameter with the number of records wanted in an answer."""
    page_size: Annotated[int, RAW] = Field(default=100, ge=1, le=100_000)
    """The records wanted in an answer, where there is a parameter for it."""


class NextLink(Section):
    """Each answer has the address of the next, on the same host, until one has none."""

    kind: Annotated[Literal["link"], RAW]
    link: Annotated[DottedPath | None, RAW] = None
    """Where the address is in an answer: `links.next`; the header Link (rel=next) where it is not said."""
    size_param: Annotated[ParamName | None, RAW] = None
    """Parameter with the number of records wanted in an answer."""
    page_size: Annotated[int, RAW] = Field(default=100, ge=1, le=100_000)
    """The records wanted in an answer, where there is a parameter for it."""


Paging = Annotated[OnePage | PageNumber | Offset | Cursor | NextLink, Field(discriminator="kind")]


class HttpSource(SourceBase):
    """Records of an API that answers in JSON, asked for day by day. A day is fetched when it is ingested."""

    kind: Annotated[Literal["http"], RAW]
    url: Annotated[str, RAW]
    """Address without a query, https (http on this machine, or to a host that the installation allows). As in
    params, {partition} is the day (2026-11-16) and {next_day} the day after; {first_moment} and {next_moment}
    are where the two begin in `schedule.timezone`, in UTC (2026-11-16T00:00:00Z), {first_second} and
    {next_second} the same in seconds since 1970."""
    start: Annotated[date, RAW]
    """The first day that is wanted."""
    params: Annotated[dict[ParamName, str], RAW] = Field(default_factory=dict)
    """The query; one of these, or url, says the day. {secret.NAME} is the variable LAKELOOP_SECRET_NAME;
    {login}, {password} and {extra.NAME} are of the connection."""
    headers: Annotated[dict[ParamName, str], RAW] = Field(default_factory=dict)
    """Headers of each request, with secrets as in params: `Authorization: "Bearer {password}"`."""
    connection: Annotated[PlainName | None, NOTHING] = None
    """An Airflow Connection, or the variable LAKELOOP_CONN_<NAME>, whose host is that of url: its secrets are
    sent nowhere else. Where neither params nor headers use it, its login and password are (basic)."""
    records: Annotated[DottedPath | None, RAW] = None
    """Where the list of records is in an answer: `hits.hits`; the answer is the list where it is not said."""
    record: Annotated[DottedPath | None, RAW] = None
    """Where the record is in an item of that list: `_source`; the item is the record where it is not said."""
    total: Annotated[DottedPath | None, RAW] = None
    """Where an answer says how many records the day has: `hits.total.value`; the day is refused where others
    came. Say it when you can."""
    paging: Paging = OnePage()
    """How to come to the next records, by `kind`."""
    format: Annotated[Literal["jsonl"], RAW] = "jsonl"
    """What is fetched is kept as JSON Lines."""
    requests_per_second: Annotated[float, NOTHING] = Field(default=5, gt=0, le=1000)
    """No more than these."""
    retries: Annotated[int, NOTHING] = Field(default=6, ge=0, le=20)
    """How often a request is made again after 408, 425, 429, 5xx or a broken connection: after a second, then
    ever later, or when the API says (Retry-After)."""
    timeout_seconds: Annotated[float, NOTHING] = Field(default=60, gt=0, le=3600)
    """For one whole answer."""
    max_answer_mb: Annotated[float, NOTHING] = Field(default=32, gt=0, le=1024)
    """A larger answer is refused, as soon as so much of it came."""
    max_requests: Annotated[int, NOTHING] = Field(default=10_000, ge=1, le=1_000_000)
    """A day that needs more answers than this is refused."""
    late_days: Annotated[int, NOTHING] = Field(default=7, ge=0, le=3660)
    """A day without records is asked for again, by maintenance, until so many days after it."""

    @property
    def host(self) -> str:
        """The name or address in the url, in lower case."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_plain(self) -> bool:
        """Requests would cross a network unencrypted."""
        return urlsplit(self.url).scheme == "http" and self.host not in LOOPBACK

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        refuse_broken([*self._broken_url(), *self._broken_templates()])
        return self

    def _broken_url(self) -> Iterator[Broken]:
        expected = "https://host/path, without a login, and without ? and # (the query is params)"
        try:
            parts = urlsplit(self.url)
            port_fits = parts.port != 0
        except ValueError:
            yield Broken("url", "not an address", expected, "something else")
            return
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or "{" in parts.netloc
            or not port_fits
            or re.search(r"[\s?#\\]", self.url)
        ):
            yield Broken("url", "not an address", expected, f"{parts.scheme}://{parts.hostname or ''}")
        elif "@" in parts.netloc:
            yield Broken("url", "a login in it", "connection, or headers with {secret.NAME}", parts.hostname)

    def _broken_templates(self) -> Iterator[Broken]:
        given = [("params", *item) for item in self.params.items()]
        given += [("headers", *item) for item in self.headers.items()]
        for section, name, template in given:
            words, key = PLACEHOLDER.findall(template), (section, name)
            yield from self._broken_words(key, words, (*OF_THE_DAY, *OF_THE_CONNECTION))
            if SECRET_NAME.search(name) and not any(map(is_secret, words)):
                message = "a secret in the loop file"
                yield Broken(key, message, "{secret.NAME}, or {password} with a connection", "a plain value")
            plain = template.isascii() and template.isprintable() and _HEADER.fullmatch(name)
            if section == "headers" and not plain:
                yield Broken(key, "not a header", "a name, and a value of ASCII on one line", name)
        yield from self._broken_words("url", PLACEHOLDER.findall(self.url), OF_THE_DAY)
        asking = [self.url, *self.params.values()]
        if not any(word in OF_THE_DAY for text in asking for word in PLACEHOLDER.findall(text)):
            expected = "{partition}, or another word of the day, in one of them or in url"
            yield Broken("params", "no day is asked for", expected, ", ".join(self.params) or "nothing")

    def _broken_words(
        self, key: str | tuple[str, ...], words: list[str], known: tuple[str, ...]
    ) -> Iterator[Broken]:
        """Words in braces that stand for nothing, or for a part of a connection that is not said."""
        more = "" if key == "url" else ", secret.NAME or extra.NAME"
        for word in words:
            prefix, dot, name = word.partition(".")
            named = bool(more and name) and f"{prefix}{dot}" in (SECRET, EXTRA)
            if word not in known and not named:
                yield Broken(key, "not a word in braces", f"{', '.join(known)}{more}", word, known)
            elif self.connection is None and (word in OF_THE_CONNECTION or word.startswith(EXTRA)):
                yield Broken(key, "no connection", "connection: the name of one", f"{{{word}}}")


def is_secret(name: str) -> bool:
    """Whether the word of a placeholder stands for something that must not be seen."""
    return name in OF_THE_CONNECTION or name.startswith((SECRET, EXTRA))
