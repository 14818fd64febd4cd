"""One model on the rows: what it answers, which rows were hardest, and what the probes find."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lakeloop.errors import ArtifactError, DataError
from lakeloop.evaluation.judge import Contender, Judged, answer_rows, judge
from lakeloop.evaluation.mistakes import EXCERPT_CHARACTERS, excerpt, worst_mistakes
from lakeloop.evaluation.probes.overall import require_decisive
from lakeloop.evaluation.probes.registry import PROBES, look_at, titles_of
from lakeloop.lake.digest import content_digest
from lakeloop.measures.registry import METRICS, NEEDED, metric_of, metrics_of
from lakeloop.tasks.registry import task_of
from tests.support.artifacts import make_artifact, make_number_artifact
from tests.support.number_loop import WORDS, number_loop
from tests.support.small_loop import LABELS, small_loop
from tests.unit.evaluation.conftest import NUMBERS, ROWS

TASK, NUMBER_TASK = task_of(small_loop().task), task_of(number_loop().task)


def test_the_answers_are_those_of_the_artifact(models: list[Judged]) -> None:
    assert [TASK.shown(answer).split()[0] for answer in models[0].answers] == [
        "business", "sports", "tech", "sports",
    ]  # fmt: skip
    found = [look_at(model, ROWS, TASK) for model in models]
    assert [model.scores["accuracy"] for model in found] == [0.75, 0.5, 0.25]
    assert found[2].title == "champion v3"
    assert {model.rows_digest for model in found} == {content_digest(ROWS)}


def test_numbers_are_judged_by_their_errors(number_models: list[Judged]) -> None:
    good, over = (look_at(model, NUMBERS, NUMBER_TASK) for model in number_models)
    assert good.scores["mae"] == pytest.approx(0.75 / 12)
    assert over.scores["mae"] == pytest.approx((10 * 1 + 0.75 + 0.5) / 12)
    assert [grid.title for grid in good.tables] == ["Truth and answer", "Residuals by slice", "Changed texts"]


def test_another_artifact_than_the_trained_one_is_refused(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "model", LABELS)
    with pytest.raises(ArtifactError, match="not the artifact that is meant"):
        judge(Contender("baseline", "0" * 64, "candidates/x"), artifact.folder, ROWS, TASK, threads=1)


def test_a_model_for_another_kind_of_task_is_refused(tmp_path: Path) -> None:
    artifact = make_number_artifact(tmp_path / "model", WORDS)
    with pytest.raises(ArtifactError, match="another kind of task"):
        judge(Contender("champion", artifact.digest, "models/v1"), artifact.folder, ROWS, TASK, threads=1)


def test_mistakes_come_surest_first(models: list[Judged]) -> None:
    wrong, mistakes = worst_mistakes(models[2], ROWS, TASK, 20)
    assert wrong == 3
    assert {mistake.row_id for mistake in mistakes} == {"r2", "r3", "r4"}
    assert [m.error for m in mistakes] == sorted((m.error for m in mistakes), reverse=True)
    assert mistakes[0].expected.endswith("(0.0%)")
    wrong, mistakes = worst_mistakes(models[2], ROWS, TASK, 1)
    assert (wrong, len(mistakes)) == (3, 1)


def test_of_numbers_the_farthest_come_first(number_models: list[Judged]) -> None:
    wrong, mistakes = worst_mistakes(number_models[0], NUMBERS, NUMBER_TASK, 20)
    assert wrong == 2
    assert [(m.row_id, m.expected, m.answered, m.error) for m in mistakes] == [
        ("n6", "1.5", "1", 0.5),
        ("n3", "0.25", "0", 0.25),
    ]


def test_every_answer_becomes_a_row_of_the_lake(models: list[Judged], number_models: list[Judged]) -> None:
    rows = answer_rows(models, ROWS, TASK)
    assert rows.num_rows == 3 * ROWS.num_rows
    assert set(rows["candidate"].to_pylist()) == {"baseline", "finetune", "champion"}
    assert [json.loads(text) for text in rows["expected"].to_pylist()[:4]] == ROWS["label"].to_pylist()
    answer = json.loads(rows["answer"][0].as_py())
    assert (answer["label"], set(answer["scores"])) == ("business", set(LABELS))
    numbers = answer_rows(number_models, NUMBERS, NUMBER_TASK)
    assert json.loads(numbers["answer"][0].as_py()) == {"value": 1.0}


def test_no_score_is_invented_where_there_are_no_rows_or_no_numbers(models: list[Judged]) -> None:
    with pytest.raises(DataError, match="no score can be computed"):
        look_at(models[0], ROWS.slice(0, 0), TASK)
    outputs = np.full_like(models[0].outcomes.outputs, np.nan)
    broken = replace(models[0], outcomes=replace(models[0].outcomes, outputs=outputs))
    with pytest.raises(DataError, match="log_loss nan"):
        look_at(broken, ROWS, TASK)


def test_a_score_that_the_rows_cannot_give_is_left_out_and_cannot_decide(number_models: list[Judged]) -> None:
    flat = NUMBERS.set_column(2, "target", [[1.0] * NUMBERS.num_rows])
    truth = np.ones(NUMBERS.num_rows)
    model = replace(number_models[0], outcomes=replace(number_models[0].outcomes, truth=truth))
    found = look_at(model, flat, NUMBER_TASK)
    assert set(found.left_out) == {"r2", "spearman"}
    assert {"mae", "rmse"} < set(found.scores)
    assert set(found.left_out) & {*found.scores, *found.intervals} == set()
    require_decisive([found], metric_of("regression", "mae"))
    with pytest.raises(DataError, match=r"(?s)give no R², .*all rows have one right value"):
        require_decisive([found], metric_of("regression", "r2"))


def test_a_score_lies_in_its_interval_and_speed_has_none(models: list[Judged]) -> None:
    found = look_at(models[0], ROWS, TASK)
    drawn = {metric.name for metric in metrics_of("classification")}
    assert set(found.intervals) == drawn | {"invariance"}
    for name, (low, high) in found.intervals.items():
        assert low <= found.scores[name] <= high


@pytest.mark.parametrize("kind", METRICS)
def test_every_score_has_one_probe_and_a_title(kind: str) -> None:
    titles = [name for probe in PROBES for name in probe.titles(kind)]
    assert len(set(titles)) == len(titles)
    assert {metric.name for metric in metrics_of(kind)} < set(titles_of(kind))


def test_what_is_found_has_titles(models: list[Judged]) -> None:
    asked_for = set(NEEDED)  # by keys that this loop does not have
    assert set(look_at(models[0], ROWS, TASK).scores) == set(titles_of("classification")) - asked_for


def test_long_texts_are_cut_at_a_space() -> None:
    cut = excerpt("word " * 200)
    assert cut.endswith("word …")
    assert len(cut) <= EXCERPT_CHARACTERS + 2
    assert excerpt("short\n  text") == "short text"
