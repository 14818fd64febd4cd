"""Secrets of requests, from the environment: never from a loop file, in a message, a record or a repr."""

from __future__ import annotations

import os
from collections.abc import Iterable

from lakeloop.errors import ConfigurationError
from lakeloop.redaction import HIDDEN, spellings
from lakeloop.sources.connections import Connection, connection_of, text_of, variables_of

OF_SECRETS = "LAKELOOP_SECRET_"
"""What the variables of `{secret.NAME}` begin with."""


def connection_named(name: str, host: str) -> Connection:
    """The connection `name`, for requests to `host`.

    Raises:
        ConfigurationError: there is none, it cannot be read, or it is for another host.
    """
    variables, text = variables_of(name), text_of(name)
    try:
        found = connection_of(text)
    except (ValueError, AttributeError):
        # Not the error's words: they hold a part of the text.
        found = None
    if not found or found.host != host:
        raise ConfigurationError(
            "no connection for this source",
            where="source.connection",
            expected=f"an Airflow Connection {name}, or the variable {variables[0]}, with the host {host}",
            found=("one that cannot be read" if text else "none") if not found else f"the host {found.host}",
            remedy=f"airflow connections add {name} --conn-type http --conn-host {host} --conn-password ...",
        )
    return found


def secret_named(name: str) -> str:
    """The value of LAKELOOP_SECRET_<name>.

    Raises:
        ConfigurationError: it is not set.
    """
    if value := os.environ.get(OF_SECRETS + name, ""):
        return value
    raise ConfigurationError(
        "a secret is not there", where=f"{{secret.{name}}}", expected=f"the variable {OF_SECRETS}{name}"
    )


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` without `secrets`, however an address or JSON writes them."""
    forms = {form for secret in secrets if secret for form in spellings(secret)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text
