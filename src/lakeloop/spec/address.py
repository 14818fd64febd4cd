"""Addresses in object stores: `s3://bucket/drops/*.csv`. Asking a store is `lakeloop.sources.objects`."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.spec.rules import Broken

SCHEMES = ("s3", "gs", "az")
"""S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage."""


def is_address(path: str) -> bool:
    """Whether `path` is an address and no path of this machine."""
    return "://" in path


def parts_of(address: str) -> tuple[str, str, str]:
    """Scheme, bucket (Azure: container), and the path in it."""
    scheme, _, rest = address.partition("://")
    bucket, _, path = rest.partition("/")
    return scheme, bucket, path


def address_rules(key: str, path: str, connection: str | None) -> Iterator[Broken]:
    """What is wrong with a path that may be an address, and with the connection beside it."""
    expected = "s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH, without a login"
    if is_address(path):
        scheme, bucket, within = parts_of(path)
        if scheme not in SCHEMES:
            yield Broken(key, "no such store", expected, f"{scheme}://", SCHEMES)
        elif "@" in bucket:
            yield Broken(key, "a login in it", "connection: the name of one", "an address (not shown)")
        elif not bucket or not within or set("{*?[#") & set(bucket):
            yield Broken(key, "not an address in a store", expected, path)
    elif connection is not None:
        yield Broken("connection", "not needed", "an address such as s3:// beside it", path)
