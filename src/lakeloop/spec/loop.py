"""A whole loop: its sections and the rules between them.

Reading YAML and wording errors for people is `reading`; nothing here touches files. Defaults are chosen so
that a first loop file is about 15 lines. A docstring follows each field: it is what editors show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Self

from pydantic import field_validator, model_validator

from lakeloop.measures.base import MetricSpec
from lakeloop.measures.registry import ABSTAINING, NEEDED, learning_metrics_of, limited, metric_of, metrics_of
from lakeloop.spec.base import NOTHING, SMALL_NAME, Mark, Section, short_form, text_like
from lakeloop.spec.checks import Checks, Length, OneOf, RowCheck
from lakeloop.spec.clean import Clean
from lakeloop.spec.columns import ColumnType
from lakeloop.spec.contract import column_rule
from lakeloop.spec.explaining import wrong_explaining
from lakeloop.spec.labels import APART, types_with_labels, wrong_labels
from lakeloop.spec.languages import UNDETERMINED
from lakeloop.spec.leaks import Leaks
from lakeloop.spec.methods import methods_for
from lakeloop.spec.release import Approval, Deploy, Evaluate, Gate
from lakeloop.spec.rules import Broken, refuse_broken
from lakeloop.spec.score import Score
from lakeloop.spec.source import Source
from lakeloop.spec.split import Split
from lakeloop.spec.tasks import Task
from lakeloop.spec.tasks.base import LANGUAGE, TEXT, TEXT_PAIR
from lakeloop.spec.train import Train
from lakeloop.spec.watch import Keep, Schedule

RESERVED_NAMES = frozenset({"information_schema", "main", "pg_catalog", "system", "temp", "transform"})
"""A loop's name is its schema in the DuckDB file transform.duckdb, where these mean something else."""

License = Annotated[
    str, text_like(r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,59}$", "the id of a license, such as apache-2.0")
]
Language = Annotated[str, text_like(r"^[a-z]{2,3}$", "a language by ISO 639, such as en")]
_SLICED_BY: tuple[ColumnType, ...] = ("string", "integer", "number", "boolean", "date")
_ALWAYS = {"row_id": "string", "event_time": "timestamp"}
"""Columns of every mart that a check can look at, and their types."""


