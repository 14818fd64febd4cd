"""A text gets any number of n labels: answers with a probability for each, scores by label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, JsonValue

from lakeloop.errors import DataError
from lakeloop.measures.base import Outcomes
from lakeloop.spec import tasks as spec
from lakeloop.spec.quoting import plain, quote, scalar
from lakeloop.spec.tasks.base import parts_of
from lakeloop.tasks.base import Answer, Grid, OutputContract, Profile, Tokenised
from lakeloop.tasks.classification import Proposed as OneOfMany
from lakeloop.tasks.labels import best_scores, label_facts, label_grid, require_known_labels
from lakeloop.tasks.proposing import SeenColumn, TaskProposal

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.tasks.base import Outputs

_NAMES = r"^(labels|tags|topics|categories|genres)$"
"""How columns with several labels are called."""
_SEPARATORS = ("|", ";", ",")
_MOST_LABELS = 200
_FEWEST_COMBINED = 2
_LEAST_COMBINED = 0.05
"""Share of the records whose cells have several answers."""
_ALONE = 0.75
"""Share of the parts of such cells that are the whole of others."""
_SHOWN = 60
NONE = "none"
"""How an answer without any label is told."""


class Labels(Answer):
    """Those of the labels that fit, with the probability of each."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"labels": ["sports", "tech"], "scores": {"sports": 0.75, "tech": 0.6, "uk": 0.1}}]
        }
    )

    labels: list[str]
    """The most probable first; empty where none fits."""
    scores: dict[str, float]
    """Probability of every label, each by itself."""

    @property
    def certainty(self) -> float | None:
        # Of the one that it is least sure about, whether it fits or not.
        return min((max(score, 1 - score) for score in self.scores.values()), default=None)

    @property
    def plain(self) -> Mapping[str, str | float | None]:
        return {"label": ", ".join(self.labels), "score": self.certainty}

    def cut(self, most: int) -> Answer:
        return self.model_copy(update={"scores": best_scores(self.scores, most, self.labels)})


