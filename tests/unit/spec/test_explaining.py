"""`evaluate.explain`: what can be explained by gradients, and what it changes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.spec.identity import identity, training_identity
from tests.support.number_loop import number_loop
from tests.support.small_loop import small_loop

GRADIENTS = {"explain": "integrated_gradients"}


def test_it_decides_what_an_evaluation_finds_and_no_training() -> None:
    plain, asked = small_loop(), small_loop(evaluate=GRADIENTS)
    assert training_identity(plain) == training_identity(asked)
    assert identity(plain, "scores") != identity(asked, "scores")
    assert identity(plain, "release") == identity(asked, "release")
    assert identity(plain, "scores") == identity(small_loop(evaluate={"explain": "occlusion"}), "scores")
    assert number_loop(evaluate=GRADIENTS).evaluate.explain == "integrated_gradients"


@pytest.mark.parametrize(
    ("method", "refused"),
    [
        ({"kind": "classical"}, True),
        ({"kind": "classical", "features": "embeddings", "model": "forest"}, True),
        ({"kind": "classical", "features": "embeddings"}, False),
        ({"kind": "zero_shot", "features": "characters"}, True),
        ({"kind": "zero_shot"}, False),
        ({"kind": "lora"}, False),
    ],
)
def test_methods_whose_models_read_no_word_vectors_are_refused(method: dict[str, Any], refused: bool) -> None:
    sections: dict[str, Any] = {
        "evaluate": GRADIENTS,
        "train": {"candidates": [{"name": "plain", "method": "head"}, {"name": "one", "method": method}]},
    }
    if not refused:
        small_loop(**sections)
        return
    with pytest.raises(ValidationError, match=r"evaluate\.explain: the model of candidate one has no grad"):
        small_loop(**sections)


def test_answers_that_are_not_weighed_are_refused() -> None:
    task = {"kind": "multi_label", "text": "text", "label": "label", "labels": ["a", "b"]}
    with pytest.raises(ValidationError, match=r"evaluate\.explain: answers of this kind are not weighed"):
        small_loop(task=task, evaluate=GRADIENTS)
