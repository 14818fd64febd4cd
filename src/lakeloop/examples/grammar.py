"""Sentences from templates whose gaps are filled by draws, so that no two days read alike."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

Words = Mapping[str, Sequence[str]]
"""Name of a gap -> what may stand there; that may have gaps itself."""

_GAP = re.compile(r"\{(\w+)\}")


def fill(draw: random.Random, template: str, words: Words) -> str:
    """`template` with each `{gap}` replaced by one of its words."""
    return _GAP.sub(lambda gap: fill(draw, draw.choice(words[gap[1]]), words), template)


def sentence(text: str) -> str:
    """`text` with its first letter large and blanks as they should be."""
    trimmed = " ".join(text.split())
    return trimmed[:1].upper() + trimmed[1:]


def mistaken(draw: random.Random, answer: str, answers: Sequence[str], share: float) -> str:
    """`answer`, or in a `share` of the draws another one: people who judge rows make mistakes."""
    if draw.random() >= share:
        return answer
    return draw.choice([other for other in answers if other != answer])
