"""The report page: complete, offline, and safe with any text, for each kind of task."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pytest

from lakeloop.datasets.assemble import assemble
from lakeloop.datasets.freeze import describe
from lakeloop.evaluation.confused import examples_of
from lakeloop.evaluation.judge import Judged
from lakeloop.evaluation.mistakes import excerpt, worst_mistakes
from lakeloop.evaluation.paired import compare_all
from lakeloop.evaluation.probes.registry import look_at
from lakeloop.evaluation.report import Report, render
from lakeloop.evaluation.scatter import MARGIN, SIDE, Scatter
from lakeloop.evidence import Evidence, Mistake
from lakeloop.inference.occlusion import Part
from lakeloop.lake.tables import mart_schema
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.split import Split
from lakeloop.tasks.base import Grid
from lakeloop.tasks.registry import task_of
from tests.support.evidence import evidence, model
from tests.support.html import Tags
from tests.support.number_loop import number_loop, number_rows
from tests.support.small_loop import mart_rows, small_loop
from tests.unit.evaluation.conftest import NUMBERS, ROWS

DAY = "2026-11-16"


def report_of(models: Sequence[Judged], rows: pa.Table, loop: LoopSpec) -> Report:
    """The report on `models`, of which the first leads and the last is champion."""
    task = task_of(loop.task)
    found = [look_at(each, rows, task) for each in models]
    wrong, mistakes = worst_mistakes(models[0], rows, task, 20)
    mart = pa.Table.from_pylist(
        (mart_rows if task.kind == "classification" else number_rows)(DAY, 60), mart_schema(loop)
    )
    return Report(
        evidence(
            *found[:-1],
            champion=found[-1],
            task=task.kind,
            rows=rows.num_rows,
            wrong=wrong,
            mistakes=mistakes,
            explained_by=models[0].explained_by,
            error=task.error,
            comparisons=compare_all(models[0], models, rows, task, loop.metric),
            examples=examples_of(models[0], rows, task, found[0].tables),
        ),
        loop,
        describe(assemble(mart, Split(), loop.task.roles()), loop.task, {DAY: "a" * 64}),
    )


@pytest.fixture
def report(models: list[Judged]) -> Report:
    return report_of(models, ROWS, small_loop())


@pytest.fixture
def number_report(number_models: list[Judged]) -> Report:
    return report_of(number_models, NUMBERS, number_loop())


def test_a_text_of_a_row_is_no_markup(report: Report) -> None:
    hostile = "<script>alert('tech')</script>"
    mistake = Mistake(row_id="<r>", text=hostile, expected="<b>a", answered='" onload="', error=1.0)
    found = report.evidence.model_copy(update={"mistakes": (mistake,)})
    page = render(replace(report, evidence=found))
    assert page.count("<script") == 1
    assert Tags(page).open == []
    assert hostile in Tags(page).text


@pytest.mark.parametrize("name", ["report", "number_report"])
def test_the_page_is_well_formed_and_loads_nothing(name: str, request: pytest.FixtureRequest) -> None:
    page = render(request.getfixturevalue(name))
    tags = Tags(page)
    assert tags.open == []
    assert tags.loads == []
    assert not re.search(r"https?:|@import|url\(|fetch|XMLHttp", page)
    assert page.count("<script") == 1, "the one that sorts; a text of a row is no markup"


def test_the_page_says_what_a_person_needs(report: Report) -> None:
    text = Tags(render(report)).text
    assert "The best candidate is the baseline (keywords) with macro F1 0.7778 on 4 test rows" in text
    assert "better than the champion v3." in text
    assert "The gate refuses it: 2 of 5 checks fail (minimum score, reason to replace)." in text
    assert "at most 0.0100 worse than the champion, and than the best version of the loop's history" in text
    assert "The wrong answer of the candidate baseline with the largest error" in text
    assert re.search(r"right answer tech \(16\.\d%\) , answer sports \(80\.\d%\) · error 0\.80\d", text)
    for name, count in report.card.rows.items():
        assert f"{name}, {count} rows" in text
    for heading in (
        "Labels",
        "Confusion",
        "F1, baseline",
        "F1, finetune",
        "F1, champion v3",
        "another label",
        "Beside the champion v3",
        "What the gate asks",
    ):
        assert heading in text


def test_what_matters_most_stands_first(report: Report) -> None:
    page = render(report)
    order = [
        "Side by side</h2>",
        "Worst mistakes</h2>",
        "Beside the champion v3</h2>",
        "What the gate asks</h2>",
    ]
    places = [page.index(heading) for heading in [*order, "Labels</h2>", "Confusion</h2>", "Data set</h2>"]]
    assert places == sorted(places)


def test_each_score_is_told_with_what_it_means(report: Report) -> None:
    told = dict(report.meanings)
    assert told["macro F1"].startswith("Mean F1 over the classes")
    assert told["macro F1"].endswith("More is better.")
    assert told["log loss"].endswith("Less is better.")
    assert told["size, MB"] == "Size of the artifact on disk. Less is better."
    assert set(told) == {line.title.removesuffix(" (decides)") for line in report.lines} - {
        "macro F1 on validation rows"
    }


def test_a_page_on_numbers_has_a_scatter_and_residuals_and_says_that_less_is_better(
    number_report: Report,
) -> None:
    tags = Tags(render(number_report))
    assert "with mean absolute error 0.0625 on 12 test rows: 0.8750 better than the champion v3." in tags.text
    assert "at most 1 % worse than the champion, and than" in tags.text
    # Of the leader, and of the champion; the interval of the one beside the other.
    assert tags.all.count("svg") == 3
    assert tags.all.count("circle") == 2 * NUMBERS.num_rows + 1
    assert "mean absolute error, champion v3" in tags.text
    assert (
        "The 2 of 2 inexact answers of the candidate baseline with the largest error (absolute error)"
        in tags.text
    )
    assert re.search(r"deviation( [0-9.]+){3}", tags.text)


def test_of_scores_side_by_side_the_best_is_marked_in_its_direction() -> None:
    scores = {"mae": (0.5, 0.4), "r2": (0.1, 0.2)}
    models = [
        model(name, {metric: values[number] for metric, values in scores.items()})
        for number, name in enumerate(("baseline", "finetune"))
    ]
    report = Report.__new__(Report)
    object.__setattr__(report, "evidence", evidence(*models, task="regression"))
    object.__setattr__(report, "loop", number_loop())
    marked = {line.title: [best for _, best, _ in line.cells] for line in report.lines}
    assert marked["mean absolute error (decides)"] == [False, True]
    assert marked["R²"] == [False, True]
    assert marked["mean absolute error on validation rows"] == [False, False]


def test_scores_have_their_intervals_and_what_is_left_out_says_why(report: Report) -> None:
    text = Tags(render(report)).text
    low, high = report.leader.intervals["accuracy"]
    assert f"accuracy 0.7500 [{low:.4f}, {high:.4f}]" in text
    silent = {"left_out": {"roc_auc": "all rows have one right answer"}}
    silent |= {"scores": {n: s for n, s in report.leader.scores.items() if n != "roc_auc"}}
    models = [model.model_copy(update=silent) for model in report.evidence.candidates]
    fewer = report.evidence.model_copy(update={"candidates": models, "champion": None, "comparisons": ()})
    assert "ROC AUC all rows have one right answer" in Tags(render(replace(report, evidence=fewer))).text


def test_a_first_evaluation_has_no_champion_and_may_have_no_mistakes(report: Report) -> None:
    first: Evidence = report.evidence.model_copy(
        update={"champion": None, "mistakes": (), "wrong": 0, "comparisons": ()}
    )
    page = render(replace(report, evidence=first))
    assert "Beside" not in page
    assert "There was no champion to compare with." in page
    assert "answered every test row right" in page


def test_the_page_of_an_older_evidence_says_what_that_has(report: Report) -> None:
    old = report.evidence.model_dump(exclude={"comparisons", "best", "untested", "leaked", "examples"})
    page = render(replace(report, evidence=Evidence.model_validate(old)))
    assert "The wrong answer of the candidate baseline" in page
    assert "Beside the" not in page


def test_the_page_names_answers_without_test_rows_and_a_leak(report: Report) -> None:
    found = report.evidence.model_copy(update={"untested": tuple("abcdefghijklmnopqrstuvw"), "leaked": 2})
    text = Tags(render(replace(report, evidence=found))).text
    assert "without a test row, so that nothing is known of them: a, b, c" in text
    assert "t and 3 more." in text
    assert "2 of the test rows are among the rows of the training" in text


def test_a_page_without_texts_has_none_and_the_same_numbers(report: Report) -> None:
    page = render(report, texts=False)
    assert "alert" not in page
    assert (
        "1 of 4 test rows is answered wrong by the candidate baseline. Their texts stay in the lake." in page
    )
    assert "0.7778" in page


def test_the_page_says_which_test_rows_were_left_out(report: Report) -> None:
    assert "Of the test rows" not in render(report)
    noted = report.evidence.model_copy(update={"note": "3 of 12 test rows were left out"})
    assert "Of the test rows: 3 of 12 test rows were left out." in render(replace(report, evidence=noted))


def test_a_small_matrix_stays_a_matrix(report: Report) -> None:
    page = render(report)
    assert 'class="heat"' in page
    assert "most frequent" not in page


@pytest.mark.parametrize("values", [[(1.0, 1.0)], [(-1e-6, 1e-6)], [(0.0, 1e9), (5e8, 2.0)], []])
def test_every_dot_and_tick_lies_on_the_plot(values: list[tuple[float, float]]) -> None:
    plot = Scatter.of(Grid(title="", columns=("truth", "answer"), rows=tuple(values), kind="scatter"))
    assert all(MARGIN <= x <= MARGIN + SIDE and 0 <= y <= SIDE for x, y in plot.dots)
    ticks = list(plot.ticks)
    assert 2 <= len(ticks) <= 11
    assert len({text for _, text in ticks}) == len(ticks)
    assert all(0 <= plot.y(value) <= SIDE for value, _ in ticks)


def test_a_page_without_texts_has_no_table_of_values_of_rows_and_a_mistake_has_its_words(
    models: list[Judged],
) -> None:
    confused = models[1]
    explained = {3: (Part("sports<b>", 0.41), Part("tech", -0.02))}
    page_of = report_of([replace(confused, explained=explained), models[0]], ROWS, small_loop())
    shown, shared = render(page_of), render(page_of, texts=False)
    assert "<b><bdi>sports&lt;b&gt;</bdi></b>" in shown
    assert "The answer hangs on" in shown
    assert "when the word is left out" in shown
    by = replace(confused, explained=explained, explained_by="integrated_gradients")
    assert "by integrated gradients" in render(report_of([by, models[0]], ROWS, small_loop()))
    assert "Doubtful answers</h2>" in shown
    for title in ("Doubtful answers", "Worst slices", "Words"):
        assert f"{title}</h2>" not in shared
    assert "The answer hangs on" not in shared
    assert "Calibration</h2>" in shared
    places = [int(number) for number in re.findall(r'id="grid-(\d+)"', shared)]
    assert places == list(range(1, len(places) + 1))


def test_a_scatter_of_one_large_number_has_room_around_it() -> None:
    plot = Scatter.of(Grid(title="t", kind="scatter", columns=("truth", "answer"), rows=((1e17, 1e17),)))
    assert list(plot.dots) == [(MARGIN + SIDE / 2, SIDE / 2)]
    assert len(list(plot.ticks)) > 2


def test_a_text_with_characters_that_no_page_may_have_or_that_turn_it_round(report: Report) -> None:
    hostile = "a\x00b\x08c \x1b[31m\x9f \u202egnp.exe " + "אב" * 200 + "x" * 100_000
    mistake = Mistake(row_id="r", text=excerpt(hostile), expected="\u202ea", answered="\x00", error=1.0)
    page = render(replace(report, evidence=report.evidence.model_copy(update={"mistakes": (mistake,)})))
    assert not re.search(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]", page)
    assert '<blockquote dir="auto">a\ufffdb\ufffdc' in page
    assert "<bdi>\u202ea</bdi>" in page, "what turns the writing round ends where the answer ends"
    assert Tags(page).open == []


def test_of_a_number_no_answer_is_called_wrong(number_report: Report) -> None:
    page = render(number_report, texts=False)
    assert "test rows are answered not exactly by the" in page
    assert "answered wrong" not in page
    assert "wrong answers" not in render(number_report)
