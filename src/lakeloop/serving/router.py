"""Which model answers a request: that of the loop which the request names, or of the only loop served.

While a version is tried as a canary, it is asked a share of the requests: always the same ones, by their
clients or else by their texts, and those of a small share also when the share is larger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import TypeVar

from lakeloop.serving.guard.problems import ProblemError, shortened, unavailable
from lakeloop.serving.slots import Challenger, ServedModel, Slots
from lakeloop.tasks.reading import Instance

T = TypeVar("T")

RETRY_SECONDS = 10
"""After so many seconds a server without a model asks its client to try again."""


def named(loops: Mapping[str, T], name: str) -> T:
    """The one of `loops` called `name`.

    Raises:
        ProblemError: 404, no such loop is served here.
    """
    if name not in loops:
        raise ProblemError(
            404,
            "no_such_loop",
            "that loop is not served here; one whose file is new or was mended is within seconds, unless the"
            " server was started for certain loops",
            expected=", ".join(loops),
            found=shortened(name),
        )
    return loops[name]


def only(loops: Mapping[str, T], verb: str) -> T:
    """The loop of a request that names none, such as `/v1/predict`; `verb` is the end of its path.

    Raises:
        ProblemError: 409, several are served.
    """
    if len(loops) > 1:
        raise ProblemError(
            409,
            "several_loops",
            f"several loops are served here; name one: /v1/loops/{{loop}}/{verb}",
            expected=", ".join(f"/v1/loops/{name}/{verb}" for name in loops),
            found=f"/v1/{verb}",
        )
    (served,) = loops.values()
    return served


def key_of(client: str, rows: Sequence[Instance]) -> bytes:
    """What a request is told apart by: its client where that says who it is, else what it asks."""
    if client:
        return b"client\0" + client.encode()
    return b"rows\0" + json.dumps([[row.text, row.beside] for row in rows], sort_keys=True).encode()


def place_of(loop: str, version: str, key: bytes) -> float:
    """Where a request stands among all, from 0 to 1, in the trial of this version; evenly spread.

    By sha256, so it is the same in every process and release. Another version has another order: it is not
    always the same clients who try what is new.
    """
    return int.from_bytes(sha256(f"{loop}\0{version}\0".encode() + key).digest()[:8]) / 2**64


def canary_for(slots: Slots, client: str, rows: Sequence[Instance]) -> Challenger | None:
    """The version on trial, when this request is one of its share and it is still asked; else None."""
    found = slots.challenger.asked_in("canary")
    if found is None:
        return None
    place = place_of(slots.loop, found.release.version, key_of(client, rows))
    return found if place < found.trial.share and found.tally.may_ask() else None


def answering(slots: Slots) -> ServedModel:
    """The model of a loop that answers now.

    Raises:
        ProblemError: 503, the loop has no model that answers; says why, and what to do.
    """
    loop, slot = slots.loop, slots.champion
    # Read once: a champion that changes meanwhile must not answer half of a request.
    if model := slot.model:
        return model
    if refused := slot.refused:
        raise unavailable(
            "model_refused",
            f"the champion of {loop} was refused; release another: lakeloop release {loop}",
            expected=f"{refused.release.version}, digest {refused.release.digest}",
            found=refused.reason,
            retry_seconds=RETRY_SECONDS,
        )
    if slot.postponed:
        raise unavailable(
            "model_unavailable",
            f"the champion of {loop} cannot be loaded now; it is tried again",
            found=slot.postponed,
            retry_seconds=RETRY_SECONDS,
        )
    raise unavailable(
        "no_model",
        f"{loop} has no champion yet; train and release one: lakeloop run {loop}",
        retry_seconds=RETRY_SECONDS,
    )
