"""Experiments: trainings that are compared with the champion and shown, and that are never released.

What keeps them apart are the names of their records (`StageContext.record_name`): whoever asks for a stage
asks for that of production. Here are the few places where an experiment is turned away.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lakeloop.errors import ConfigurationError
from lakeloop.spec.base import SMALL_NAME
from lakeloop.spec.quoting import quote

if TYPE_CHECKING:
    from lakeloop.stages.frame.session import StageContext

_LONGEST = 40
_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{_LONGEST - 1}}}")


def require_name(name: str) -> None:
    """Require that `name` can be that of an experiment; empty is production.

    Raises:
        ConfigurationError: it cannot.
    """
    if name and not _NAME.fullmatch(name):
        raise ConfigurationError(
            "not a name for an experiment",
            where="--experiment, or the field of the form",
            expected=f"{SMALL_NAME}, of at most {_LONGEST}",
            found=quote(name),
        )


def refuse(context: StageContext, what: str) -> None:
    """Refuse to do `what` with an experiment.

    Raises:
        ConfigurationError: the context is that of one.
    """
    if context.experiment:
        raise ConfigurationError(
            f"an experiment is compared and shown, and never {what}",
            where=f"{context.loop.name}, experiment {context.experiment}",
            expected="candidates of production",
            remedy="what proved better goes into the loop file, and is trained from there: "
            f"lakeloop train {context.loop.name}, or the same --set without --experiment",
        )
