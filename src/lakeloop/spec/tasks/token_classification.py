"""Words of a text get a kind each, so that names and other stretches of it are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from lakeloop.spec.base import Words
from lakeloop.spec.checks import AsManyWords, Checks, EachOf, NotNull, RowCheck
from lakeloop.spec.columns import ColumnName, ColumnType
from lakeloop.spec.normal import normalised
from lakeloop.spec.quoting import quote
from lakeloop.spec.rules import Broken
from lakeloop.spec.tasks.base import LEARNT, ROLE, Role, TaskBase, distinct

OUTSIDE = "O"
"""Tag of a word that is in nothing."""
_PARTS = {"BIO": "BI", "BIOES": "BIES"}
"""Scheme -> what begins a tag: a first word, one inside, a last one, a single one."""


class TokenClassification(TaskBase):
    """Stretches of a text are found, each of one of n kinds."""

    target: ClassVar[str] = "tags"
    refuses: ClassVar[tuple[str, ...]] = ("augment",)
    placed: ClassVar[bool] = True

    kind: Annotated[Literal["token_classification"], LEARNT]
    text: Annotated[ColumnName, ROLE]
    """Column with the text, its words with blanks between them."""
    tags: Annotated[ColumnName, ROLE]
    """Column with a tag for each word, with blanks between them: `O O B-person I-person O`."""
    labels: Annotated[tuple[Words, ...], LEARNT] = Field(min_length=1)
    """The kinds of stretches, as the tags name them behind `B-` and `I-`; a row with another one is
    quarantined."""
    scheme: Annotated[Literal["BIO", "BIOES"], LEARNT] = "BIO"
    """How tags are written: B begins a stretch, I goes on; in BIOES E ends one and S is one by itself."""

    @property
    def all_tags(self) -> tuple[str, ...]:
        """Every tag that a word can have."""
        return (OUTSIDE, *(f"{part}-{label}" for label in self.labels for part in _PARTS[self.scheme]))

    def roles(self) -> Mapping[str, Role]:
        return {**super().roles(), "tags": Role("tags", self.tags, ("string",), "string")}

    def unknown(self, values: Iterable[Any], *, normalise: bool) -> Counter[str]:  # noqa: ARG002
        tags = (tag for value in values if value is not None for tag in str(value).split())
        return Counter(tag for tag in tags if tag not in self.all_tags)

    def counted(self, values: Iterable[Any], *, normalise: bool) -> Counter[str]:  # noqa: ARG002
        """Stretches by their kinds: each tag that begins one."""
        tags = (tag for value in values if value is not None for tag in str(value).split())
        return Counter(tag[2:] for tag in tags if tag[:2] in ("B-", "S-"))

    @property
    def asked_for(self) -> tuple[str, ...]:
        return self.labels

    def row_checks(self) -> tuple[RowCheck, ...]:
        return (
            *super().row_checks(),
            NotNull(kind="not_null", column="tags"),
            EachOf(kind="each_of", column="tags", values=self.all_tags, separator=" "),
            AsManyWords(kind="as_many_words", column="tags", other="text"),
        )

    def broken_rules(
        self,
        checks: Checks,  # noqa: ARG002
        types: Mapping[str, ColumnType],  # noqa: ARG002
        *,
        normalise: bool,
    ) -> Iterator[Broken]:
        yield from distinct("task.labels", self.labels)
        for number, label in enumerate(self.labels):
            if label.split() != [label] or (normalise and normalised(label) != label):
                wanted = f"a name without blanks, in Unicode NFC, where the tag is {quote('B-name')}"
                yield Broken(f"task.labels.{number}", "no tag can name it", wanted, label)
