"""The one list of kinds of row check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakeloop.quality.kinds.base import CheckKind, Rule
from lakeloop.quality.kinds.numbers import BetweenKind
from lakeloop.quality.kinds.presence import NotNullKind
from lakeloop.quality.kinds.texts import AsManyWordsKind, EachOfKind, LengthKind, MatchesKind, OneOfKind
from lakeloop.spec.checks import RowCheck

KINDS: Mapping[str, CheckKind[Any]] = {
    "not_null": NotNullKind(),
    "length": LengthKind(),
    "one_of": OneOfKind(),
    "each_of": EachOfKind(),
    "as_many_words": AsManyWordsKind(),
    "matches": MatchesKind(),
    "between": BetweenKind(),
}
"""`kind` of a check in the loop file -> what it does."""


def rules_of(check: RowCheck) -> tuple[Rule, ...]:
    """The rules of one check."""
    return KINDS[check.kind].rules(check)
