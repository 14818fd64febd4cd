"""Loop files of tasks that write texts: what is taken for granted, and what is refused with the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.spec.identity import training_identity
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.methods import METHODS, WRITING, kind_of
from lakeloop.spec.origins import origins_of
from lakeloop.spec.reading.override import override
from lakeloop.spec.shape import kinds_of
from lakeloop.spec.tasks import Task


def loop(task: dict[str, Any] | None = None, **sections: Any) -> LoopSpec:
    said = {
        "name": "dialogue",
        "source": {
            "kind": "files",
            "path": "d/{partition}.jsonl",
            "key": "id",
            "event_time": "at",
            "columns": {"id": "string", "at": "timestamp", "q": "string", "a": "string"},
        },
        "task": {"kind": "causal_lm", "text": "q", "answer": "a", **(task or {})},
        **sections,
    }
    return LoopSpec.model_validate_json(json.dumps(said), strict=True)


def test_the_kinds_that_write_are_those_of_the_list() -> None:
    assert {kind for kind, section in kinds_of(Task).items() if section.writes} == set(WRITING)


def test_without_candidates_the_base_model_as_it_is_and_one_by_lora_are_trained() -> None:
    train = loop().train
    assert [(each.name, each.method.kind) for each in train.all_candidates] == [
        ("baseline", "zero_shot"),
        ("finetune", "lora"),
    ]
    assert train.model_fields_set == set()
    assert origins_of(train, train.all_candidates[1], {})["method"] == "default"
    assert loop(train={"method": "full"}).train.all_candidates[1].method.kind == "full"


def test_other_loops_keep_their_baseline() -> None:
    labels = {"kind": "classification", "text": "q", "label": "a", "labels": ["x", "y"]}
    other = loop().model_dump(mode="json", exclude_unset=True)
    spec = LoopSpec.model_validate_json(json.dumps({**other, "task": labels}), strict=True)
    assert [each.method.kind for each in spec.train.all_candidates] == ["head", "top_layers"]


def test_a_key_of_the_method_by_default_can_be_set_for_one_run() -> None:
    changed = override(loop(), {"train.method.rank": 16})
    assert changed.train.all_candidates[1].method.rank == 16  # type: ignore[union-attr]
    assert changed.train.all_candidates[0].method.kind == "zero_shot"


def test_what_extracts_an_answer_decides_scores_and_no_weights() -> None:
    plain, other = loop(), loop({"extract": "#### (.+)"})
    assert training_identity(plain) == training_identity(other)
    assert training_identity(plain) != training_identity(loop({"prompt": "Q: {text}"}))


@pytest.mark.parametrize("method", [kind_of(m) for m in METHODS if not m.writes])
def test_a_method_that_writes_no_texts_is_refused(method: str) -> None:
    with pytest.raises(ValidationError, match="cannot learn causal_lm"):
        loop(train={"method": method})


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (
            {"prompt": "no place"},
            "task.prompt: has no place for the text, expected {text} once, found 0 times",
        ),
        ({"prompt": "{text} {text}"}, "found 2 times"),
        ({"extract": "(a"}, r"task.extract: cannot be used"),
        ({"extract": "(a)(b)"}, "found 2 groups"),
        ({"answer": "q"}, "is the text itself"),
        ({"chat": "maybe"}, "chat"),
        ({"kind": "seq2seq", "system": "Be brief."}, "system"),
        ({"examples": [{"text": "1", "answer": "2"}] * 2}, "more than once"),
    ],
)
def test_what_cannot_be_meant_is_refused(task: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as raised:
        loop(task)
    assert told in str(raised.value)
