"""The report page of each kind of task: its tables, its mistakes, and nothing that another task knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pytest

from lakeloop.evaluation.confused import examples_of
from lakeloop.evaluation.judge import Contender, Judged
from lakeloop.evaluation.mistakes import worst_mistakes
from lakeloop.evaluation.paired import compare_all
from lakeloop.evaluation.report import Report, render
from lakeloop.measures.registry import metrics_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.tasks.base import Answer
from lakeloop.tasks.generation import Generated
from lakeloop.tasks.multi_label import Labels
from lakeloop.tasks.registry import task_of
from lakeloop.tasks.token_classification import Entities, Entity
from tests.support.evidence import card_of, evidence, model
from tests.support.small_loop import small_loop
from tests.unit.evaluation.test_report import Tags

if TYPE_CHECKING:
    from lakeloop.artifact import ArtifactDescription

TEXTS = [f"Ann saw York {'again ' * number}" for number in range(6)]


def loop_of(kind: str, column: str, **keys: Any) -> LoopSpec:
    columns = {"id": "string", "text": "string", column: "string"}
    source = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id", "columns": columns}
    return small_loop(source=source, task={"kind": kind, "text": "text", **keys}, gate={})


def page_of(loop: LoopSpec, truths: Sequence[Any], ours: Sequence[Answer], theirs: Sequence[Answer]) -> str:
    """The page on a candidate and a champion with these answers to `TEXTS`."""
    task = task_of(loop.task)
    ids = [f"r{number}" for number in range(len(TEXTS))]
    rows = pa.table({"row_id": ids, "text": TEXTS, task.target: truths})
    judged = [
        Judged(
            Contender(name, name[0] * 64, f"models/{name}", version),
            cast("ArtifactDescription", None),
            tuple(answers),
            task.outcomes(answers, task.truths(rows)),
            "a" * 64,
            1.0,
        )
        for name, version, answers in (("finetune", None, ours), ("champion", "v3", theirs))
    ]
    found = [
        model(
            each.contender.name,
            {metric.name: metric.compute(each.outcomes) for metric in metrics_of(task.kind)},
            each.contender.digest,
            version=each.contender.version,
            tables=task.tables(each.outcomes),
        )
        for each in judged
    ]
    wrong, mistakes = worst_mistakes(judged[0], rows, task, 20)
    told = evidence(
        found[0],
        champion=found[1],
        task=task.kind,
        metric=loop.metric.name,
        rows=len(TEXTS),
        comparisons=compare_all(judged[0], judged, rows, task, loop.metric),
        wrong=wrong,
        mistakes=mistakes,
        examples=examples_of(judged[0], rows, task, found[0].tables),
        error=task.error,
    )
    return render(Report(told, loop, card_of(task, task.truths(rows))))


def several() -> str:
    def answer(*labels: str) -> Answer:
        return Labels(labels=list(labels), scores={name: float(name in labels) for name in "abc"})

    loop = loop_of("multi_label", "tags", label="tags", labels=["a", "b", "c"], separator=";")
    return page_of(loop, ["a;b", "a", None, "c", "b", "a"], [answer("a")] * 6, [answer("b")] * 6)


def stretched() -> str:
    def answer(label: str) -> Answer:
        return Entities(entities=[Entity(text="Ann", label=label, start=0, end=3, score=0.9)])

    loop = loop_of("token_classification", "tags", tags="tags", labels=["person", "place"])
    tags = ["B-person O B-place" + " O" * number for number in range(len(TEXTS))]
    return page_of(loop, tags, [answer("person")] * 6, [answer("place")] * 6)


def written() -> str:
    def answer(text: str) -> Answer:
        return Generated(text=text, tokens=3, finished=True)

    loop = loop_of("seq2seq", "line", answer="line")
    return page_of(loop, ["a cat <b> & so on " * 9] * 6, [answer("a cat")] * 6, [answer("dogs " * 300)] * 6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (several, ["Labels", "wrong labels", "F1, champion v3"]),
        (stretched, ["Kinds", "stretches", "F1, champion v3", "place at 8-12"]),
        (written, ["Lengths", "ROUGE-L, champion v3", "answer a cat"]),
    ],
    ids=["multi_label", "token_classification", "seq2seq"],
)
def test_every_task_has_a_page_that_is_well_formed_and_says_its_own_words(
    make: Any, words: list[str]
) -> None:
    page = make()
    tags = Tags(page)
    assert tags.open == []
    assert tags.loads == []
    assert page.count("<script") == 1
    assert len(page.encode()) < 60_000
    for word in [*words, "Beside the champion v3", "Worst mistakes", "What these numbers mean"]:
        assert word in tags.text
    assert "most frequent" not in page