class Proposed:
    """Words with a separator between them, where there are few different ones."""

    def fit(self, column: SeenColumn, *, named: bool = False) -> float:
        if column.type != "string" or not column.counts or not self._labels(column):
            return 0
        if all(value.lstrip().startswith("[") for value in column.in_words):
            return 0  # lists as JSON or Python writes them: their brackets and quotes would be part of names
        separator = self._separator(column)
        several = sum(times for value, times in column.in_words.items() if separator in value)
        if self._combines(column):
            # A little better than of single answers, whose classes would be combinations.
            return 1.25 if named else max(column.filled, OneOfMany().fit(column)) + 0.01
        if named:
            return 0.75 if several else 0.25
        says = re.search(_NAMES, column.name, re.IGNORECASE)
        few = len(self._labels(column)) <= min(_MOST_LABELS, max(column.records // 4, 2))
        return 1.1 if says and several and few else 0

    def answers(self, column: SeenColumn) -> Counter[str]:
        return self._labels(column)

    def unknown(self, column: SeenColumn) -> int:  # noqa: ARG002 - all of the sample are named
        return 0

    def keys(self, column: SeenColumn, remark: str) -> Iterator[str]:
        yield f"label: {scalar(column.name)}{remark}"
        yield f"separator: {scalar(self._separator(column), quoted=True)}"
        yield "labels: # a row with another one is quarantined"
        for label, times in self._labels(column).most_common():
            yield f"  - {scalar(label, quoted=True)} # {times} records"

    def gate(self) -> Iterator[str]:
        yield from ()  # the usual score has a bar

    def why(self, column: SeenColumn) -> str:
        if not self._combines(column):
            return ""
        separator = self._separator(column)
        several = {value: times for value, times in column.in_words.items() if separator in value}
        example = plain(max(several, key=lambda value: several[value]), _SHOWN)
        return (
            f"{sum(several.values())} records have several answers in one cell, as {quote(example)},"
            " and these stand alone in others, too; --task classification takes each combination for one"
            " answer"
        )

    def _combines(self, column: SeenColumn) -> bool:
        """Whether cells are split into parts most of which are the whole of other cells."""
        separator = self._separator(column)
        split = {value: parts_of(value, separator) for value in column.in_words}
        combined = [parts for parts in split.values() if len(parts) > 1]
        alone = {parts[0] for parts in split.values() if len(parts) == 1}
        parts = {part for each in combined for part in each}
        rows = sum(times for value, times in column.in_words.items() if len(split[value]) > 1)
        few = len(self._labels(column)) <= _MOST_LABELS
        return (
            few
            and len(combined) >= _FEWEST_COMBINED
            and rows >= _LEAST_COMBINED * column.records
            and len(parts & alone) >= _ALONE * len(parts)
        )

    def _separator(self, column: SeenColumn) -> str:
        counts = {each: sum(each in value for value in column.in_words) for each in _SEPARATORS}
        return max(_SEPARATORS, key=lambda each: counts[each])

    def _labels(self, column: SeenColumn) -> Counter[str]:
        found: Counter[str] = Counter()
        separator = self._separator(column)
        for value, times in column.in_words.items():
            for label in parts_of(value, separator):
                found[label] += times
        return found


class MultiLabel:
    """The task of a loop whose texts get any number of labels."""

    kind: ClassVar[str] = "multi_label"
    target: ClassVar[str] = spec.MultiLabel.target
    answer: ClassVar[type[Answer]] = Labels
    proposal: ClassVar[TaskProposal] = Proposed()
    error: ClassVar[str] = "wrong labels"
    right_or_wrong: ClassVar[bool] = False

    def __init__(self, section: spec.MultiLabel) -> None:
        self.section = section
        self.labels = section.labels
        self._index = {label: number for number, label in enumerate(section.labels)}

    def require_known(self, rows: pa.Table, loop: str) -> None:
        require_known_labels(rows, self.target, self._parts, self.labels, loop)

    def truths(self, rows: pa.Table) -> list[Any]:
        found: list[Any] = rows[self.target].to_pylist()
        return found

    def require_learnable(self, targets: Mapping[str, Sequence[Any]], where: str) -> None:
        counts = Counter(label for value in targets["train"] for label in self._parts(value))
        if not counts:
            raise DataError(
                "nothing to learn: no training row has a label",
                where=where,
                expected="rows with labels",
                remedy="publish more partitions, or change split in the loop file",
            )

    def require_comparable(self, before: Sequence[Any], after: Sequence[Any]) -> str:
        of_before, of_after = (
            {label for value in values for label in self._parts(value)} for values in (before, after)
        )
        return ", ".join(sorted(of_before - of_after))

    def digested(self, said: Mapping[str, Any]) -> dict[str, Any]:
        return {"task": dict(said)}

    def profile(self, targets: Sequence[Any]) -> Profile:
        counts = Counter(label for value in targets for label in self._parts(value))
        rows = len(targets)
        shares = {label: counts[label] / rows if rows else 0.0 for label in self.labels}
        return Profile(rows=rows, shares=shares, numbers={"labels_per_row": sum(shares.values())})

    def contract(self, profile: Profile) -> OutputContract:  # noqa: ARG002 - other tasks need it
        return OutputContract(
            kind=self.kind,
            width=len(self.labels),
            names=self.labels,
            threshold=self.section.threshold,
            separator=self.section.separator,
        )

    @staticmethod
    def decode(
        contract: OutputContract,
        outputs: Outputs,
        read: Sequence[Tokenised] = (),  # noqa: ARG004
    ) -> list[Answer]:
        outputs = np.asarray(outputs, dtype=np.float64)
        probabilities = 1 / (1 + np.exp(-outputs))
        answers: list[Answer] = []
        for row in probabilities:
            order = np.argsort(-row, kind="stable")
            chosen = [contract.names[number] for number in order if row[number] >= contract.threshold]
            scores = dict(zip(contract.names, row.tolist(), strict=True))
            answers.append(Labels.model_construct(labels=chosen, scores=scores))
        return answers

    def outcomes(self, answers: Sequence[Answer], targets: Sequence[Any]) -> Outcomes:
        found = [_labels(answer) for answer in answers]
        return Outcomes(
            truth=self._table([self._parts(value) for value in targets]),
            answer=self._table([answer.labels for answer in found]),
            outputs=np.array([[answer.scores.get(label, 0.0) for label in self.labels] for answer in found]),
        )

    def tables(self, outcomes: Outcomes) -> tuple[Grid, ...]:
        truth, answer = outcomes.truth, outcomes.answer
        sums = (each.sum(axis=0) for each in (truth & answer, truth, answer))
        return (label_grid(self.labels, *sums),)

    def errors(self, answers: Sequence[Answer], targets: Sequence[Any]) -> NDArray[Any]:
        wrong = [
            len(set(answer.labels) ^ set(self._parts(target)))
            for answer, target in zip(map(_labels, answers), targets, strict=True)
        ]
        return np.array(wrong, dtype=np.float64)

    @staticmethod
    def shown(answer: Answer) -> str:
        found = _labels(answer)
        return ", ".join(f"{label} ({found.scores[label]:.1%})" for label in found.labels) or NONE

    def right(self, answer: Answer, target: Any) -> str:
        scores = _labels(answer).scores
        return ", ".join(f"{each} ({scores.get(each, 0.0):.1%})" for each in self._parts(target)) or NONE

    @staticmethod
    def facts(contract: OutputContract) -> dict[str, JsonValue]:
        return label_facts(contract, contract.names)

    @staticmethod
    def shares(answers: Sequence[Answer], profile: Profile) -> dict[str, float]:
        counts = Counter(label for answer in answers for label in _labels(answer).labels)
        return {name: counts[name] / max(len(answers), 1) for name in {**profile.shares, **counts}}

    @staticmethod
    def numbers(answers: Sequence[Answer]) -> dict[str, float]:
        counts = [len(_labels(answer).labels) for answer in answers]
        return {"labels_per_row": float(np.mean(counts))} if counts else {}

    def _parts(self, value: str | None) -> list[str]:
        return parts_of(value or "", self.section.separator)

    def _table(self, rows: Sequence[Sequence[str]]) -> NDArray[np.bool_]:
        """Bool [rows, n]; labels that are not known count for nothing."""
        table = np.zeros((len(rows), len(self.labels)), dtype=np.bool_)
        for row, labels in enumerate(rows):
            table[row, [self._index[label] for label in labels if label in self._index]] = True
        return table


def _labels(answer: Answer) -> Labels:
    assert isinstance(answer, Labels)
    return answer
