"""Clients that only some loops need, and that are installed when they are asked for."""

from __future__ import annotations

from lakeloop.errors import ConfigurationError


def not_installed(
    what: str, packages: str, extra: str, *, where: str, error: ImportError
) -> ConfigurationError:
    """The error for a client that is missing: `what` it is of, its `packages`, the extra that has them."""
    return ConfigurationError(
        f"the client of {what} is not installed",
        where=where,
        expected=packages,
        found=str(error),
        remedy=f'install it: pip install "lakeloop[{extra}]"',
    )
