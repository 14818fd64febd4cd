"""Two models row by row: what changes, and for which part of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pytest

from lakeloop.evaluation.judge import Contender, Judged
from lakeloop.evaluation.paired import compare_all
from lakeloop.evaluation.slices import FEWEST_ROWS, slices_of
from lakeloop.evidence import Comparison
from lakeloop.measures.registry import metric_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.tasks.base import Answer
from lakeloop.tasks.classification import Label
from lakeloop.tasks.registry import task_of
from lakeloop.tasks.regression import Value
from tests.support.small_loop import LABELS, small_loop

if TYPE_CHECKING:
    from lakeloop.artifact import ArtifactDescription

ROWS = 90
TEXTS = [f"row {'x' * (n // 3)}" for n in range(ROWS)]
TRUTH = [LABELS[n % len(LABELS)] for n in range(ROWS)]


def table(**columns: Sequence[Any]) -> pa.Table:
    return pa.table({"text": TEXTS, "label": TRUTH, **columns})


def judged(name: str, answers: Sequence[Answer], rows: pa.Table, loop: LoopSpec, version: str = "") -> Judged:
    task = task_of(loop.task)
    contender = Contender(name, f"{name:0<64}", f"models/{name}", version or None)
    description = cast("ArtifactDescription", None)
    outcomes = task.outcomes(answers, task.truths(rows))
    return Judged(contender, description, tuple(answers), outcomes, "a" * 64, 1.0)


def labels(wrong: Mapping[int, float]) -> list[Label]:
    """The right answers, but for the rows `wrong`, each with how sure the model was."""
    found = []
    for number, truth in enumerate(TRUTH):
        label = LABELS[(LABELS.index(truth) + 1) % len(LABELS)] if number in wrong else truth
        score = wrong.get(number, 0.9)
        rest = (1 - score) / (len(LABELS) - 1)
        found.append(Label(label=label, score=score, scores=dict.fromkeys(LABELS, rest) | {label: score}))
    return found


def compared(metric: str, ours: Sequence[Answer], theirs: Sequence[Answer], **columns: Any) -> Comparison:
    loop, rows = small_loop(), table(**columns)
    models = [judged("finetune", ours, rows, loop), judged("champion", theirs, rows, loop, "v3")]
    (found,) = compare_all(models[0], models, rows, task_of(loop.task), metric_of("classification", metric))
    return found


def test_of_right_and_wrong_answers_it_does_not_count_how_sure_a_wrong_one_was() -> None:
    found = compared("accuracy", labels({0: 0.5, 1: 0.5}), labels({0: 0.9, 1: 0.4, 2: 0.5, 3: 0.5}))
    assert (found.gained, found.lost, found.test) == (2, 0, "exact McNemar")
    assert found.advantage == pytest.approx(2 / ROWS)
    assert (found.candidate, found.other, found.rows) == ("finetune", "champion", ROWS)


def test_of_other_metrics_rows_are_drawn_anew() -> None:
    found = compared("macro_f1", labels({0: 0.5}), labels(dict.fromkeys(range(20), 0.5)))
    assert found.test == "paired bootstrap"
    assert found.low > 0
    assert found.p_better < 0.01


def test_a_slice_that_pays_for_the_gain_of_the_others_comes_first() -> None:
    first = LABELS[0]
    of_first = [n for n in range(ROWS) if TRUTH[n] == first]
    of_others = [n for n in range(ROWS) if TRUTH[n] != first]
    found = compared(
        "accuracy", labels(dict.fromkeys(of_first[:15], 0.5)), labels(dict.fromkeys(of_others[:25], 0.5))
    )
    assert found.advantage > 0
    worst = found.slices[0]
    assert (worst.name, worst.gained, worst.lost) == (f"answer {first}", 0, 15)
    assert worst.p_worse < 0.01
    assert worst.loss == pytest.approx(15 / worst.rows)


def test_candidates_are_compared_with_registered_versions_alone() -> None:
    loop, rows = small_loop(), table()
    task, metric = task_of(loop.task), metric_of("classification")
    models = [judged(name, labels({}), rows, loop) for name in ("baseline", "finetune")]
    assert compare_all(models[0], models, rows, task, metric) == ()
    more = [
        *models,
        *(judged(n, labels({}), rows, loop, v) for n, v in (("champion", "v3"), ("best-version", "v1"))),
    ]
    found = compare_all(models[0], more, rows, task, metric)
    assert [each.other for each in found] == ["champion", "best-version"]
    assert [(each.candidates, each.chance) for each in found] == [(2, 1.0)] * 2


def test_a_comparison_from_before_candidates_were_counted_is_that_of_one() -> None:
    found = compared("accuracy", labels({}), labels({0: 0.5}))
    assert "candidates" not in found.model_dump_json()
    assert found.candidates == 1
    assert found.chance == found.p_better


def test_slices_are_answers_columns_and_lengths_with_enough_rows() -> None:
    loop = small_loop(
        source={
            "kind": "files",
            "path": "drops/{partition}.jsonl",
            "key": "id",
            "columns": {
                "id": "string",
                "text": "string",
                "label": "string",
                "shop": "string",
                "age": "number",
            },
        },
        task={
            "kind": "classification",
            "text": "text",
            "label": "label",
            "labels": list(LABELS),
            "categorical": ["shop"],
            "numeric": ["age"],
        },
    )
    task = task_of(loop.task)
    columns = {feature.name: feature.column for feature in loop.task.features}
    shops: list[str | None] = ["north"] * 60 + ["south"] * 25 + ["rare"] * 4 + [None]
    ages: list[float | None] = [None, *map(float, range(ROWS - 1))]
    rows = table(**{columns["shop"]: shops, columns["age"]: ages})
    names = [each.name for each in slices_of(rows, task)]
    assert [*(f"answer {label}" for label in sorted(LABELS))] == names[: len(LABELS)]
    assert names[len(LABELS) :] == [
        *("age low", "age middle", "age high", "shop north", "shop south"),
        *("length short", "length middle", "length long"),
    ]
    assert all(each.within.sum() >= FEWEST_ROWS for each in slices_of(rows, task))


def test_texts_of_one_length_are_no_slice() -> None:
    rows = pa.table({"text": ["abc"] * ROWS, "label": TRUTH})
    assert all(each.name.startswith("answer") for each in slices_of(rows, task_of(small_loop().task)))


def test_of_numbers_the_nearer_answer_is_the_better_one() -> None:
    loop = small_loop(
        source={
            "kind": "files",
            "path": "drops/{partition}.jsonl",
            "key": "id",
            "columns": {"id": "string", "text": "string", "stars": "number"},
        },
        task={"kind": "regression", "text": "text", "value": "stars"},
        gate={},
    )
    task = task_of(loop.task)
    rows = pa.table({"text": TEXTS, task.target: [float(n) for n in range(ROWS)]})
    near, far = ([Value(value=n + off) for n in range(ROWS)] for off in (0.5, -2.0))
    models = [judged("finetune", near, rows, loop), judged("champion", far, rows, loop, "v1")]
    (found,) = compare_all(models[0], models, rows, task, metric_of("regression"))
    assert (found.gained, found.lost) == (ROWS, 0)
    assert found.advantage == pytest.approx(1.5)
