"""The report page of many classes, models, days and trials: small, the worst first."""

from __future__ import annotations

from typing import Any

import pytest

from lakeloop.evaluation.report import Report, render
from lakeloop.evidence import ModelEvidence
from lakeloop.search.found import SearchFound, TrialFound
from lakeloop.tasks.base import Grid
from lakeloop.tasks.registry import task_of
from tests.support.evidence import card_of, of_many_classes
from tests.support.html import Tags
from tests.support.small_loop import small_loop

MANY = of_many_classes(150)
"""150 classes, five models, 3000 rows."""


@pytest.fixture
def many() -> Report:
    names = tuple(str(row[0]) for row in MANY.candidates[0].tables[1].rows)
    loop = small_loop(task={"text": "text", "label": "label", "labels": names})
    trials = tuple(
        TrialFound(number=n, state="complete", score=n / 1000, values={"learning_rate": 1e-5 * (n + 1)})
        for n in range(1000)
    )
    search = SearchFound(
        candidate="finetune",
        metric="macro_f1",
        higher_is_better=True,
        sampler="tpe",
        asked=1000,
        trials=trials,
    )
    return Report(MANY, loop, card_of(task_of(loop.task), names * 20, days=1000), (search,))


def test_a_page_for_150_classes_five_models_1000_days_and_1000_trials_is_below_half_a_megabyte(
    many: Report,
) -> None:
    page = render(many)
    assert len(page.encode()) <= 500_000
    assert Tags(page).open == []
    for words in (
        "The 30 most frequent of 256 pairs",
        "Of 150 slices of the test rows 49 are lost. The 50 with the largest losses are shown.",
        "The newest 60.",
        "The 100 best are shown",
    ):
        assert words in page


def test_the_worst_classes_stand_first_and_other_models_beside_them(many: Report) -> None:
    labels, confusion = many.sections
    assert labels.grid.columns[-4:] == (
        "F1, lora", "F1, baseline", "F1, champion v12", "F1, best version v9",
    )  # fmt: skip
    at = labels.grid.columns.index("F1, finetune")
    of_leader = [float(str(row[at])) for row in labels.grid.rows]
    assert of_leader == sorted(of_leader)
    assert len(of_leader) == 150
    assert (labels.others, confusion.others) == ((), ()), "no table is there twice"
    assert confusion.confusions is not None


def test_labels_of_a_thousand_characters_do_not_make_the_page_larger_than_half_a_megabyte() -> None:
    end = "y" * 970

    def longer(value: Any) -> Any:
        return value + end if isinstance(value, str) and value.startswith("class ") else value

    def long(each: ModelEvidence) -> ModelEvidence:
        grids = [
            grid.model_copy(
                update={
                    "rows": tuple(tuple(map(longer, row)) for row in grid.rows),
                    "columns": tuple(map(longer, grid.columns)),
                }
            )
            for grid in each.tables
        ]
        rows = tuple((longer(f"class {n:03d}"), 300, "printer, invoice, network, reset") for n in range(150))
        words = Grid(title="Words", columns=("answer", "rows", "words that go with it"), rows=rows)
        return each.model_copy(update={"tables": (*grids, words)})

    assert MANY.champion
    assert MANY.best
    found = MANY.model_copy(
        update={
            "candidates": tuple(map(long, MANY.candidates)),
            "champion": long(MANY.champion),
            "best": long(MANY.best),
        }
    )
    names = tuple(str(row[0]) for row in found.candidates[0].tables[1].rows)
    loop = small_loop(task={"text": "text", "label": "label", "labels": names})
    page = render(Report(found, loop, card_of(task_of(loop.task), names * 20, days=1000)))
    assert len(page.encode()) <= 500_000
