"""Stretches of a text, each of one of n kinds: from tags of words to places in a text, and from outputs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, JsonValue

from lakeloop.errors import DataError
from lakeloop.measures.base import Outcomes
from lakeloop.records import Frozen
from lakeloop.spec import tasks as spec
from lakeloop.spec.quoting import scalar
from lakeloop.spec.tasks.token_classification import OUTSIDE
from lakeloop.tasks.base import Answer, Grid, OutputContract, Profile, Tokenised
from lakeloop.tasks.classification import softmax
from lakeloop.tasks.labels import SHARES, label_facts, require_known_labels, share_of
from lakeloop.tasks.proposing import SeenColumn, TaskProposal

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.tasks.base import Outputs

_WORD = re.compile(r"\S+")
NONE = "nothing"
"""How an answer without any stretch is told."""
_REMEDY = "publish more partitions, or change split in the loop file"


class Entity(Frozen):
    """One stretch of a text."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    start: int
    """Number of its first character, from 0."""
    end: int
    """Number of the character behind its last."""
    label: str
    """Its kind."""
    text: str
    """As it stands in the text that was read."""
    score: float
    """Mean probability of its tags, 0..1."""


class Entities(Answer):
    """The stretches that were found in a text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "entities": [{"start": 10, "end": 14, "label": "place", "text": "York", "score": 0.75}],
                    "text": None,
                }
            ]
        }
    )

    entities: list[Entity]
    """In the order of the text."""
    text: str | None = None
    """The text that was read, where cleaning changed the one that was sent: places are in this one."""

    @property
    def certainty(self) -> float | None:
        return min((entity.score for entity in self.entities), default=None)

    def hidden(self, asked: str, hide: Callable[[str], str]) -> Answer:
        read = hide(asked if self.text is None else self.text)
        found = [each.model_copy(update={"text": read[each.start : each.end]}) for each in self.entities]
        return self.model_copy(update={"entities": found, "text": None if self.text is None else read})

    def moved(self, back: Callable[[int, int], tuple[int, int]]) -> Answer:
        places = [back(each.start, each.end) for each in self.entities]
        found = [
            each.model_copy(update={"start": start, "end": end})
            for each, (start, end) in zip(self.entities, places, strict=True)
        ]
        return self.model_copy(update={"entities": found})


class Proposed:
    """Tags are not told from other texts by a look at them: they have to be named."""

    def fit(self, column: SeenColumn, *, named: bool = False) -> float:  # noqa: ARG002
        return 0

    def answers(self, column: SeenColumn) -> Counter[str]:
        return Counter(tag for value, times in column.in_words.items() for tag in value.split() * times)

    def unknown(self, column: SeenColumn) -> int:  # noqa: ARG002
        return 0

    def keys(self, column: SeenColumn, remark: str) -> Iterator[str]:
        yield f"tags: {scalar(column.name)}{remark}"
        yield "labels: # behind B- and I- in the tags"
        kinds = {tag[2:] for tag in self.answers(column) if tag[1:2] == "-"}
        yield from (f"  - {scalar(kind, quoted=True)}" for kind in sorted(kinds))

    def gate(self) -> Iterator[str]:
        yield from ()  # the usual score has a bar


class TokenClassification:
    """The task of a loop that finds stretches in texts."""

    kind: ClassVar[str] = "token_classification"
    target: ClassVar[str] = spec.TokenClassification.target
    answer: ClassVar[type[Answer]] = Entities
    proposal: ClassVar[TaskProposal] = Proposed()
    error: ClassVar[str] = "wrong stretches"
    right_or_wrong: ClassVar[bool] = False

    def __init__(self, section: spec.TokenClassification) -> None:
        self.section = section

    def require_known(self, rows: pa.Table, loop: str) -> None:
        require_known_labels(rows, self.target, str.split, self.section.all_tags, loop)

    def truths(self, rows: pa.Table) -> list[Any]:
        texts, tags = rows["text"].to_pylist(), rows[self.target].to_pylist()
        return [stretches(text, row.split()) for text, row in zip(texts, tags, strict=True)]

    def require_learnable(self, targets: Mapping[str, Sequence[Any]], where: str) -> None:
        if not any(targets["train"]):
            raise DataError(
                "nothing to learn: no training row has a stretch of any kind",
                where=where,
                expected="tags other than O",
                remedy=_REMEDY,
            )

    def require_comparable(self, before: Sequence[Any], after: Sequence[Any]) -> str:
        of_before, of_after = ({kind for row in rows for *_, kind in row} for rows in (before, after))
        return ", ".join(sorted(of_before - of_after))

    def digested(self, said: Mapping[str, Any]) -> dict[str, Any]:
        return {"task": dict(said)}

    def profile(self, targets: Sequence[Any]) -> Profile:
        counts = Counter(kind for row in targets for *_, kind in row)
        shares = {label: counts[label] / max(1, counts.total()) for label in self.section.labels}
        numbers = {"entities_per_row": counts.total() / len(targets)} if targets else {}
        return Profile(rows=len(targets), shares=shares, numbers=numbers)

    def contract(self, profile: Profile) -> OutputContract:  # noqa: ARG002 - other tasks need it
        # A network always tells B from I alone: the ends follow from them.
        tags = (OUTSIDE, *(f"{part}-{label}" for label in self.section.labels for part in "BI"))
        return OutputContract(kind=self.kind, width=len(tags), names=tags, per_token=True)

    @staticmethod
    def decode(contract: OutputContract, outputs: Outputs, read: Sequence[Tokenised] = ()) -> list[Answer]:
        answers: list[Answer] = []
        for row, text in zip(outputs, read, strict=True):
            found = _entities(contract.names, softmax(np.asarray(row)), text) if len(row) else []
            cleaned = text.text if text.text != text.sent else None
            answers.append(Entities.model_construct(entities=found, text=cleaned))
        return answers

    def outcomes(self, answers: Sequence[Answer], targets: Sequence[Any]) -> Outcomes:
        truth, answer = (np.empty(len(targets), dtype=object) for _ in range(2))
        for number, (target, found) in enumerate(zip(targets, answers, strict=True)):
            truth[number] = [tuple(stretch) for stretch in target]
            answer[number] = [(each.start, each.end, each.label) for each in _found(found)]
        return Outcomes(truth, answer, np.empty((len(targets), 0)))

    def tables(self, outcomes: Outcomes) -> tuple[Grid, ...]:
        from lakeloop.measures.token_classification import partial_f1

        rows = []
        for label in self.section.labels:
            truth, answer = (_only(side, label) for side in (outcomes.truth, outcomes.answer))
            of_kind = Outcomes(truth, answer, outcomes.outputs)
            there, claimed = (sum(len(set(row)) for row in side) for side in (truth, answer))
            right = sum(len({*one} & {*other}) for one, other in zip(truth, answer, strict=True))
            f1 = (2 * right / (there + claimed), partial_f1(of_kind)) if there + claimed else (None, None)
            rows.append((label, *share_of(right, claimed), *share_of(right, there), *f1, there, claimed))
        return (
            Grid(
                title="Kinds",
                columns=("kind", *SHARES, "F1", "partial F1", "stretches", "answered"),
                rows=tuple(sorted(rows, key=_of_f1)),
                compared="F1",
                note="Of the stretches of a kind: precision is the share of the answered ones that are right"
                " in place and kind, recall the share of the right ones that is found; none where there are"
                " none. From and to are the ends of their intervals of 95 %. In the partial F1 one that"
                " overlaps a right one counts half. The worst first.",
            ),
        )

    def errors(self, answers: Sequence[Answer], targets: Sequence[Any]) -> NDArray[Any]:
        found = self.outcomes(answers, targets)
        wrong = [
            len(set(truth) ^ set(answer)) for truth, answer in zip(found.truth, found.answer, strict=True)
        ]
        return np.array(wrong, dtype=np.float64)

    @staticmethod
    def shown(answer: Answer) -> str:
        return ", ".join(f"{each.text} ({each.label}, {each.score:.1%})" for each in _found(answer)) or NONE

    def right(self, answer: Answer, target: Any) -> str:  # noqa: ARG002 - other tasks need the answer
        return ", ".join(f"{kind} at {start}-{end}" for start, end, kind in target) or NONE

    @staticmethod
    def facts(contract: OutputContract) -> dict[str, JsonValue]:
        return label_facts(contract, (name[2:] for name in contract.names if name.startswith("B-")))

    @staticmethod
    def shares(answers: Sequence[Answer], profile: Profile) -> dict[str, float]:
        counts = Counter(each.label for answer in answers for each in _found(answer))
        return {name: counts[name] / max(1, counts.total()) for name in {**profile.shares, **counts}}

    @staticmethod
    def numbers(answers: Sequence[Answer]) -> dict[str, float]:
        counts = [len(_found(answer)) for answer in answers]
        return {"entities_per_row": float(np.mean(counts))} if counts else {}


def stretches(text: str, tags: Sequence[str]) -> list[list[int | str]]:
    """The stretches that `tags` of the words of `text` say: first character, the one behind the last, kind.

    A tag that goes on with a kind that nothing has begun begins it, as conlleval has it.
    """
    found: list[list[int | str]] = []
    open_kind = ""
    for word, tag in zip(_WORD.finditer(text), tags, strict=True):
        part, _, kind = tag.partition("-")
        if tag == OUTSIDE:
            open_kind = ""
            continue
        if part in "BS" or kind != open_kind:
            found.append([word.start(), word.end(), kind])
        else:
            found[-1][1] = word.end()
        open_kind = "" if part in "ES" else kind
    return found


def _entities(names: Sequence[str], chances: NDArray[np.float64], read: Tokenised) -> list[Entity]:
    """The stretches of one text, from the probabilities [tokens, tags] of the first token of each word."""
    found: list[tuple[int, int, str, list[float]]] = []
    open_kind, last = "", -1
    ends = {int(word): int(end) for word, (_, end) in zip(read.words, read.offsets, strict=True)}
    for token, word in enumerate(read.words):
        if word < 0 or word == last:
            continue
        last = word
        best = int(chances[token].argmax())
        part, _, kind = names[best].partition("-")
        start, end, chance = int(read.offsets[token, 0]), ends[int(word)], float(chances[token, best])
        if names[best] == OUTSIDE:
            open_kind = ""
        elif part == "B" or kind != open_kind:
            found.append((start, end, kind, [chance]))
            open_kind = kind
        else:
            first, _, _, sure = found[-1]
            found[-1] = (first, end, kind, [*sure, chance])
    return [
        Entity(start=start, end=end, label=kind, text=read.text[start:end], score=float(np.mean(sure)))
        for start, end, kind, sure in found
    ]


def _found(answer: Answer) -> list[Entity]:
    assert isinstance(answer, Entities)
    return answer.entities


def _of_f1(row: tuple[Any, ...]) -> float:
    """By what kinds are sorted: those without an F1 come last."""
    f1 = row[1 + len(SHARES)]
    return 2.0 if f1 is None else float(f1)


def _only(rows: NDArray[Any], kind: str) -> NDArray[Any]:
    kept = np.empty(len(rows), dtype=object)
    for number, row in enumerate(rows):
        kept[number] = [stretch for stretch in row if stretch[2] == kind]
    return kept
