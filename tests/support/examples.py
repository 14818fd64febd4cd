"""How many examples a property is tried with: a few each time, and many where that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import settings

DEEP = "deep"
"""Profile of `pytest --hypothesis-profile=deep`: for whoever changed what a property is about."""


def examples(usual: int, *, deep: int, **more: Any) -> Callable[[Any], Any]:
    """The settings of a property whose examples take long: `usual` of them, `deep` under that profile.

    Each run draws others, so that few of them see much in the end.
    """
    chosen = deep if settings.get_current_profile_name() == DEEP else usual
    return settings(max_examples=chosen, deadline=None, **more)
