"""Stretches of texts: from tags of words to places, from outputs back to places, and their scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from lakeloop.errors import DataError
from lakeloop.measures.base import Outcomes
from lakeloop.measures.intervals import wilson
from lakeloop.measures.registry import metric_of
from lakeloop.spec.checks import Checks
from lakeloop.spec.tasks import TokenClassification as Section
from lakeloop.tasks.base import Answer, Tokenised
from lakeloop.tasks.token_classification import Entities, Entity, TokenClassification, stretches

SECTION = Section(kind="token_classification", text="text", tags="tags", labels=("person", "place"))
TASK = TokenClassification(SECTION)
CONTRACT = TASK.contract(TASK.profile([[[0, 3, "person"]]]))
TEXT = "Ann Lee saw York, twice"


def read(text: str, places: Sequence[tuple[int, int]], words: Sequence[int]) -> Tokenised:
    return Tokenised(text, text, np.array(places).reshape(-1, 2), np.array(words))


def tagged(*tags: str) -> np.ndarray:
    """Outputs that say these tags."""
    return np.array([[5.0 * (name == tag) for name in CONTRACT.names] for tag in tags])


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("B-person I-person O B-place O", [[0, 7, "person"], [12, 17, "place"]]),
        ("B-person B-person O O O", [[0, 3, "person"], [4, 7, "person"]]),
        ("O I-person I-place O O", [[4, 7, "person"], [8, 11, "place"]]),
        ("S-person B-place I-place E-place S-place", [[0, 3, "person"], [4, 17, "place"], [18, 23, "place"]]),
        ("O O O O O", []),
    ],
    ids=["two", "side by side", "goes on with what nothing began", "BIOES", "none"],
)
def test_tags_are_places_in_the_text(tags: str, found: list[list[int | str]]) -> None:
    assert stretches(TEXT, tags.split()) == found


def test_blanks_between_words_may_be_any() -> None:
    assert stretches(" a  b\u2003c", ["O", "B-x", "I-x"]) == [[4, 7, "x"]]


def test_outputs_of_first_tokens_of_words_are_stretches() -> None:
    # [CLS] Ann Le ##e saw York , [SEP]
    text = read(
        "Ann Lee saw York,",
        [(0, 0), (0, 3), (4, 6), (6, 7), (8, 11), (12, 16), (16, 17), (0, 0)],
        [-1, 0, 1, 1, 2, 3, 4, -1],
    )
    outputs = tagged("O", "B-person", "I-person", "B-place", "O", "B-place", "O", "B-place")
    (answer,) = TASK.decode(CONTRACT, [outputs], [text])
    assert isinstance(answer, Entities)
    assert [(each.text, each.label, each.start, each.end) for each in answer.entities] == [
        ("Ann Lee", "person", 0, 7),
        ("York", "place", 12, 16),
    ]
    assert all(0.9 < each.score < 1 for each in answer.entities)
    assert answer.text is None


def test_where_cleaning_changed_the_text_the_answer_says_which_text_its_places_are_of() -> None:
    text = Tokenised("  York", "York", np.array([[0, 4]]), np.array([0]))
    (answer,) = TASK.decode(CONTRACT, [tagged("B-place")], [text])
    assert answer.model_dump()["text"] == "York"


def found(*rows: list[tuple[int, int, str]]) -> list[Answer]:
    return [
        Entities(entities=[Entity(start=s, end=e, label=kind, text="", score=1) for s, e, kind in row])
        for row in rows
    ]


def score(name: str, outcomes: Outcomes) -> float:
    return metric_of("token_classification", name).compute(outcomes)


def test_scores_of_a_hand_worked_example() -> None:
    truth = [[[0, 7, "person"], [12, 16, "place"]], [[0, 4, "place"]], []]
    answers = found([(0, 7, "person"), (12, 17, "place")], [(0, 4, "person")], [(1, 2, "place")])
    outcomes = TASK.outcomes(answers, truth)
    assert score("entity_f1", outcomes) == pytest.approx(2 * 1 / (3 + 4))
    assert score("precision", outcomes) == 0.25
    assert score("recall", outcomes) == pytest.approx(1 / 3)
    assert score("entity_macro_f1", outcomes) == pytest.approx((2 / 3 + 0) / 2)
    assert score("partial_f1", outcomes) == pytest.approx(2 * 1.5 / 7), "York, overlaps York"
    assert TASK.errors(answers, truth).tolist() == [2, 2, 1]
    (grid,) = TASK.tables(outcomes)
    assert {row[0]: row[8:] for row in grid.rows} == {
        "person": (pytest.approx(2 / 3), 1, 2),
        "place": (pytest.approx(2 * 0.5 / 4), 2, 2),
    }


def test_a_stretch_that_is_answered_twice_overlaps_one_right_one_once() -> None:
    outcomes = TASK.outcomes(found([(0, 2, "place"), (2, 4, "place")]), [[[0, 4, "place"]]])
    assert score("partial_f1", outcomes) == pytest.approx(2 * 0.5 / 3)


def test_nothing_to_find_and_nothing_found_is_right() -> None:
    outcomes = TASK.outcomes(found([], []), [[], []])
    assert score("entity_f1", outcomes) == score("entity_macro_f1", outcomes) == 1


def test_rows_of_the_mart_are_truths_and_strange_tags_are_named() -> None:
    rows = pa.table({"text": [TEXT, "York"], "tags": ["B-person I-person O B-place O", "B-town"],
                     "partition": ["2026-11-16", "2026-11-17"]})  # fmt: skip
    assert TASK.truths(rows)[1] == [[0, 4, "town"]]
    with pytest.raises(DataError, match="labels that the task does not have") as raised:
        TASK.require_known(rows, "names")
    assert raised.value.found == "B-town in 1 rows"


def test_a_label_that_no_tag_can_name_is_refused() -> None:
    section = SECTION.model_copy(update={"labels": ("per son", "place")})
    (broken,) = section.broken_rules(Checks(), {}, normalise=True)
    assert (broken.key, broken.message) == ("task.labels.0", "no tag can name it")


def test_a_scheme_says_which_tags_there_are() -> None:
    assert SECTION.all_tags == ("O", "B-person", "I-person", "B-place", "I-place")
    ends = SECTION.model_copy(update={"scheme": "BIOES", "labels": ("x",)})
    assert ends.all_tags == ("O", "B-x", "I-x", "E-x", "S-x")


def test_a_kind_that_is_nowhere_has_no_score_and_stands_last() -> None:
    found = [[(0, 4, "place")], []]
    sides = np.empty(2, dtype=object), np.empty(2, dtype=object)
    for side in sides:
        side[:] = found
    grid = TASK.tables(Outcomes(*sides, np.empty((2, 0))))[0]
    rows = {row[0]: row[1:] for row in grid.rows}
    assert rows["place"][:7] == (1.0, *wilson(1, 1), 1.0, *wilson(1, 1), 1.0)
    last = grid.rows[-1]
    assert last[0] != "place"
    assert last[1:] == (None, None, None, None, None, None, None, None, 0, 0)
