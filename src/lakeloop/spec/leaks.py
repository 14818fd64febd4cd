"""What is looked for in a data set that makes its scores too good. Looking is `lakeloop.datasets.leaks`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field

from lakeloop.spec.base import Mark, Section
from lakeloop.spec.columns import ColumnName, ColumnType
from lakeloop.spec.contract import column_rule
from lakeloop.spec.rules import Broken

Kind = Literal["copied", "written", "future", "keys", "alike"]
"""What can leak: the right answer in a column, or in words of the text; what is known only later; rows of one
key, or texts that are alike, on both sides of the split."""
KINDS: tuple[Kind, ...] = get_args(Kind)

LOOKED = Mark(("release",))


class Leaks(Section):
    """Leaks of a data set are looked for when it is frozen, and told by `lakeloop plan`, gate and report."""

    refuse: Annotated[tuple[Kind, ...], LOOKED] = ()
    """Kinds that end a run where one is suspected: no data set is frozen, and the gate lets no candidate
    through. Others are told, and nothing else happens."""
    skip: Annotated[tuple[Kind, ...], LOOKED] = ()
    """Kinds that are not looked for. `copied`: a column that the model reads says the right answer by itself.
    `written`: the text says it, in its words. `future`: a moment in a row is later than its day, or a test
    row of `split.by: time` is older than the test days. `keys`: rows of one key in training and test.
    `alike`: texts of the test much like one of the training."""
    keys: Annotated[tuple[ColumnName, ...], LOOKED] = ()
    """Columns of the source, such as a customer, besides the key and `split.group`: none of their values is
    to be in training and test."""
    ignore: Annotated[tuple[ColumnName, ...], LOOKED] = ()
    """Columns that are not looked at, such as a date that is rightly in the future."""
    similar: Annotated[float, Field(ge=0.5, le=1), LOOKED] = 0.8
    """How much of their pairs of neighbouring words two texts share that are `alike`, as
    `clean.drop_similar` has it."""
    similar_share: Annotated[float, Field(ge=0, le=1), LOOKED] = 0.05
    """Of the test rows: so many that are `alike` a training row are no leak. Rows of most sources resemble
    each other now and then."""

    def broken_rules(self, types: Mapping[str, ColumnType]) -> Iterator[Broken]:
        """What of the section makes no sense; `types` are those of the source. Keys from the top."""
        for number, name in enumerate(self.keys):
            yield from column_rule(f"leaks.keys.{number}", name, dict(types), ("string", "integer"))
        for number, name in enumerate(self.ignore):
            yield from column_rule(f"leaks.ignore.{number}", name, dict(types), get_args(ColumnType))
        for number, kind in enumerate(self.refuse):
            if kind in self.skip:
                yield Broken(f"leaks.refuse.{number}", "is skipped", "a kind that is looked for", kind)
