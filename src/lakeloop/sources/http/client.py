"""One request after the other to one host: paced, repeated when that may help, each answer bounded.

No message of this module holds an address with its query, a header, or what a secret says.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from lakeloop.errors import ConfigurationError, DataError, LakeloopError, ServiceError
from lakeloop.records import now
from lakeloop.sources.http.secrets import hide
from lakeloop.sources.http.words import Asked
from lakeloop.spec.http import HttpSource
from lakeloop.spec.quoting import quote

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0
_MOST_REDIRECTS = 5
_SHOWN_CHARACTERS = 200
_EXCERPT_BYTES = 4 * _SHOWN_CHARACTERS
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOT_ALLOWED = frozenset({401, 403, 407})


@dataclass(frozen=True)
class Answer:
    """One answer that is JSON."""

    content: Any = field(repr=False)
    url: httpx.URL = field(repr=False)
    """Of the request that was answered, behind redirects."""
    next_link: str | None = field(repr=False)
    """What the header Link calls the next page."""


class _MayPass(Exception):  # noqa: N818 - a reason to wait, which nobody but `get` sees
    """The request may be answered another time; `wait` seconds from now, where the answer said so."""

    def __init__(self, found: str, wait: float | None = None) -> None:
        super().__init__(found)
        self.wait = wait


class Client:
    """Requests for one day; a context manager.

    Args:
        source: limits and pace.
        asked: the host, headers and login; requests to another host are refused.
    """

    def __init__(self, source: HttpSource, asked: Asked) -> None:
        self.asked = asked
        self._origin = _origin(httpx.URL(asked.url))
        self._limit = int(source.max_answer_mb * 1_000_000)
        self._seconds = source.timeout_seconds
        self._apart = 1 / source.requests_per_second
        self._attempts = source.retries + 1
        self._next_at = 0.0
        headers = {"Accept": "application/json", "User-Agent": "lakeloop", **asked.headers}
        self._http = httpx.Client(
            headers=headers, auth=asked.login, timeout=source.timeout_seconds, follow_redirects=False
        )

    def __enter__(self) -> Self:
        # httpx logs the whole address of each request.
        logging.getLogger("httpx").addFilter(_serious)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        logging.getLogger("httpx").removeFilter(_serious)

    def get(self, url: str | httpx.URL, params: Mapping[str, str]) -> Answer:
        """The answer to one request, after as many tries as the loop file allows.

        Raises:
            ConfigurationError: the API refuses the request, or leads to another host.
            DataError: the answer is no JSON, or too large.
            ServiceError: the API was not to be had, or busy, for all tries.
        """
        target = httpx.URL(url).copy_merge_params(dict(params)) if params else httpx.URL(url)
        self.require_same_host(target)
        tries = Retrying(
            retry=retry_if_exception_type(_MayPass),
            stop=stop_after_attempt(self._attempts),
            wait=_wait,
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            return tries(self._follow, target)
        except _MayPass as error:
            raise ServiceError(
                "the API does not answer",
                where=self.asked.shown,
                expected=f"an answer within {self._attempts} tries",
                found=self.hidden(str(error)),
                remedy="nothing was published; this runs again, and source.retries says how often it asks",
            ) from None

    def require_same_host(self, url: httpx.URL) -> None:
        """Refuse to ask another host, or another port or scheme of it; from http to https is allowed.

        Raises:
            ConfigurationError: `url` leads elsewhere.
        """
        scheme, host, port = _origin(url)
        if (scheme, host, port) == self._origin:
            return
        if (scheme, host, port) == ("https", self._origin[1], 443) and self._origin[0] == "http":
            return
        raise ConfigurationError(
            "the API leads to another host",
            where=self.asked.shown,
            expected="{}://{}:{}".format(*self._origin),
            found=quote(self.hidden(f"{scheme}://{host}:{port}")),
            remedy="if that is where the records are, say so in source.url",
        )

    def problem(
        self, message: str, expected: str, found: str, kind: type[LakeloopError] = DataError
    ) -> LakeloopError:
        """An error about an answer."""
        return kind(message, where=self.asked.shown, expected=expected, found=self.hidden(found))

    def hidden(self, text: str) -> str:
        """`text` without the secrets of the requests."""
        return hide(text, self.asked.secrets)

    def _follow(self, url: httpx.URL) -> Answer:
        for _ in range(_MOST_REDIRECTS + 1):
            found = self._once(url)
            if isinstance(found, Answer):
                return found
            self.require_same_host(found)
            url = found
        raise self.problem(
            "redirected in circles", "an answer", f"{_MOST_REDIRECTS} redirects", ConfigurationError
        )

    def _once(self, url: httpx.URL) -> Answer | httpx.URL:
        """The answer, or where it leads."""
        time.sleep(max(0.0, self._next_at - time.monotonic()))
        self._next_at = time.monotonic() + self._apart
        deadline = time.monotonic() + self._seconds
        try:
            with self._http.stream("GET", url) as response:
                if response.has_redirect_location:
                    return url.join(response.headers["location"])
                if response.is_success:
                    body = self._body(response, deadline, self._limit)
                    return Answer(self._json(response, body), url, response.links.get("next", {}).get("url"))
                excerpt = self._body(response, deadline, _EXCERPT_BYTES, cut=True)
                raise self._refused(response, excerpt)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _MayPass(f"{type(error).__name__}: {error}") from None
        except httpx.InvalidURL:
            raise self.problem(
                "not an address", "one that can be asked", "another", ConfigurationError
            ) from None

    def _body(self, response: httpx.Response, deadline: float, limit: int, *, cut: bool = False) -> bytes:
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > limit:
                if cut:
                    break
                raise self.problem(
                    "an answer is too large",
                    f"at most {limit} bytes (source.max_answer_mb); ask for fewer records (page_size)",
                    "more than that",
                )
            if time.monotonic() > deadline:
                raise _MayPass(f"the answer took more than {self._seconds:g} s")
        return bytes(body[:limit])

    def _json(self, response: httpx.Response, body: bytes) -> Any:
        try:
            return json.loads(body, object_pairs_hook=fields)
        except (ValueError, RecursionError):
            raise self.problem(
                "the answer is no JSON", "JSON", f"{_described(response)}, {self._excerpt(body)}"
            ) from None

    def _refused(self, response: httpx.Response, body: bytes) -> Exception:
        found = f"{_described(response)}, {self._excerpt(body)}"
        if response.status_code in _AGAIN:
            return _MayPass(found, _retry_after(response.headers.get("retry-after", "")))
        if response.status_code in _NOT_ALLOWED:
            wanted = "a request that is allowed; see source.connection and source.headers"
            return self.problem("the API does not let us in", wanted, found, ConfigurationError)
        return self.problem("the API refuses the request", "an answer", found, ConfigurationError)

    def _excerpt(self, body: bytes) -> str:
        text = self.hidden(body[:_EXCERPT_BYTES].decode(errors="replace"))
        return quote(text.strip(), _SHOWN_CHARACTERS) if text.strip() else "nothing in it"

    def _tell(self, state: RetryCallState) -> None:
        assert state.outcome is not None
        assert state.next_action is not None
        reason = self.hidden(str(state.outcome.exception()))
        log.info("%s: asked again in %.1f s: %s", self.asked.shown, state.next_action.sleep, reason)


class RepeatedFields(dict[str, Any]):
    """An object in which a field is there twice: written again, it still is, for the parser to refuse."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def items(self) -> list[tuple[str, Any]]:  # type: ignore[override]
        return self._pairs


def fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, its fields in the order of their names: what a server shuffles is equal again."""
    ordered = sorted(pairs, key=lambda pair: pair[0])
    found = dict(ordered)
    return found if len(found) == len(ordered) else RepeatedFields(ordered)


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host.lower(), url.port or (443 if url.scheme == "https" else 80)


def _described(response: httpx.Response) -> str:
    kind = quote(response.headers.get("content-type", "no type").partition(";")[0])
    return f"status {response.status_code}, {kind}"


def _retry_after(header: str) -> float | None:
    """Seconds from now; None where the header says nothing that can be read."""
    if header.strip().isdecimal():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now()).total_seconds())


def _wait(state: RetryCallState) -> float:
    assert state.outcome is not None
    error = state.outcome.exception()
    if isinstance(error, _MayPass) and error.wait is not None:
        return min(error.wait, LONGEST_WAIT_SECONDS)
    usual: Callable[[RetryCallState], float] = wait_random_exponential(
        multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS / 5
    )
    return usual(state)


def _serious(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING
