"""A text gets one of n labels: answers with a probability for each, scores by label, the confusion."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, JsonValue

from lakeloop.errors import DataError
from lakeloop.measures.base import Outcomes
from lakeloop.spec import tasks as spec
from lakeloop.spec.quoting import scalar
from lakeloop.spec.tasks.base import ANSWER_NAMES, LABELS
from lakeloop.tasks.base import Answer, Grid, OutputContract, Profile, Tokenised
from lakeloop.tasks.labels import best_scores, label_facts, label_grid, require_known_labels
from lakeloop.tasks.proposing import SeenColumn, TaskProposal

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.tasks.base import Outputs

_REMEDY = "publish more partitions, or change split in the loop file"
ANOTHER = "another label"
UNSURE = "unsure"
"""What people read in place of a label that is held back."""
_NAMES = rf"{ANSWER_NAMES}|class|categor|sentiment|topic|issue|spam|type|team|intent|tag|desk|priority"
"""How columns with labels are called."""
_USUAL = frozenset({"string", "integer", "boolean"})
"""Types of columns that are taken for labels without being told; numbers with a point may be."""
_MOST_LABELS = 500
"""More answers are proposed for no column, unless a person names it."""
_FEW_LABELS = 50
_RECORDS_OF_A_LABEL = 4, 10
"""How many records there are to each label, on average, of a column that is taken for labels without being
told: where labels are few, and where they are more."""
_FEWEST_RECORDS = 5
"""A label with fewer records is proposed as a comment: training needs some in each split."""
_FEWEST_LABELS = 2


class Label(Answer):
    """One of the labels, with the probability of each."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"label": "sports", "score": 0.75, "scores": {"sports": 0.75, "tech": 0.25}},
                {
                    "label": None,
                    "score": 0.55,
                    "scores": {"sports": 0.55, "tech": 0.45},
                    "abstained": True,
                },
            ]
        }
    )

    label: str | None
    """Null where the model is not sure enough to give one, see `deploy.abstain` of the loop file."""
    score: float
    """Probability of the label, 0..1; of the most probable one where none is given."""
    scores: dict[str, float]
    """Probability of every label; they add up to 1."""
    abstained: bool = Field(default=False, exclude_if=lambda abstained: not abstained)
    """There only where no label is given: the model is unsure."""

    @property
    def guess(self) -> str | None:
        """The most probable label, also where it is not given."""
        return self.label if self.label is not None else max(self.scores, key=lambda name: self.scores[name])

    @property
    def certainty(self) -> float:
        return self.score

    @property
    def given(self) -> bool:
        return not self.abstained

    @property
    def plain(self) -> Mapping[str, str | float | None]:
        return {"label": self.label, "score": self.score}

    def cut(self, most: int) -> Answer:
        named = () if self.label is None else (self.label,)
        return self.model_copy(update={"scores": best_scores(self.scores, most, named)})

    def weight_of(self, said: Answer) -> float | None:
        return self.scores.get(_label(said).guess or "", 0.0)

    def unless_unsure(self, below: float) -> Answer:
        if self.score >= below:
            return self
        return self.model_copy(update={"label": None, "abstained": True})


class Proposed:
    """Few different words, whole numbers or true and false."""

    def fit(self, column: SeenColumn, *, named: bool = False) -> float:
        if named:
            return 1.0 if column.type in _USUAL else 0.5 if column.type in LABELS else 0
        records = _RECORDS_OF_A_LABEL[column.distinct > _FEW_LABELS]
        few = column.distinct <= min(_MOST_LABELS, max(column.records // records, 2))
        if column.filled < 0.5 or column.distinct < 2 or column.type not in _USUAL or not few:
            return 0
        # An answer that some value alone gives, nearly always, is of little use.
        most = max(column.counts.values(), default=column.records) / (column.records * column.filled)
        says = 1.5 if re.search(_NAMES, column.name, re.IGNORECASE) else 1.0
        tells = 1.0 if column.type == "string" else 0.8  # of a word and a number the word, all else alike
        return column.filled * says * tells * (0.5 if most > 0.97 else 1)

    def answers(self, column: SeenColumn) -> Counter[str]:
        return Counter(column.in_words)

    def unknown(self, column: SeenColumn) -> int:
        return sum(times for _, times, known in _ranked(column) if not known)

    def keys(self, column: SeenColumn, remark: str) -> Iterator[str]:
        yield f"label: {scalar(column.name)}{remark}"
        yield "labels: # a row with another one is quarantined"
        for label, times, known in _ranked(column):
            written = scalar(label, quoted=column.type == "string")
            if known:
                yield f"  - {written} # {times} records"
            else:
                yield f"  # - {written} # {times} record(s) are too few to learn from"

    def gate(self) -> Iterator[str]:
        yield from ()  # the usual score has a bar


def _ranked(column: SeenColumn) -> Iterator[tuple[str, int, bool]]:
    """Each label, the most frequent first, with its records, and whether they are enough to learn from."""
    for number, (label, times) in enumerate(column.in_words.most_common()):
        yield label, times, times >= _FEWEST_RECORDS or number < _FEWEST_LABELS


class Classification:
    """The task of a loop whose texts get labels."""

    kind: ClassVar[str] = "classification"
    target: ClassVar[str] = spec.Classification.target
    answer: ClassVar[type[Answer]] = Label
    proposal: ClassVar[TaskProposal] = Proposed()
    error: ClassVar[str] = "how sure it was"
    right_or_wrong: ClassVar[bool] = True

    def __init__(self, section: spec.Classification) -> None:
        self.section = section
        self.labels = section.labels

    def require_known(self, rows: pa.Table, loop: str) -> None:
        require_known_labels(rows, self.target, lambda label: (label,), self.labels, loop)

    def truths(self, rows: pa.Table) -> list[Any]:
        found: list[Any] = rows[self.target].to_pylist()
        return found

    def require_learnable(self, targets: Mapping[str, Sequence[Any]], where: str) -> None:
        learnt = set(targets["train"])
        if len(learnt) < 2:
            raise DataError(
                "nothing to tell apart: the training rows have one label",
                where=where,
                expected="at least two labels",
                found=", ".join(sorted(map(str, learnt))),
                remedy=_REMEDY,
            )

    def require_comparable(self, before: Sequence[Any], after: Sequence[Any]) -> str:
        return ", ".join(sorted(set(before) - set(after)))

    def digested(self, said: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        # As data sets were digested when there was no other task: equal rows stay one data set.
        return {"labels": self.labels}

    def profile(self, targets: Sequence[Any]) -> Profile:
        counts = Counter(targets)
        rows = len(targets)
        shares = {label: counts[label] / rows if rows else 0.0 for label in self.labels}
        return Profile(rows=rows, shares=shares)

    def contract(self, profile: Profile) -> OutputContract:  # noqa: ARG002 - other tasks need it
        return OutputContract(kind=self.kind, width=len(self.labels), names=self.labels)

    @staticmethod
    def decode(
        contract: OutputContract,
        outputs: Outputs,
        read: Sequence[Tokenised] = (),  # noqa: ARG004
    ) -> list[Answer]:
        outputs = np.asarray(outputs, dtype=np.float64)
        probabilities = softmax(outputs)
        best = probabilities.argmax(axis=1)
        return [
            Label.model_construct(
                label=contract.names[winner],
                score=float(row[winner]),
                scores=dict(zip(contract.names, row.tolist(), strict=True)),
            )
            for winner, row in zip(best.tolist(), probabilities, strict=True)
        ]

    def outcomes(self, answers: Sequence[Answer], targets: Sequence[Any]) -> Outcomes:
        index = {label: number for number, label in enumerate(self.labels)}
        found = [_label(answer) for answer in answers]
        return Outcomes(
            truth=np.array([index[target] for target in targets], dtype=np.int64),
            answer=np.array([index.get(answer.label or "", -1) for answer in found], dtype=np.int64),
            # A label that a model does not know has probability 0.
            outputs=np.array([[answer.scores.get(label, 0.0) for label in self.labels] for answer in found]),
        )

    def tables(self, outcomes: Outcomes) -> tuple[Grid, ...]:
        confusion = self._confusion(outcomes)
        claimed = confusion[:, : len(self.labels)].sum(axis=0)
        strangers = (ANOTHER,) if (outcomes.answer < 0).any() else ()
        return (
            label_grid(self.labels, confusion.diagonal(), confusion.sum(axis=1), claimed),
            Grid(
                title="Confusion",
                kind="confusion",
                columns=("label", *self.labels, *strangers),
                rows=tuple(
                    (label, *map(int, row[: len(self.labels) + len(strangers)]))
                    for label, row in zip(self.labels, confusion, strict=True)
                ),
                note="Row: the right label. Column: the answer. The stronger the colour, the larger the share"
                " of the row.",
            ),
        )

    def _confusion(self, outcomes: Outcomes) -> NDArray[np.int64]:
        """Counts [n, n + 1]: right label by answer; the last column is for answers that are no label."""
        size = len(self.labels)
        answer = np.where(outcomes.answer < 0, size, outcomes.answer)
        flat = np.bincount(outcomes.truth * (size + 1) + answer, minlength=size * (size + 1))
        return flat.reshape(size, size + 1)

    def errors(self, answers: Sequence[Answer], targets: Sequence[Any]) -> NDArray[Any]:
        wrong = [
            0.0 if answer.label == target else answer.score
            for answer, target in zip(map(_label, answers), targets, strict=True)
        ]
        return np.array(wrong, dtype=np.float64)

    @staticmethod
    def shown(answer: Answer) -> str:
        found = _label(answer)
        said = f"{UNSURE}, perhaps {found.guess}" if found.abstained else found.label
        return f"{said} ({found.score:.1%})"

    def right(self, answer: Answer, target: Any) -> str:
        return f"{target} ({_label(answer).scores.get(target, 0.0):.1%})"

    @staticmethod
    def facts(contract: OutputContract) -> dict[str, JsonValue]:
        return label_facts(contract, contract.names)

    @staticmethod
    def shares(answers: Sequence[Answer], profile: Profile) -> dict[str, float]:
        # Also of those that were held back: how texts are spread, not how sure the model is of them.
        counts = Counter(_label(answer).guess or "" for answer in answers)
        return {name: counts[name] / max(len(answers), 1) for name in {**profile.shares, **counts}}

    @staticmethod
    def numbers(answers: Sequence[Answer]) -> dict[str, float]:
        if not answers:
            return {}
        found = [_label(answer) for answer in answers]
        unsure = float(np.mean([answer.abstained for answer in found]))
        return {
            "mean_score": float(np.mean([answer.score for answer in found])),
            **({"abstained": unsure} if unsure else {}),
        }


def _label(answer: Answer) -> Label:
    assert isinstance(answer, Label)
    return answer


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of `logits`, [rows, n]; in float64, so that they sum to 1 within 1e-15."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = exponents / exponents.sum(axis=1, keepdims=True)
    return probabilities


def card_of_format_1(old: dict[str, Any]) -> dict[str, Any]:
    """The card of a data set of format 1, which knew no other task, as one of format 2."""
    new = {key: value for key, value in old.items() if key not in ("labels", "label_shares")}
    return {
        **new,
        "task": {"kind": "classification", "labels": old["labels"]},
        "target": "label",
        "profiles": {
            split: {"rows": old["rows"][split], "shares": shares}
            for split, shares in old["label_shares"].items()
        },
    }


def description_of_format_1(old: dict[str, Any]) -> dict[str, Any]:
    """The description of an artifact of format 1, which knew no other task, as one of format 2."""
    new = {key: value for key, value in old.items() if key not in ("labels", "train_label_shares")}
    labels = old["labels"]
    return {
        **new,
        "contract": {"kind": "classification", "width": len(labels), "names": labels},
        "profile": {"rows": 0, "shares": old["train_label_shares"]},
    }


def answer_of_format_1(row: Mapping[str, Any]) -> str:
    """The answer in a row of the prediction log that has it in columns, as rows of today have it: JSON.

    Raises:
        ValueError: there is no answer in it.
    """
    columns = {key: row.get(key) for key in ("label", "score")}
    return Label.model_validate(
        {**columns, "scores": json.loads(row.get("scores") or "{}")}
    ).model_dump_json()
