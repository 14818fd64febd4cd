"""Object stores by obstore: opening one, an object in parts, and what a store's words mean for a person.

Sources read stores, and a lake may lie in one. The client is imported when a store is opened; where an error
comes from (obstore, delta-rs, Arrow) makes no difference to `fault_in`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import Enum
from typing import Any

from lakeloop.errors import ConfigurationError
from lakeloop.extras import not_installed

PART_BYTES = 16 << 20
"""Of an object that is fetched: each part has time and tries of its own."""
PATIENCE = timedelta(seconds=60)
"""How long a request is tried again."""
PART_TIMEOUT = "300s"


class Fault(Enum):
    """What is wrong with a store."""

    NO_BUCKET = "no such bucket"
    REFUSED = "the store lets nobody in with these credentials"
    NO_CREDENTIALS = "there are no credentials"
    PLAIN_HTTP = "requests would cross the network unencrypted"
    AWAY = "the store does not answer"


_WORDS = {
    Fault.NO_BUCKET: ("NoSuchBucket", "NO_SUCH_BUCKET", "ContainerNotFound", "bucket does not exist"),
    Fault.PLAIN_HTTP: ("URL scheme is not allowed",),
    # Without credentials, a client looks for those of a machine in a cloud.
    Fault.NO_CREDENTIALS: (
        *("computeMetadata", "latest/api/token", "169.254", "missing credentials"),
        "account must be specified",
    ),
    Fault.REFUSED: (
        *("400 Bad", "401 Un", "403 For", "AccessDenied", "Access Denied", "ACCESS_DENIED"),
        *("InvalidAccessKeyId", "INVALID_ACCESS_KEY", "SignatureDoesNotMatch", "SIGNATURE_DOES_NOT_MATCH"),
        *("InvalidToken", "AuthenticationFailed", "RequestTimeTooSkewed"),
    ),
    Fault.AWAY: (
        *("error sending request", "tcp connect error", "connection refused", "connection reset"),
        *("connection closed", "timed out", "dns error", "NETWORK_CONNECTION", "curlCode"),
        *("500 Internal", "502 Bad", "503 Service", "504 Gateway", "SLOW_DOWN", "SERVICE_UNAVAILABLE"),
        "error decoding response",
    ),
}
"""What obstore, delta-rs and Arrow say of each, and what stores do."""
_PATTERNS = {
    fault: re.compile("|".join(map(re.escape, words)), re.IGNORECASE) for fault, words in _WORDS.items()
}
_DEBUG = "\n\nDebug source"
"""Behind it, obstore writes out its own structures."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def fault_in(error: BaseException) -> Fault | None:
    """What an error of a client says of the store; None when it is about something else.

    Clients wrap the store's answer in errors of their own, so that only the words tell.
    """
    said = str(error).partition(_DEBUG)[0]
    return next((fault for fault, pattern in _PATTERNS.items() if pattern.search(said)), None)


def in_short(error: BaseException) -> str:
    """The words of a client on one line, without colours, queries of addresses and its inner structure."""
    said = _COLOURS.sub("", str(error)).partition(_DEBUG)[0]
    return re.sub(r"(?<=\w)\?\S*", "", " ".join(said.split()))


def is_panic(error: BaseException) -> bool:
    """Whether a client written in Rust gave up; that is no `Exception`."""
    return type(error).__name__ == "PanicException"


def open_store(
    address: str, options: Mapping[str, str], *, plain: bool, more: Mapping[str, Any] | None = None
) -> tuple[Any, Any]:
    """obstore, and its store at `address`; nothing is asked.

    Args:
        address: such as `s3://bucket/prefix`.
        options: with the names that delta-rs and obstore share.
        plain: requests may go over http.
        more: of how the client asks (time-outs, proxy).

    Raises:
        ConfigurationError: the client is not installed, or does not take what it is given.
    """
    try:
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise not_installed("object stores", "obstore", "stores", where=address, error=error) from error
    made: Any = from_url
    limits = {"allow_http": plain, "timeout": PART_TIMEOUT, "connect_timeout": "10s", **(more or {})}
    again = {"max_retries": 5, "retry_timeout": PATIENCE}
    try:
        return obstore, made(address, config=dict(options), client_options=limits, retry_config=again)
    except BaseException as error:
        if not (is_panic(error) or isinstance(error, BaseError | ValueError)):
            raise
        raise ConfigurationError(
            "the client of the store does not take these options",
            where=address,
            expected="names that obstore knows, such as aws_access_key_id, aws_region, aws_endpoint",
            found=_without_values(in_short(error), options),
        ) from None


def _without_values(said: str, options: Mapping[str, str]) -> str:
    for value in options.values():
        said = said.replace(value, "***") if len(value) > 3 else said  # a key may be among them
    return said


def parts_of_object(client: Any, store: Any, path: str, size: int, tag: str = "") -> Iterator[bytes]:
    """The content of an object of `size` bytes; with `tag`, only as long as the object has it."""
    for start in range(0, size, PART_BYTES):
        options: dict[str, Any] = {"range": (start, min(start + PART_BYTES, size))}
        if tag:
            options["if_match"] = tag
        yield client.get(store, path, options=options).bytes().to_bytes()
