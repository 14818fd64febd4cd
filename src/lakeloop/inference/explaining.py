"""Which words an answer hangs on, by the way that is asked for: `occlusion`, or `gradients` if there are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from lakeloop.errors import ConfigurationError
from lakeloop.inference.occlusion import Part, effects
from lakeloop.spec.explaining import GRADIENTS, KEY, OCCLUSION, Explain

if TYPE_CHECKING:
    from lakeloop.inference.predictor import Predictor
    from lakeloop.tasks.base import Answer
    from lakeloop.tasks.reading import Instance

log = logging.getLogger(__name__)

_NEEDED = ("captum", "torch", "transformers", "safetensors")


class Explained(NamedTuple):
    """The parts of some rows' texts, and how they were weighed."""

    rows: list[tuple[Part, ...]]
    """In the order of the rows; empty where nothing can be told."""
    by: Explain
    """Occlusion also where gradients were asked for and the model has none."""


def explained(
    predictor: Predictor, rows: Sequence[Instance], answers: Sequence[Answer], by: Explain
) -> Explained:
    """How much each part of each row's text adds to the answer that `predictor` gave it.

    Raises:
        ConfigurationError: what gradients need is not installed.
    """
    if by == GRADIENTS:
        if missing := not_there(by):
            raise missing
        from lakeloop.inference.gradients import attributions

        try:
            return Explained(attributions(predictor, rows, answers), by)
        except LookupError as why:
            log.warning("%s: %s; explained by occlusion", predictor.folder.name, why)
    return Explained(effects(predictor, rows, answers), OCCLUSION)


def not_there(by: Explain) -> ConfigurationError | None:
    """What this way needs and this environment lacks; nothing is imported."""
    lacking = [name for name in _NEEDED if find_spec(name) is None] if by == GRADIENTS else []
    if not lacking:
        return None
    return ConfigurationError(
        "what explains by gradients is not installed",
        where=KEY,
        expected=", ".join(_NEEDED),
        found=f"no {', '.join(lacking)}",
        remedy=f'install it: pip install "lakeloop[explain]", or say {KEY}: {OCCLUSION}',
    )
