"""What is asked of an API for one day: the words in braces of the loop file become the day, and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lakeloop.errors import ConfigurationError
from lakeloop.redaction import HIDDEN
from lakeloop.sources.connections import Connection
from lakeloop.sources.http.secrets import connection_named, secret_named
from lakeloop.spec.http import EXTRA, OF_THE_CONNECTION, PLACEHOLDER, SECRET, HttpSource, is_secret


@dataclass(frozen=True)
class Asked:
    """The first request of a day, without what the paging adds; a person may see `shown` of it."""

    url: str
    params: Mapping[str, str] = field(repr=False)
    secret_params: frozenset[str]
    """Names of those with a secret."""
    headers: Mapping[str, str] = field(repr=False)
    login: tuple[str, str] | None = field(repr=False)
    """For HTTP basic authentication."""
    secrets: tuple[str, ...] = field(repr=False)
    """What must not be seen anywhere."""
    shown: str


def asked(source: HttpSource, day: str, zone: str) -> Asked:
    """What to ask for the records of `day`, which begins and ends in the time zone `zone`.

    Raises:
        ConfigurationError: a secret, or the connection, is not there.
    """
    connection = connection_named(source.connection, source.host) if source.connection else None
    words = words_of_day(day, zone)
    values = dict(words)
    templates = [source.url, *source.params.values(), *source.headers.values()]
    for name in {name for template in templates for name in PLACEHOLDER.findall(template) if is_secret(name)}:
        values[name] = _secret(name, connection)
    used = any(name in OF_THE_CONNECTION or name.startswith(EXTRA) for name in values)
    login = (connection.login, connection.password) if connection and not used else None
    hidden = {name: HIDDEN if is_secret(name) else value for name, value in values.items()}
    url = _filled(source.url, words)
    query = "&".join(f"{name}={_filled(text, hidden)}" for name, text in source.params.items())
    return Asked(
        url,
        {name: _filled(text, values) for name, text in source.params.items()},
        frozenset(
            name for name, text in source.params.items() if any(map(is_secret, PLACEHOLDER.findall(text)))
        ),
        {name: _filled(text, values) for name, text in source.headers.items()},
        login,
        tuple(value for name, value in values.items() if is_secret(name)) + (login or ()),
        f"{url}?{query}" if query else url,
    )


def words_of_day(day: str, zone: str) -> dict[str, str]:
    """Word -> what stands for it on `day`; see `HttpSource.url`."""
    first = date.fromisoformat(day)
    following = first + timedelta(days=1)
    begins, ends = (
        datetime.combine(each, time(), ZoneInfo(zone)).astimezone(UTC) for each in (first, following)
    )
    return {
        "partition": day,
        "next_day": following.isoformat(),
        "first_moment": begins.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "next_moment": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "first_second": str(int(begins.timestamp())),
        "next_second": str(int(ends.timestamp())),
    }


def _filled(template: str, values: Mapping[str, str]) -> str:
    """`template` with each word replaced once: what a value says in braces stays as it is."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)


def _secret(name: str, connection: Connection | None) -> str:
    if name.startswith(SECRET):
        value = secret_named(name.removeprefix(SECRET))
    else:
        assert connection is not None  # the rules of the loop file see to it
        known = {"login": connection.login, "password": connection.password}
        known |= {f"{EXTRA}{key}": text for key, text in connection.extra.items()}
        value = known.get(name, "")
    value = value.strip()
    if value and value.isascii() and value.isprintable():
        return value
    raise ConfigurationError(
        "a secret that cannot be sent" if value else "the connection lacks a part",
        where=f"{{{name}}}",
        expected="printable ASCII on one line" if value else f"a connection with {name}",
    )
