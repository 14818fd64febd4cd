"""The keys of the model server: a file of names and keys, of which the server keeps the hashes alone.

The file is the one setting of both sides (`LAKELOOP_SERVE_KEYS_FILE`, or `keys` in the home): the server
takes all its keys, and what asks the server from here, such as the stage `rollout`, shows the first. A key is
in no environment and no command line, where other programs could read it.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lakeloop.errors import ConfigurationError

log = logging.getLogger(__name__)

NO_KEY = "no_key"
"""Code of the error that a request without a key gets."""
VARIABLE = "LAKELOOP_SERVE_KEYS_FILE"
_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9_.-]{1,64}):\s*(?:sha256:(?P<hash>[0-9a-f]{64})|(?P<key>[A-Za-z0-9._~+/-]{20,512}=*))"
)
"""A key is what RFC 6750 lets a bearer token be."""
_EXPECTED = (
    "NAME: KEY, or NAME: sha256:HASH; a name of at most 64 letters, digits and _.-, another one on each line;"
    " a key of at least 20 letters, digits and ._~+/-"
)
_REMEDY = 'make a key: echo "NAME: $(openssl rand -hex 32)" >> FILE'
_OTHERS_READ = 0o044


@dataclass(frozen=True)
class Keys:
    """Who may ask a server."""

    hashes: Mapping[str, bytes]
    """SHA-256 of each key, by its name; at least one."""

    def name_of(self, given: str) -> str | None:
        """The name of the key `given`; None when it is none. Takes as long whichever it is."""
        hashed = sha256(given.encode("utf-8", "surrogatepass")).digest()
        found = None
        for name, known in self.hashes.items():
            if hmac.compare_digest(hashed, known):
                found = name
        return found


def read_keys(file: Path) -> Keys:
    """The keys in `file`: a line for each, empty ones and those that begin with # left aside.

    Raises:
        ConfigurationError: it cannot be read, a line is no key, a name comes twice, or there is no key.
    """
    if file.exists() and file.stat().st_mode & _OTHERS_READ:
        log.warning("%s: other users of this machine can read the keys: chmod 600 it", file)
    hashes: dict[str, bytes] = {}
    for name, key, hashed in _entries(file):
        if name in hashes:
            raise ConfigurationError(
                "two keys have one name", where=str(file), found=name, remedy="name one of them otherwise"
            )
        hashes[name] = bytes.fromhex(hashed) if hashed else sha256(key.encode()).digest()
    if not hashes:
        raise ConfigurationError("there is no key", where=str(file), expected=_EXPECTED, remedy=_REMEDY)
    return Keys(hashes)


def own_key(file: Path | None) -> str | None:
    """The key that is shown to the server from here: the first of `file` of which there is not only a hash.

    Raises:
        ConfigurationError: as `read_keys`, or there are only hashes.
    """
    if file is None:
        return None
    read_keys(file)
    for _, key, _ in _entries(file):
        if key:
            return key
    raise ConfigurationError(
        "the server cannot be asked with a hash",
        where=str(file),
        expected="a key, on one line at least",
        remedy=f"where the server is asked, set {VARIABLE} to a file with a key in it",
    )


def bearer(key: str | None) -> dict[str, str]:
    """The header in which a program shows a key (RFC 6750); none where there is none."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def _entries(file: Path) -> Iterator[tuple[str, str, str]]:
    """Name, key and hash of each line; the key or the hash is empty. Of a wrong line its number is told."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = str(error.strerror) if isinstance(error, OSError) else "no UTF-8"
        raise ConfigurationError(
            "the file of the server's keys cannot be read",
            where=str(file),
            found=reason,
            remedy=f"mend it; without it, and without {VARIABLE}, everybody who reaches the server can ask",
        ) from None
    for number, line in enumerate(lines, start=1):
        if not (stripped := line.strip()) or stripped.startswith("#"):
            continue
        if not (found := _LINE.fullmatch(stripped)):
            raise ConfigurationError(
                "no key of the model server",
                where=f"{file}, line {number}",
                expected=_EXPECTED,
                remedy=_REMEDY,
            )
        yield found["name"], found["key"] or "", found["hash"] or ""