class LoopSpec(Section):
    """One loop: where its rows come from, what is predicted, and what is good enough."""

    name: Annotated[str, text_like(r"^[a-z][a-z0-9_]{0,39}$", SMALL_NAME), NOTHING]
    """Same as the folder's name: loops/<name>/loop.yaml."""
    description: Annotated[str, NOTHING] = ""
    owner: Annotated[str, NOTHING] = "lakeloop"
    """Shown in Airflow."""
    license: Annotated[License | None, NOTHING] = None
    """Of the models that come of the loop, an SPDX id such as apache-2.0: for their cards, which are made
    when a version is released. Default: they say that it is unknown."""
    language: Annotated[tuple[Language, ...], NOTHING] = ()
    """Of the texts, by ISO 639, `[en]`: for the same cards. Default: they say that it is unknown."""
    source: Source
    """Where the rows come from, by `kind`."""
    labels: Annotated[Source | None, Mark(("labels",), whole=("raw",))] = None
    """Where right answers come from when they come apart from the rows, and later: another source, of any
    `kind`. Its `key` names the row as `source` does, its column of the task's name for the answer
    (`task.label`, `task.target` ...) has the answer, its `event_time` says when it was given. Of several of
    a row the newest counts, without `event_time` the one that was delivered last. Rows without one wait."""
    clean: Clean = Clean()
    checks: Checks = Checks()
    task: Task
    """What is predicted from what, by `kind`; see the sections below."""
    split: Split = Split()
    leaks: Leaks = Leaks()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    gate: Gate = Gate()
    approval: Annotated[Approval, *short_form("none", "human")] = Approval()
    deploy: Deploy = Deploy()
    score: Score = Score()
    keep: Keep = Keep()
    schedule: Schedule = Schedule()

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value in RESERVED_NAMES:
            raise ValueError(f"another name: DuckDB uses {', '.join(sorted(RESERVED_NAMES))} itself")
        return value

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        if self.task.writes:
            self.__dict__["train"] = self.train.for_writing()
        refuse_broken(
            [
                *self._wrong_columns(),
                *wrong_labels(self.source, self.labels, self.task),
                *self.task.broken_rules(self.checks, self.types, normalise=self.clean.normalise),
                *self._checks_without_column(),
                *self._methods_that_do_not_fit(),
                *self._wrong_metric(),
                *self._slices_without_column(),
                *self.split.broken_rules(self.source.types),
                *self.leaks.broken_rules(self.source.types),
                *self._smoke_rows_that_are_not_read(),
                *self._wrong_abstaining(),
                *self._wrong_explaining(),
            ]
        )
        return self

    @property
    def types(self) -> dict[str, ColumnType]:
        """Declared column -> type; where answers come apart, theirs too."""
        return types_with_labels(self.source, self.labels, self.task)

    @property
    def of_labels(self) -> LoopSpec | None:
        """The loop as its answers are read: their source in the place of the rows'; None without such."""
        if self.labels is None:
            return None
        apart = {"source": self.labels, "labels": None, "name": f"{self.name}{APART}"}
        return self.model_copy(update=apart)

    @property
    def metric(self) -> MetricSpec:
        """The score that decides."""
        return metric_of(self.task.kind, self.evaluate.metric)

    @property
    def least_score(self) -> float | None:
        """The worst score that the gate lets through; None: any."""
        return self.metric.bar if self.gate.min_score is None else self.gate.min_score

    @property
    def slack(self) -> float:
        """How much worse than the champion a candidate may be, see `gate.max_regression`."""
        return self.metric.slack if self.gate.max_regression is None else self.gate.max_regression

    @property
    def row_checks(self) -> tuple[RowCheck, ...]:
        """All row checks on the mart: what the task needs, then what the file adds."""
        own: list[RowCheck] = []
        if self.clean.languages:
            known = (*self.clean.languages, UNDETERMINED)
            own = [OneOf(kind="one_of", column=LANGUAGE, values=known)]
        if (length := self.clean.length).bounded:
            own.append(Length(kind="length", column=TEXT, min=length.min, max=length.max, unit=length.unit))
        zone, severity = self.schedule.timezone, {"severity": self.checks.task_severity}
        of_task = (check.model_copy(update=severity) for check in self.task.row_checks())
        return (*of_task, *own, *(check.in_zone(zone) for check in self.checks.rows))

    def _wrong_columns(self) -> Iterator[Broken]:
        taken: dict[str, str] = {}
        for role in self.task.roles().values():
            yield from column_rule(f"task.{role.key}", role.column, self.types, role.types)
            if role.column in taken:
                message = f"is the {taken[role.column]} itself"
                yield Broken(f"task.{role.key}", message, "another column", role.column)
            taken[role.column] = role.key

    def _checks_without_column(self) -> Iterator[Broken]:
        types = _ALWAYS | {name: role.kept_as for name, role in self.task.roles().items()}
        if self.clean.tags_language:
            types[LANGUAGE] = "string"
        for number, check in enumerate(self.checks.rows):
            key = f"checks.rows.{number}"
            yield from _wrong_in_mart(f"{key}.column", check.column, check.of_type, types)
            of_type = types.get(check.column) if check.same_type else None
            for other, name in check.others.items():
                yield from _wrong_in_mart(f"{key}.{other}", name, of_type, types)
        for number, of_day in enumerate(self.checks.batch):
            yield from _wrong_in_mart(f"checks.batch.{number}.column", of_day.column, of_day.of_type, types)

    def _methods_that_do_not_fit(self) -> Iterator[Broken]:
        for number, candidate in enumerate(self.train.all_candidates):
            method = candidate.method
            key = f"train.candidates.{number}.method" if self.train.candidates else "train.method"
            said = [name for name, value in self.task if value]
            if why := method.unfit_for(self.task.kind, said):
                wanted = f"one of the methods {', '.join(methods_for(self.task.kind, said))}"
                yield Broken(key, why, wanted, method.kind)
            for broken in method.broken_rules(self.task.answers):
                yield broken._replace(key=(*key.split("."), *broken.key))
        for broken in self.train.broken_rules(self.task):
            key_parts = (broken.key,) if isinstance(broken.key, str) else broken.key
            yield broken._replace(key=("train", *key_parts))

    def _smoke_rows_that_are_not_read(self) -> Iterator[Broken]:
        names = {feature.name for feature in self.task.features}
        wants_pair = TEXT_PAIR in self.task.reads
        for number, row in enumerate(self.deploy.rows):
            key = f"deploy.smoke_texts.{number}"
            if wants_pair and row.text_pair is None:
                yield Broken(key, "the model reads two texts", "a section with text and text_pair", row.text)
            if not wants_pair and row.text_pair is not None:
                yield Broken(f"{key}.text_pair", "the model reads one text", "no text_pair", row.text_pair)
            for name in row.features.keys() - names:
                known = ", ".join(sorted(names)) or "no features: task.numeric and task.categorical name none"
                yield Broken((*key.split("."), "features", name), "the model does not read it", known, name)

    def _wrong_abstaining(self) -> Iterator[Broken]:
        abstain = self.deploy.abstain
        if abstain.precision is not None and abstain.below is not None:
            found = f"precision {abstain.precision:g} and below {abstain.below:g}"
            yield Broken("deploy.abstain", "two rules", "one of precision, below", found)
        strangers = self.evaluate.out_of_scope
        if strangers and (self.task.features or TEXT_PAIR in self.task.reads):
            message = "the model reads more than the texts that a file of lines has"
            yield Broken("evaluate.out_of_scope", message, "no such key", strangers)
        if self.task.kind in ABSTAINING:
            return
        for key, said in (
            ("deploy.abstain", abstain.asked),
            ("evaluate.out_of_scope", strangers),
        ):
            if said:
                kinds = f"no such key; it is for {', '.join(ABSTAINING)}"
                yield Broken(key, "such answers are not held back", kinds, self.task.kind)

    def _wrong_explaining(self) -> Iterator[Broken]:
        methods = [(each.name, each.method) for each in self.train.all_candidates]
        return wrong_explaining(self.task.kind, self.evaluate.explain, methods)

    def _slices_without_column(self) -> Iterator[Broken]:
        for number, name in enumerate(self.evaluate.slices):
            yield from column_rule(f"evaluate.slices.{number}", name, self.source.types, _SLICED_BY)

    def _wrong_metric(self) -> Iterator[Broken]:
        known = tuple(metric.name for metric in learning_metrics_of(self.task.kind))
        if (found := self.evaluate.metric) not in (None, *known):
            reported = found in [metric.name for metric in metrics_of(self.task.kind)]
            why = "is reported, but no training can choose by it" if reported else "wrong value"
            yield Broken("evaluate.metric", why, f"one of {', '.join(known)}", str(found), known)
            return
        scores = tuple(limited(self.task.kind))
        for name in self.gate.limits:
            if name not in scores:
                yield Broken(("gate", "limits", name), "no such score", ", ".join(scores), name, scores)
            elif (key := NEEDED.get(name)) and not getattr(self.evaluate, key):
                message = f"is not measured without evaluate.{key}"
                yield Broken(("gate", "limits", name), message, f"evaluate.{key}, or no such limit", name)
        score, metric = self.gate.min_score, self.metric
        if score is not None and metric.lowest is not None and score < metric.lowest:
            yield Broken("gate.min_score", "wrong value", f"at least {metric.lowest:g}", f"{score:g}")
        if score is not None and metric.highest is not None and score > metric.highest:
            yield Broken("gate.min_score", "wrong value", f"at most {metric.highest:g}", f"{score:g}")


def _wrong_in_mart(key: str, name: str, of_type: str | None, types: Mapping[str, str]) -> Iterator[Broken]:
    """`name` is to be a column of the mart of `of_type` (None: any), whose columns are `types`."""
    found = types.get(name)
    if found and of_type in (None, found):
        return
    fitting = tuple(column for column, each in types.items() if of_type in (None, each))
    message = "a column of the wrong type" if found else "no such column of the mart"
    there = ", ".join(f"{column}: {each}" for column, each in types.items())
    wanted = f"one of {', '.join(fitting)}" if fitting else f"a {of_type}; there are {there}"
    yield Broken(key, message, wanted, name, fitting)
