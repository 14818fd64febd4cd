"""The report page: complete, offline, and safe with any text, for each kind of task."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from lakeloop.datasets.assemble import assemble
from lakeloop.datasets.freeze import describe
from lakeloop.evaluation.judge import Judged
from lakeloop.evaluation.mistakes import worst_mistakes
from lakeloop.evaluation.probes.registry import look_at
from lakeloop.evaluation.report import Report, render, side_by_side
from lakeloop.evaluation.scatter import MARGIN, SIDE, Scatter
from lakeloop.evidence import Evidence
from lakeloop.lake.tables import mart_schema
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.split import Split
from lakeloop.tasks.base import Grid
from lakeloop.tasks.registry import task_of
from tests.support.evidence import evidence, model
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
            error=task.error,
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


class Tags(HTMLParser):
    """Tags that are open when the page ends, and what it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.all: list[str] = []
        self.loads: list[str] = []
        self.parts: list[str] = []
        self.feed(page)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {value}" for name, value in attrs if name in ("src", "href")]
        self.all.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


@pytest.mark.parametrize("name", ["report", "number_report"])
def test_the_page_is_well_formed_and_loads_nothing(name: str, request: pytest.FixtureRequest) -> None:
    page = render(request.getfixturevalue(name))
    tags = Tags(page)
    assert tags.open == []
    assert tags.loads == []
    assert not re.search(r"https?:|@import|url\(|<script", page)


def test_the_page_says_what_a_person_needs(report: Report) -> None:
    text = Tags(render(report)).text
    assert "The best candidate is the baseline (keywords) with macro F1 0.7778 on 4 test rows" in text
    assert "better than the champion v3." in text
    assert "macro F1 at least 0.8000, and at most 0.0100 worse than the champion" in text
    assert "The 1 of 1 wrong answers of the baseline" in text
    assert re.search(r"tech \(16\.\d%\) sports \(80\.\d%\) 0\.80\d", text)
    for name, count in report.card.rows.items():
        assert f"{name}, {count} rows" in text
    for heading in (
        "Labels",
        "Confusion",
        "F1, baseline",
        "F1, finetune",
        "F1, champion v3",
        "another label",
    ):
        assert heading in text


def test_a_page_on_numbers_has_a_scatter_and_residuals_and_says_that_less_is_better(
    number_report: Report,
) -> None:
    tags = Tags(render(number_report))
    assert "with mean absolute error 0.0625 on 12 test rows: 0.8750 better than the champion v3." in tags.text
    assert "The gate asks for at most 1 % worse than the champion." in tags.text
    assert tags.all.count("svg") == 2  # the leader's, and the champion's
    assert tags.all.count("circle") == 2 * NUMBERS.num_rows
    assert "mean absolute error, champion v3" in tags.text
    assert "The 2 of 2 wrong answers of the baseline with the largest error (absolute error)" in tags.text
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
    fewer = report.evidence.model_copy(update={"candidates": models, "champion": None})
    assert "ROC AUC all rows have one right answer" in Tags(render(replace(report, evidence=fewer))).text


def test_a_first_evaluation_has_no_champion_and_may_have_no_mistakes(report: Report) -> None:
    first: Evidence = report.evidence.model_copy(update={"champion": None, "mistakes": ()})
    page = render(replace(report, evidence=first))
    assert "There was no champion to compare with." in page
    assert "answered every test row right" in page


def test_the_page_says_which_test_rows_were_left_out(report: Report) -> None:
    assert "Of the test rows" not in render(report)
    noted = report.evidence.model_copy(update={"note": "3 of 12 test rows were left out"})
    assert "Of the test rows: 3 of 12 test rows were left out." in render(replace(report, evidence=noted))


def grid(*rows: tuple[str, float], compared: str = "F1") -> Grid:
    return Grid(title="Labels", columns=("label", "F1"), rows=rows, compared=compared)


def test_models_are_compared_row_by_row_whatever_their_order() -> None:
    leader, other = model("baseline", {"f": 1.0}), model("finetune", {"f": 0.5})
    merged = side_by_side(grid(("a", 0.1), ("b", 0.2)), leader, [(other, grid(("b", 0.7), ("a", 0.8)))])
    assert merged.columns == ("label", "F1, baseline", "F1, finetune")
    assert merged.rows == (("a", 0.1, 0.8), ("b", 0.2, 0.7))
    twice = side_by_side(grid(("a", 0.1), ("a", 0.2)), leader, [(other, grid(("a", 0.7), ("a", 0.8)))])
    assert twice.rows == (("a", 0.1, 0.7), ("a", 0.2, 0.8))


def test_a_page_for_150_classes_stays_readable_for_a_browser(report: Report) -> None:
    """22500 cells a model: each that is empty costs a few bytes."""
    names = tuple(f"class {number}" for number in range(150))
    confusion = Grid(
        title="Confusion",
        kind="confusion",
        columns=("label", *names),
        rows=tuple((name, *(3 * (row == column) for column in range(150))) for row, name in enumerate(names)),
    )
    wide = [each.model_copy(update={"tables": (confusion,)}) for each in report.evidence.candidates]
    many = report.evidence.model_copy(update={"candidates": tuple(wide), "champion": None})
    page = render(replace(report, evidence=many))
    assert page.count('class="hit"') == 2 * 150
    assert len(page) < 1_000_000


@pytest.mark.parametrize("values", [[(1.0, 1.0)], [(-1e-6, 1e-6)], [(0.0, 1e9), (5e8, 2.0)], []])
def test_every_dot_and_tick_lies_on_the_plot(values: list[tuple[float, float]]) -> None:
    plot = Scatter.of(Grid(title="", columns=("truth", "answer"), rows=tuple(values), kind="scatter"))
    assert all(MARGIN <= x <= MARGIN + SIDE and 0 <= y <= SIDE for x, y in plot.dots)
    ticks = list(plot.ticks)
    assert 2 <= len(ticks) <= 11
    assert len({text for _, text in ticks}) == len(ticks)
    assert all(0 <= plot.y(value) <= SIDE for value, _ in ticks)
