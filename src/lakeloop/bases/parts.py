"""What trainings left in an encoder beside its weights: its config says so, in an artifact's too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakeloop.spec.methods import PREFIX, PROMPT

KEY = "lakeloop_parts"
"""Key of a config: kind of part -> its size."""
BEFORE_TEXTS = (PROMPT, PREFIX)
"""Parts whose vectors stand before a text; there can be one of them."""


def parts_of(config: Mapping[str, Any]) -> dict[str, int]:
    """The parts of the encoder with this config."""
    found = config.get(KEY)
    return dict(found) if isinstance(found, Mapping) else {}


def virtual_tokens_of(config: Mapping[str, Any]) -> int:
    """How many vectors stand before each text."""
    parts = parts_of(config)
    return sum(parts.get(kind, 0) for kind in BEFORE_TEXTS)
