"""A lake on S3, or on what speaks like it: one set of options for the three clients that ask the store.

delta-rs commits to tables, Arrow reads and writes their files, obstore has the folders. All that is safe
rests on one promise of the store: of several writers that put an object under a new name at once, one is told
that it did, and its object stays (`probe` tries it).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyarrow.fs import FileSystem, S3FileSystem, SubTreeFileSystem

from lakeloop.errors import ConfigurationError, LakeloopError, ServiceError
from lakeloop.object_store import Fault, fault_in, in_short, is_panic, open_store
from lakeloop.redaction import known_secrets, redacted
from lakeloop.settings import Settings
from lakeloop.spec.http import LOOPBACK

OPTIONS = "LAKELOOP_STORAGE_OPTIONS"
_SAME = {
    "aws_endpoint_url": "aws_endpoint",
    "aws_endpoint_url_s3": "aws_endpoint",
    "aws_default_region": "aws_region",
    "aws_token": "aws_session_token",
}
_ENVIRONMENT = {
    "aws_access_key_id": ("AWS_ACCESS_KEY_ID",),
    "aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "aws_session_token": ("AWS_SESSION_TOKEN",),
    "aws_region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
    "aws_endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "allow_http": ("AWS_ALLOW_HTTP",),
}
"""Option -> the variables that say it where the options do not."""
_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_OF_THE_CLIENT = frozenset(
    ["allow_http", "allow_invalid_certificates", "connect_timeout", "proxy_url", "proxy_excludes", "timeout"]
)
_UNSAFE = ("aws_s3_allow_unsafe_rename", "aws_s3_locking_provider", "aws_copy_if_not_exists")
"""Ways of delta-rs around put-if-absent."""
_TO_DO = {
    Fault.NO_BUCKET: "make the bucket, or set LAKELOOP_LAKE to one that is there",
    Fault.REFUSED: f"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or both in {OPTIONS}, to a key that may"
    " list, read, write and delete below this address",
    Fault.NO_CREDENTIALS: f"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or both in {OPTIONS}",
    Fault.PLAIN_HTTP: "use an https endpoint; or name its host in LAKELOOP_PLAIN_HTTP_HOSTS",
    Fault.AWAY: "is it up, and AWS_ENDPOINT_URL right? What was to be written is written by the next run",
}


@dataclass(frozen=True)
class Remote:
    """An address on S3 and how it is asked.

    Args:
        base: `s3://bucket/prefix`.
        given: options by the names of delta-rs, in any case; the variables AWS_* say what they do not.

    Raises:
        ConfigurationError: the address or an option is none, or requests would go over http to a host that is
            neither this machine nor allowed by `allow_http`.
    """

    base: str
    given: Mapping[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.base.startswith("s3://") or not self.bucket:
            raise ConfigurationError(
                "not a place for a lake",
                where="LAKELOOP_LAKE",
                expected="a folder, or s3://BUCKET/PREFIX",
                found=repr(self.base),
            )
        self._require_safe()
        endpoint = urlsplit(self.endpoint)
        if endpoint.scheme not in ("", "http", "https"):
            raise _wrong("aws_endpoint", "an address such as https://s3.example.org:9000", self.endpoint)
        if endpoint.scheme == "http" and not self.plain:
            raise ConfigurationError(
                "rows and models would cross the network unencrypted",
                where=self.base,
                expected="an https endpoint; or http to this machine, or to a host that is allowed",
                found=f"http://{endpoint.hostname}",
                remedy=_TO_DO[Fault.PLAIN_HTTP],
            )

    def _require_safe(self) -> None:
        for name, value in self._options.items():
            if name in _UNSAFE:
                raise _wrong(name, "no such option: the lake needs the store's own put-if-absent", value)
        if self._options["aws_conditional_put"] != "etag":
            raise _wrong("aws_conditional_put", "etag", self._options["aws_conditional_put"])

    @property
    def bucket(self) -> str:
        return self.base.removeprefix("s3://").partition("/")[0]

    @property
    def endpoint(self) -> str:
        """Where the store is asked; empty for AWS."""
        return self._options.get("aws_endpoint", "")

    @cached_property
    def _options(self) -> dict[str, str]:
        options = {_name(name): str(value) for name, value in self.given.items()}
        own_keys = "aws_access_key_id" in options
        for name in _ENVIRONMENT:
            value = _from_environment(name)
            # A token of the environment does not belong to a key of the options.
            if value and not (own_keys and name in _KEYS):
                options.setdefault(name, value)
        if options.get("aws_endpoint"):
            options.setdefault("aws_region", "us-east-1")
        return {"aws_conditional_put": "etag", **options}

    @property
    def plain(self) -> bool:
        """Whether requests may go over http."""
        allowed = self._options.get("allow_http", "").lower() in ("true", "1")
        endpoint = urlsplit(self.endpoint)
        return endpoint.scheme == "http" and (allowed or endpoint.hostname in LOOPBACK)

    @property
    def of_tables(self) -> dict[str, str]:
        """The options as delta-rs takes them."""
        return {**self._options, "allow_http": "true" if self.plain else "false"}

    def folders(self) -> tuple[Any, Any]:
        """obstore, and its store with this address as root; nothing is asked."""
        asked = _OF_THE_CLIENT & set(self._options)
        options = {name: value for name, value in self._options.items() if name not in asked}
        how = {name: self._options[name] for name in asked - {"allow_http"}}
        return open_store(self.base, options, plain=self.plain, more=how)

    def files(self, below: str) -> FileSystem:
        """The folder `below` this address as Arrow's own file system.

        With one in Python, such as delta-rs's, a process that has read a table may be aborted when it ends.
        """
        return SubTreeFileSystem(f"{self.base.removeprefix('s3://')}/{below}", self._files)

    @cached_property
    def _files(self) -> S3FileSystem:
        endpoint = urlsplit(self.endpoint)
        named: dict[str, Any] = {"region": self._options.get("aws_region")}
        if self.endpoint:
            named |= {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
        for option, name in zip(_KEYS, ("access_key", "secret_key", "session_token"), strict=True):
            named[name] = self._options.get(option)
        return S3FileSystem(**{name: value for name, value in named.items() if value})

    @contextmanager
    def told(self) -> Iterator[None]:
        """Errors that are about the store, raised in the block by any client, as ours; others pass.

        Raises:
            ConfigurationError: no such bucket, no rights, http that is not allowed, or a client gave up.
            ServiceError: the store is away.
        """
        try:
            yield
        except LakeloopError:
            raise
        except Exception as error:
            if (fault := fault_in(error)) is None:
                raise
            raise self._error(fault, error) from None
        except BaseException as error:
            if not is_panic(error):
                raise
            raise ConfigurationError(
                "the client of the store gave up",
                where=self.base,
                found=self.hidden(error),
                remedy=f"look at {OPTIONS}",
            ) from None

    def _error(self, fault: Fault, error: Exception) -> LakeloopError:
        kind = ServiceError if fault is Fault.AWAY else ConfigurationError
        return kind(
            f"the lake cannot be reached: {fault.value}",
            where=self.base,
            expected=f"a store at {self.endpoint or 'AWS'} that can be read and written",
            found=self.hidden(error),
            remedy=_TO_DO[fault],
        )

    def require_there(self, error: Exception) -> None:
        """Raise `error` again when it is about the store, and not about an object that is not in it."""
        if fault_in(error) is not None:
            raise error

    def hidden(self, error: BaseException) -> str:
        """The words of a client in short, without secrets."""
        secrets = tuple(value for name in _KEYS if (value := self._options.get(name)))
        return redacted(in_short(error), (*secrets, *known_secrets()))[:300]


def local_path(uri: str) -> Path | None:
    """The path when `uri` is on a local file system (a plain path or file:), else None."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        scheme, rest = "file", uri.removeprefix("file:")
    return Path(rest).expanduser().absolute() if scheme in ("file", "local") else None


def remote_of(uri: str, options: Mapping[str, str] | None) -> Remote | None:
    """How the object store at `uri` is asked; None when it is a folder."""
    return None if local_path(uri) else Remote(uri.rstrip("/"), dict(options or {}))


def options_of(settings: Settings) -> dict[str, str]:
    """The options of the lake of this installation."""
    options = dict(settings.storage_options)
    named = {_name(name): value for name, value in options.items()}
    endpoint = named.get("aws_endpoint") or _from_environment("aws_endpoint") or ""
    if urlsplit(endpoint).hostname in settings.plain_http_hosts:
        options["allow_http"] = "true"
    return options


def _from_environment(option: str) -> str | None:
    return next(filter(None, map(os.environ.get, _ENVIRONMENT[option])), None)


def _name(option: str) -> str:
    name = option.strip().lower()
    plain = name.removeprefix("aws_")
    name = plain if plain in _OF_THE_CLIENT else f"aws_{plain}"
    return _SAME.get(name, name)


def _wrong(option: str, expected: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        f"not a value of {option}",
        where=OPTIONS,
        expected=expected,
        found=repr(found),
        remedy=f"take it out of {OPTIONS}",
    )
