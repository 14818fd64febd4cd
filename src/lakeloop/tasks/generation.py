"""A text is answered with another: answers, how they score against the right ones, how long they are."""

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
from lakeloop.measures.generation import longest_common, tokens_of
from lakeloop.spec import tasks as spec
from lakeloop.spec.quoting import scalar
from lakeloop.tasks.base import Answer, Grid, OutputContract, Profile, Tokenised, Written
from lakeloop.tasks.proposing import SeenColumn, TaskProposal

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.spec.tasks.writing import WritingTask
    from lakeloop.tasks.base import Outputs

_LENGTHS = (10, 30, 100, 300, 1000)
"""Characters of an answer that its share of the rows is told up to, in monitoring too."""
_SHOWN = 280


class Generated(Answer):
    """The text that the model wrote."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Paris", "tokens": 2, "finished": True}]}
    )

    text: str
    """What the model wrote, without its end."""
    tokens: int
    """Of the text, its end among them."""
    finished: bool
    """The model ended it; false where it had to stop at `max_new_tokens`."""

    @property
    def plain(self) -> Mapping[str, str | float | None]:
        return {"generated": self.text}

    def hidden(self, asked: str, hide: Callable[[str], str]) -> Answer:  # noqa: ARG002
        return self.model_copy(update={"text": hide(self.text)})


class Proposed:
    """Right answers are not told from other texts by a look at them: they have to be named."""

    def fit(self, column: SeenColumn, *, named: bool = False) -> float:  # noqa: ARG002
        return 0

    def answers(self, column: SeenColumn) -> Counter[str]:  # noqa: ARG002
        return Counter()

    def unknown(self, column: SeenColumn) -> int:  # noqa: ARG002
        return 0

    def keys(self, column: SeenColumn, remark: str) -> Iterator[str]:
        yield f"answer: {scalar(column.name)}{remark}"

    def gate(self) -> Iterator[str]:
        yield from ()  # the usual score has a bar


class Generation:
    """What the tasks have that write texts."""

    kind: ClassVar[str]
    target: ClassVar[str] = spec.CausalLm.target
    answer: ClassVar[type[Answer]] = Generated
    proposal: ClassVar[TaskProposal] = Proposed()
    error: ClassVar[str] = "distance from the right text, 0..1"
    right_or_wrong: ClassVar[bool] = False

    def __init__(self, section: WritingTask) -> None:
        self.section: Any = section

    def require_known(self, rows: pa.Table, loop: str) -> None:
        """Any text can be a right answer."""

    def truths(self, rows: pa.Table) -> list[Any]:
        return list(rows[self.target].to_pylist())

    def require_learnable(self, targets: Mapping[str, Sequence[Any]], where: str) -> None:
        if len(set(targets["train"])) < 2:
            raise DataError(
                "nothing to learn: all training rows have one answer",
                where=where,
                expected="at least two different answers",
                remedy="publish more partitions, or change split in the loop file",
            )

    def require_comparable(self, before: Sequence[Any], after: Sequence[Any]) -> str:
        return "" if after or not before else "any row"

    def digested(self, said: Mapping[str, Any]) -> dict[str, Any]:
        return {"task": dict(said)}

    def profile(self, targets: Sequence[Any]) -> Profile:
        lengths = [len(text) for text in targets]
        numbers = {"characters": float(np.mean(lengths))} if lengths else {}
        return Profile(rows=len(targets), shares=_by_length(lengths), numbers=numbers)

    def contract(self, profile: Profile) -> OutputContract:  # noqa: ARG002 - other tasks need it
        # What the base model says of prompts and of ends is added where it is known.
        return OutputContract(kind=self.kind, width=1)

    @staticmethod
    def decode(contract: OutputContract, outputs: Outputs, read: Sequence[Tokenised] = ()) -> list[Answer]:  # noqa: ARG004
        found: list[Answer] = []
        for written in outputs:
            assert isinstance(written, Written)
            found.append(Generated.model_construct(**written._asdict()))
        return found

    def outcomes(self, answers: Sequence[Answer], targets: Sequence[Any]) -> Outcomes:
        truth, answer = (np.empty(len(targets), dtype=object) for _ in range(2))
        compared = np.empty((len(targets), 2), dtype=object)
        truth[:] = list(targets)
        for number, (target, given) in enumerate(zip(targets, answers, strict=True)):
            answer[number] = _text(given)
            compared[number] = self._compared(target, _text(given))
        return Outcomes(truth, answer, compared)

    def tables(self, outcomes: Outcomes) -> tuple[Grid, ...]:
        pairs = list(zip(outcomes.truth, outcomes.answer, strict=True))
        rows = []
        for number, name in enumerate(_by_length([])):
            scores = [1 - _distance(*pair) for pair in pairs if _interval(len(pair[0])) == number]
            if scores:
                rows.append((name, float(np.mean(scores)), len(scores)))
        return (
            Grid(
                title="Lengths",
                columns=("right answer", "ROUGE-L", "rows"),
                rows=tuple(rows),
                compared="ROUGE-L",
                note="How near the answers come to the right ones, by the length of the right ones.",
            ),
        )

    def errors(self, answers: Sequence[Answer], targets: Sequence[Any]) -> NDArray[Any]:
        wrong = []
        for target, given in zip(targets, answers, strict=True):
            truth, answer = self._compared(target, _text(given))
            wrong.append(0.0 if truth == answer else max(_distance(target, _text(given)), 1e-3))
        return np.array(wrong, dtype=np.float64)

    @staticmethod
    def shown(answer: Answer) -> str:
        return _text(answer)[:_SHOWN]

    def right(self, answer: Answer, target: Any) -> str:  # noqa: ARG002 - other tasks need the answer
        return str(target)[:_SHOWN]

    @staticmethod
    def facts(contract: OutputContract) -> dict[str, JsonValue]:
        return {"max_new_tokens": contract.writing.max_new_tokens} if contract.writing else {}

    @staticmethod
    def shares(answers: Sequence[Answer], profile: Profile) -> dict[str, float]:
        return {**dict.fromkeys(profile.shares, 0.0), **_by_length([len(_text(each)) for each in answers])}

    @staticmethod
    def numbers(answers: Sequence[Answer]) -> dict[str, float]:
        if not answers:
            return {}
        return {
            "characters": float(np.mean([len(_text(each)) for each in answers])),
            "unfinished": float(np.mean([not getattr(each, "finished", True) for each in answers])),
        }

    def _compared(self, truth: str, answer: str) -> tuple[str, str | None]:
        """What exact match compares: all of the two, or what is extracted where the truth has that."""
        wanted = extracted(truth, self.section.extract)
        if wanted is None:
            return _plain(truth), _plain(answer)
        return wanted, extracted(answer, self.section.extract)


class Seq2Seq(Generation):
    """The task of a loop that reads a text and writes another."""

    kind: ClassVar[str] = "seq2seq"


class CausalLm(Generation):
    """The task of a loop that goes on with a text."""

    kind: ClassVar[str] = "causal_lm"


def extracted(text: str, pattern: str | None) -> str | None:
    """The last match of `pattern` in `text`, or of its group; None without a pattern or a match."""
    found = list(re.finditer(pattern, text)) if pattern else []
    if not found:
        return None
    return _plain(found[-1].group(1 if found[-1].re.groups else 0) or "")


def _plain(text: str) -> str:
    """`text` with single blanks."""
    return " ".join(text.split())


def _text(answer: Answer) -> str:
    assert isinstance(answer, Generated)
    return answer.text


def _distance(truth: str, answer: str) -> float:
    """1 less ROUGE-L."""
    one, other = tokens_of(truth), tokens_of(answer)
    return 1 - 2 * longest_common(one, other) / max(1, len(one) + len(other))


def _interval(length: int) -> int:
    return int(np.searchsorted(_LENGTHS, length))


def _by_length(lengths: Sequence[int]) -> dict[str, float]:
    """Share of the answers in each interval of lengths."""
    counts = Counter(map(_interval, lengths))
    names = [*(f"up to {most} characters" for most in _LENGTHS), "longer"]
    return {name: counts[number] / max(1, len(lengths)) for number, name in enumerate(names)}
