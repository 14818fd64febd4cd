"""What an object store is asked with: a connection, or what its own variables of the environment say.

The options have the names that delta-rs and obstore share. They go to these libraries only, and what they say
goes through `Access.hide`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.connections import Connection, connection_of, text_of, variables_of
from lakeloop.sources.http.secrets import hide
from lakeloop.spec.address import parts_of
from lakeloop.spec.http import LOOPBACK
from lakeloop.spec.quoting import plain

_KINDS = {"s3": "aws", "gs": "google_cloud_platform", "az": "wasb"}
"""Scheme -> kind of connection, as Airflow calls it."""
_PARTS: dict[str, Mapping[str, str]] = {
    "s3": {
        "login": "aws_access_key_id", "password": "aws_secret_access_key",
        "aws_session_token": "aws_session_token", "session_token": "aws_session_token",
        "region_name": "aws_region", "endpoint_url": "aws_endpoint",
    },
    "gs": {"keyfile_dict": "google_service_account_key", "key_path": "google_service_account"},
    "az": {
        "login": "azure_storage_account_name", "password": "azure_storage_account_key",
        "sas_token": "azure_storage_sas_key", "tenant_id": "azure_storage_authority_id",
        "endpoint_url": "azure_storage_endpoint",
    },
}  # fmt: skip
"""Scheme -> part of the connection, of `extra` where it is none of its own -> option."""
VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL ...",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS ...",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_ENDPOINT ...",
}
"""Scheme -> the variables by which its client comes in without a connection."""
_OPEN = frozenset({"aws_region", "aws_endpoint", "azure_storage_endpoint", "azure_storage_account_name"})
_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL", "AWS_ENDPOINT"), "az": ("AZURE_STORAGE_ENDPOINT",)}


@dataclass(frozen=True)
class Access:
    """How a store is opened."""

    options: Mapping[str, str] = field(repr=False)
    plain: bool
    """Over http: to this machine, or to a host that the installation allows."""

    @property
    def of_tables(self) -> dict[str, str]:
        """The options as delta-rs takes them."""
        return {**self.options, "aws_allow_http": "true"} if self.plain else dict(self.options)

    def hide(self, text: str) -> str:
        """What a store or its client said, on one line, without secrets and queries."""
        first = re.sub(r"\?\S*", "", " ".join(text.partition("\n\nDebug source")[0].split()))
        return plain(hide(first, (value for name, value in self.options.items() if name not in _OPEN)), 300)


def access_to(address: str, connection: str | None, settings: Settings) -> Access:
    """How the store of `address` is opened; nothing is asked.

    Raises:
        ConfigurationError: there is no such connection, it is of another kind, or requests would cross a
            network unencrypted.
    """
    scheme = parts_of(address)[0]
    options = _options(connection, scheme) if connection else {}
    endpoints = [options.get("aws_endpoint", options.get("azure_storage_endpoint", ""))]
    endpoints += [os.environ.get(variable, "") for variable in _ENDPOINTS.get(scheme, ())]
    endpoint = urlsplit(next(filter(None, endpoints), ""))
    host = endpoint.hostname or ""
    if endpoint.scheme == "http" and host not in LOOPBACK and host not in settings.plain_http_hosts:
        raise ConfigurationError(
            "what is sent and read would be open to the network",
            where="source.connection" if connection else _ENDPOINTS[scheme][0],
            expected="an https endpoint; or http to this machine, or to a host of LAKELOOP_PLAIN_HTTP_HOSTS",
            found=f"http://{host}",
        )
    return Access(options, plain=endpoint.scheme == "http")


def _options(name: str, scheme: str) -> dict[str, str]:
    text = text_of(name)
    try:
        found = connection_of(text)
    except (ValueError, AttributeError):  # not the error's words: they hold a part of the text
        found = None
    kind = _KINDS[scheme]
    if found is None or found.kind != kind:
        raise ConfigurationError(
            "no connection for this store",
            where="source.connection",
            expected=f"a connection {name} of the type {kind}, in Airflow or {variables_of(name)[0]}",
            found=plain(found.kind, 30) if found else "one that cannot be read" if text else "none",
            remedy=f"airflow connections add {name} --conn-type {kind} --conn-login ... --conn-password ...",
        )
    return {option: value for part, option in _PARTS[scheme].items() if (value := _part(found, part))}


def _part(connection: Connection, name: str) -> str:
    if name in ("login", "password"):
        return str(getattr(connection, name))
    return connection.extra.get(name, "")
