"""Which model answers a request: that of the loop which the request names, or of the only loop served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from lakeloop.serving.guard.problems import ProblemError, shortened, unavailable
from lakeloop.serving.slots import ServedModel, Slots

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
