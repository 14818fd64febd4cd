"""The figures of a search in the report: complete, drawn without a library, and legible in light and dark."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from lakeloop.evaluation.judge import Judged
from lakeloop.evaluation.report import render
from lakeloop.evaluation.searches import HEIGHT, WIDTH, Axis, SearchFigures
from lakeloop.search.found import Bar, Kept, SearchFound, TrialFound
from tests.support.small_loop import small_loop
from tests.unit.evaluation.conftest import ROWS
from tests.unit.evaluation.test_report import report_of


def trial(number: int, state: Any, score: float | None, rate: float, method: str) -> TrialFound:
    values = {"learning_rate": rate, "method.<b>": method}
    return TrialFound(number=number, state=state, score=score, values=values)


def search_of(*trials: TrialFound, **changes: Any) -> SearchFound:
    content: dict[str, Any] = {
        "candidate": "finetune",
        "metric": "macro_f1",
        "higher_is_better": True,
        "sampler": "tpe",
        "asked": 10,
        "trials": trials,
        "kept": (Kept(name="finetune", trial=2, digest="a" * 64, artifact="candidates/a"),),
        "importance": {"learning_rate": 0.75, "method.<b>": 0.25},
        "bar": Bar(name="baseline", score=0.7),
        "ended": "the baseline is out of reach",
    }
    return SearchFound(**{**content, **changes})


FOUND = search_of(
    trial(0, "complete", 0.5, 1e-5, "a"),
    trial(1, "pruned", 0.3, 1e-1, "b"),
    trial(2, "complete", 0.8, 1e-3, "b"),
    trial(3, "failed", None, 1e-2, "a"),
    trial(4, "complete", 0.6, 1e-4, "a"),
)


@pytest.fixture
def page(models: list[Judged]) -> str:
    return render(replace(report_of(models, ROWS, small_loop()), searches=(FOUND,)))


def test_the_report_shows_history_importance_and_values(page: str) -> None:
    for words in ("Search of finetune", "History", "What decides the score", "Values and scores"):
        assert words in page
    assert page.count("<svg") >= 3
    assert "the baseline is out of reach" in page
    assert "All 5 trials" in page


def test_the_figures_bring_no_style_attribute_and_no_markup_of_a_user(page: str) -> None:
    part = page[page.index("Search of finetune") : page.index("Worst mistakes")]
    assert " style=" not in part
    assert "<script" not in part
    assert "<b>" not in part
    assert not re.search(r"(fill|stroke)=\"(?!none)", part), (
        "colours are those of the page, for light and dark"
    )


def test_every_trial_with_a_score_is_a_dot_and_the_best_so_far_never_falls() -> None:
    figures = SearchFigures(FOUND)
    assert [state for *_, state, _ in figures.dots] == ["complete", "pruned", "complete", "complete"]
    heights = [float(point.split(",")[1]) for point in figures.best_so_far.split()]
    assert heights == sorted(heights, reverse=True), "up is better"
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y, *_ in figures.dots)


def test_a_line_goes_through_each_axis_and_those_that_are_kept_lie_above() -> None:
    figures = SearchFigures(FOUND)
    assert [axis.name for _, axis in figures.axes] == ["learning_rate", "method.<b>", "macro_f1"]
    assert [kind for _, kind, _ in figures.lines] == ["other", "other", "kept"]
    assert all(len(points.split()) == 3 for points, *_ in figures.lines)


def test_values_of_several_magnitudes_are_apart_as_their_logarithms_are() -> None:
    axis = Axis("learning_rate", (1e-5, 1e-3, 1e-1))
    low, middle, high = (axis.y(value) for value in axis.values)
    assert middle == pytest.approx((low + high) / 2)
    names = Axis("kind", (True, False, True))
    assert {text for _, text in names.ticks} == {"True", "False"}


@pytest.mark.parametrize(
    "found",
    [search_of(trial(0, "failed", None, 0.1, "a")), search_of(trial(0, "complete", 0.5, 0.1, "a"), bar=None)],
    ids=["no score", "one trial"],
)
def test_a_search_of_little_is_drawn_as_far_as_it_goes(models: list[Judged], found: SearchFound) -> None:
    little = found.model_copy(update={"importance": {}})
    page = render(replace(report_of(models, ROWS, small_loop()), searches=(little,)))
    assert "All 1 trials" in page
