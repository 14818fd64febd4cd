"""The verb that tries what an installation rests on, before rows do: disks, the lake, the store under it."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakeloop.errors import EXIT_CONFIGURATION, LakeloopError
from lakeloop.full_disk import bytes_left
from lakeloop.spec.quoting import printable

if TYPE_CHECKING:
    from lakeloop.lake.remote import Remote
    from lakeloop.settings import Settings

app = typer.Typer()
_PANEL = "This machine"
_LEAST_BYTES = 2 << 30
"""Room for a training of the package's base model, which leaves four times its 173 MB, and for some days."""


@dataclass(frozen=True)
class Finding:
    """What a check found; with a `remedy` it is not as it should be."""

    what: str
    said: str
    remedy: str = ""


@app.command(rich_help_panel=_PANEL)
def doctor(
    rounds: Annotated[
        int, typer.Option(min=1, help="Rounds in which 64 writers put one new name into a lake on S3.")
    ] = 200,
) -> None:
    """Try what this installation rests on: room on its disks, its lake, and that a name there is given once.

    What a store was found to do is kept in it, and no stage runs on one that lets several writers win.
    Ends with exit code 64 when something is not as it should be.
    """
    from lakeloop.cli.running import working
    from lakeloop.settings import get_settings, protect_home

    settings, sound = get_settings(), True
    protect_home(settings)
    for doing, check in CHECKS.items():
        with working(doing):
            found = list(_told(check, settings, rounds))
        for one in found:
            sound = sound and not one.remedy
            typer.echo(printable(f"{'not well' if one.remedy else 'well':<9} {one.what:<16} {one.said}"))
            if one.remedy:
                typer.echo(printable(f"{'':<27}to do: {one.remedy}"))
    if not sound:
        raise typer.Exit(EXIT_CONFIGURATION)


def _told(check: Check, settings: Settings, rounds: int) -> Iterator[Finding]:
    """What a check finds, or the error that it ends with."""
    try:
        yield from check(settings, rounds)
    except LakeloopError as error:
        remedy = error.remedy or "see what is said"
        yield Finding("lake", f"{error.where}: {error.message}; {error.found}", remedy)


def _disks(settings: Settings, rounds: int) -> Iterator[Finding]:  # noqa: ARG001
    from lakeloop.lake.remote import local_path

    places = {"home": settings.home, "cache": settings.cache, "lake": local_path(settings.lake)}
    for what, place in places.items():
        if place is None:
            continue
        if problem := _unwritable(place):
            yield Finding(what, f"{place}: {problem}", f"give this user the right to write there ({what})")
            continue
        left = bytes_left(place)
        said = f"{place}: can be written, {left / 1e9:.1f} GB free"
        few = f"make room: a training wants {_LEAST_BYTES / 1e9:.1f} GB" if left < _LEAST_BYTES else ""
        yield Finding(what, said, few)


def _unwritable(place: Path) -> str:
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _store(settings: Settings, rounds: int) -> Iterator[Finding]:
    from lakeloop.lake.remote import options_of, remote_of

    if remote := remote_of(settings.lake, options_of(settings)):
        yield _reached(remote)  # what cannot be reached is told once
        yield _once(remote, rounds)


def _reached(remote: Remote) -> Finding:
    client, store = remote.folders()
    path = f".lakeloop/doctor/{uuid.uuid4().hex}"
    with remote.told():
        client.put(store, path, b"x")
        read = client.get(store, path).bytes().to_bytes() == b"x"
        listed = any(one["path"] == path for some in client.list(store, ".lakeloop/doctor") for one in some)
        client.delete(store, path)
    missing = [word for word, there in (("read", read), ("listed", listed)) if not there]
    place = f"{remote.base} at {remote.endpoint or 'AWS'}"
    if missing:
        said = f"{place}: what was written is not {' and not '.join(missing)}"
        return Finding("lake", said, "use a store whose objects are there once they are put")
    return Finding("lake", f"{place}: put, read, listed, deleted")


def _once(remote: Remote, rounds: int) -> Finding:
    from lakeloop.lake.probe import refusal, remember, try_store

    probe = try_store(remote, rounds=rounds)
    remember(remote, probe)
    refused = refusal(remote, probe)
    return Finding(
        "put-if-absent",
        probe.counts if probe.passed else f"{refused.message}; {refused.found}",
        "" if probe.passed else refused.remedy,
    )


Check = Callable[["Settings", int], Iterator[Finding]]
CHECKS: dict[str, Check] = {
    "looking at the disks": _disks,
    "trying the store of the lake": _store,
}
"""What is shown meanwhile -> the check, in this order."""
