"""The lists of kinds of check: of rows, and of a day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakeloop.quality.kinds.base import BatchKind, CheckKind, Rule
from lakeloop.quality.kinds.columns import CompareKind, UniqueKind
from lakeloop.quality.kinds.numbers import BetweenKind
from lakeloop.quality.kinds.presence import NotNullKind
from lakeloop.quality.kinds.texts import (
    AsManyWordsKind,
    EachOfKind,
    IsJsonKind,
    LengthKind,
    MatchesKind,
    NotMatchesKind,
    NotOneOfKind,
    OneOfKind,
)
from lakeloop.quality.kinds.times import TimeBetweenKind
from lakeloop.quality.kinds.whole_day import (
    ContainsAllKind,
    DistinctKind,
    DistinctShareKind,
    NumberKind,
    QuantileKind,
    ValueShareKind,
)
from lakeloop.spec.checks import RowCheck

KINDS: Mapping[str, CheckKind[Any]] = {
    "not_null": NotNullKind(),
    "length": LengthKind(),
    "one_of": OneOfKind(),
    "not_one_of": NotOneOfKind(),
    "each_of": EachOfKind(),
    "as_many_words": AsManyWordsKind(),
    "matches": MatchesKind(),
    "not_matches": NotMatchesKind(),
    "json": IsJsonKind(),
    "between": BetweenKind(),
    "time_between": TimeBetweenKind(),
    "unique": UniqueKind(),
    "compare": CompareKind(),
}
"""`kind` of a check of rows in the loop file -> what it does."""

BATCH_KINDS: Mapping[str, BatchKind[Any]] = {
    "distinct": DistinctKind(),
    "distinct_share": DistinctShareKind(),
    "value_share": ValueShareKind(),
    "contains_all": ContainsAllKind(),
    "mean": NumberKind(),
    "median": NumberKind(),
    "stddev": NumberKind(),
    "sum": NumberKind(),
    "quantile": QuantileKind(),
}
"""`kind` of a check of a day in the loop file -> what it does."""


def rules_of(check: RowCheck) -> tuple[Rule, ...]:
    """The rules of one check."""
    return KINDS[check.kind].rules(check)
