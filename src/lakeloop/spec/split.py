"""How published rows are dealt into training, validation and test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import Field

from lakeloop.spec.base import DATASET, Section
from lakeloop.spec.columns import ColumnName, ColumnType
from lakeloop.spec.contract import column_rule
from lakeloop.spec.rules import Broken


class Split(Section):
    """By `hash`, rows are dealt by their text's letters and digits: texts that are alike fall on one side.

    By `time`, the newest days are the test. With a `group`, rows of one group are on one side.
    """

    by: Annotated[Literal["hash", "time"], DATASET] = "hash"
    """`hash`: any row can be a test row, and a text keeps its side whatever days come. `time`: the rows of
    the newest `test_days` are; rows of the days before are dealt into training and validation by hash."""
    validation: Annotated[float, Field(gt=0, lt=0.5), DATASET] = 0.1
    """Share of the rows; by `time`, of those before the test days."""
    test: Annotated[float, Field(gt=0, lt=0.5), DATASET] = 0.2
    """Share of the rows, by `hash`."""
    test_days: Annotated[int, Field(ge=1, le=3660), DATASET] = 7
    """By `time`: calendar days up to the newest published one, of which all rows are test rows. Days that
    come late or again move no other day's rows; a newer day does, and makes test days that are older than
    this training days."""
    group: Annotated[ColumnName | None, DATASET] = None
    """Column of the source that says which rows belong together, such as a customer, or the key, where rows
    come again with another text: no group has rows in training and test. By `hash` a group is dealt as a
    whole; by `time` older rows of a group with test rows are left out. Rows without a value go by their
    text."""
    salt: Annotated[str, DATASET] = ""
    """Change it to deal anew."""

    def first_test_day(self, days: Iterable[str]) -> str:
        """By time: the day from which on rows are test rows; `days` are those there are, one at least."""
        return (date.fromisoformat(max(days)) - timedelta(days=self.test_days - 1)).isoformat()

    def broken_rules(self, types: Mapping[str, ColumnType]) -> Iterator[Broken]:
        """What of the section makes no sense; `types` are those of the source. Keys from the top."""
        yield from column_rule("split.group", self.group, dict(types), _GROUPS)
        usual = type(self).model_fields
        for key, way in (("test", "hash"), ("test_days", "time")):
            said = getattr(self, key)
            if self.by != way and said != usual[key].default:
                yield Broken(f"split.{key}", f"is nothing to by: {self.by}", f"by: {way}", str(said))


_GROUPS: tuple[ColumnType, ...] = ("string", "integer")
