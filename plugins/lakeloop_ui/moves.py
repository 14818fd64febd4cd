"""Moving the champion from the page: as `lakeloop rollback` and `lakeloop promote`, by the page's user."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser

from lakeloop.errors import FenceError
from lakeloop.registry.history import History, ModelVersion
from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.telling import tell_move
from lakeloop_ui.opened import open_to_look

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """The move that a version's page offers."""

    back: bool
    """A rollback: the champion took the version's place, or that of one after it."""
    over: str
    """The champion that would go."""
    why_not: str = ""
    """Why there is no such move; empty where there is one."""

    @property
    def title(self) -> str:
        return "Roll back to" if self.back else "Make champion:"


def offer_of(history: History, version: ModelVersion) -> Offer | None:
    """The move to `version`; None where it is champion."""
    champion = history.alias("champion")
    if champion == version:
        return None
    back = version in history.way_back
    gone = history.forgotten.get(version.name)
    return Offer(back, champion.name if champion else "", f"Its weights are gone: {gone}" if gone else "")


def move_champion(
    settings: Settings, loop: str, version: str, over: str, reason: str, user: BaseUser
) -> None:
    """Make `version` champion in place of `over`, for a reason.

    Raises:
        ConfigurationError: no reason is given, there is no such version, or its weights are gone.
        FenceError: the champion is another one than `over`.
    """
    context = open_to_look(settings, loop)
    registry = Registry(context.lake, context.attempt)
    history = registry.read()
    target = registry.require(history, version)
    champion = history.alias("champion")
    if (champion.name if champion else "") != over:
        raise FenceError(
            "the champion is another one than when this page was opened",
            where=f"{loop} registry",
            expected=over or "no champion",
            found=champion.name if champion else "no champion",
            remedy="look at the page as it is now, and decide again",
        )
    if target in history.way_back:
        registry.rollback(reason, to=version, by=user.get_name())
    else:
        registry.promote_by_hand(version, reason=reason, by=user.get_name())
    _tell(context, registry)


def end_trial(settings: Settings, loop: str, version: str, reason: str, user: BaseUser) -> None:
    """Take `version` out of its trial, for a reason; the champion stays.

    Raises:
        ConfigurationError: no reason is given.
        FenceError: the version is in no trial any more.
    """
    context = open_to_look(settings, loop)
    registry = Registry(context.lake, context.attempt)
    if registry.end_trial(version, reason=reason, by=user.get_name()) is None:
        raise FenceError(
            "the version is not tried any more",
            where=f"{loop} registry",
            expected=f"a trial of {version}",
            found="somebody was first: it was taken out, or the champion moved",
            remedy="look at the page as it is now",
        )


def _tell(context: StageContext, registry: Registry) -> None:
    """Let the tracker know; the move is made whether or not this machine can keep a journal."""
    try:
        tell_move(context, registry.read())
    except OSError:
        log.warning("the move of %s is not told to W&B", context.loop.name, exc_info=True)
