"""What a loop file may say: rules on names, labels and keys, whichever file they stand in."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.base import PATTERNS
from lakeloop.spec.demo import PackageSource
from lakeloop.spec.http import HttpSource
from lakeloop.spec.loop import RESERVED_NAMES, LoopSpec
from lakeloop.spec.reading.load import load_loop
from lakeloop.spec.source import FilesSource
from lakeloop.spec.tasks import Classification, Regression
from tests.support.beside import beside_loop
from tests.support.loops import SHORT, write_loop
from tests.support.small_loop import small_loop


def test_what_was_loaded_cannot_be_changed(root: Path, settings: Settings) -> None:
    loop = load_loop(root / "loops/news/loop.yaml", settings)
    with pytest.raises(ValueError, match="frozen"):
        loop.name = "other"  # type: ignore[misc]


def test_every_key_has_words_for_the_person_who_left_it_out() -> None:
    required = [
        (name, info)
        for model in (LoopSpec, PackageSource, FilesSource, HttpSource, Classification, Regression)
        for name, info in model.model_fields.items()
        if info.is_required() and name not in {"kind", "name"}
    ]
    assert len(required) > 10
    assert [name for name, info in required if not info.description] == []


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_name_that_duckdb_uses_itself_is_refused(settings: Settings, name: str) -> None:
    path = write_loop(settings, name, SHORT.replace("010", "ten").replace("name: tickets", f"name: {name}"))
    with pytest.raises(ConfigurationError) as caught:
        load_loop(path, settings)
    assert f"loops/{name}/loop.yaml:1: name: wrong value\n    expected: another name" in str(caught.value)


def test_many_labels_are_checked_in_time_that_grows_with_them() -> None:
    labels = [f"label {number}" for number in range(30_000)]
    begun = time.process_time()
    assert len(Classification(text="text", label="label", labels=tuple(labels)).labels) == len(labels)
    assert time.process_time() - begun < 3  # compared pairwise: ten seconds


@pytest.mark.parametrize(
    ("label", "form", "found"),
    [
        ("Late  delivery", '"Late delivery", in Unicode NFC', '"Late  delivery"'),
        (" late", '"late", in Unicode NFC', '" late"'),
        ("late\u00a0one", '"late one", in Unicode NFC', '"late\\xa0one"'),
        ("retarde\u0301", '"retard\u00e9", in Unicode NFC', '"retarde\u0301"'),
        ("  ", "a label that is not blank", '"  "'),
    ],
)
def test_a_label_that_normalising_would_change_is_refused(
    settings: Settings, label: str, form: str, found: str
) -> None:
    text = SHORT.replace("010", json.dumps(label))
    with pytest.raises(ConfigurationError) as caught:
        load_loop(write_loop(settings, "tickets", text), settings)
    error = str(caught.value)
    assert "loop.yaml:10: task.labels[3]: no row has this label after clean.normalise" in error
    assert f"\n    expected: {form}" in error
    assert error.endswith(f"\n    found: {found}")
    kept = load_loop(write_loop(settings, "tickets", text + "clean: {normalise: false}\n"), settings)
    assert kept.task.labels[3] == label


def test_a_check_on_labels_that_normalising_would_change_is_refused(settings: Settings) -> None:
    check = "checks: {rows: [{kind: one_of, column: %s, values: [billing, 'no  ']}]}\n"
    text = SHORT.replace("010", "ten")
    with pytest.raises(
        ConfigurationError, match=r":11: checks\.rows\[0\]\.values\[1\]: no row has this label"
    ):
        load_loop(write_loop(settings, "tickets", text + check % "label"), settings)
    load_loop(write_loop(settings, "tickets", text + check % "row_id"), settings)


def test_every_pattern_of_a_loop_file_is_said_in_words() -> None:
    schema = json.dumps(LoopSpec.model_json_schema())
    patterns = {json.loads(found) for found in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', schema)}
    assert len(patterns) >= 6
    assert patterns == PATTERNS.keys()


def test_a_text_that_does_not_fit_its_pattern_is_told_what_would(settings: Settings) -> None:
    path = write_loop(settings, "tickets", f"{SHORT}train:\n  memory: 12 gigs\n")
    expected = r"train.memory: wrong value\s+expected: a size such as 12 GB or 800 MB\s+found: .12 gigs"
    with pytest.raises(ConfigurationError, match=expected):
        load_loop(path, settings)


@pytest.mark.parametrize(
    ("method", "key"),
    [("zero_shot", "text_pair"), ("few_shot", "numeric")],
)
def test_a_method_that_reads_texts_only_is_refused_where_there_is_more(method: str, key: str) -> None:
    with pytest.raises(ValidationError, match=f"cannot read what task.{key} names"):
        beside_loop(train={"method": method})


def test_a_column_has_one_role() -> None:
    task = {"kind": "classification", "text": "text", "label": "label", "labels": ["a", "b"]}
    with pytest.raises(ValidationError, match=r"task.numeric.0: is the text itself"):
        beside_loop(task={**task, "numeric": ["text"]})


def test_a_metric_for_evaluations_alone_cannot_decide() -> None:
    with pytest.raises(ValidationError) as raised:
        small_loop(evaluate={"metric": "roc_auc"})
    (broken,) = raised.value.errors()[0]["ctx"]["broken"]
    assert (broken.key, broken.found) == ("evaluate.metric", "roc_auc")
    assert broken.message == "is reported, but no training can choose by it"
    assert broken.expected == "one of macro_f1, accuracy, log_loss"


@pytest.mark.parametrize("method", ["few_shot", {"kind": "classical", "model": "forest"}])
def test_a_method_that_cannot_learn_the_task_is_refused_with_those_that_can(method: Any) -> None:
    task = {"kind": "multi_label", "text": "text", "label": "label", "labels": ["a", "b"]}
    with pytest.raises(ValueError, match="one of the methods head, classical, top_layers") as caught:
        small_loop(task=task, train={"method": method})
    assert "zero_shot" not in str(caught.value)
    with pytest.raises(ValueError, match=r"expected task\.kind classification, whose answers are classes"):
        small_loop(task=task, train={"class_weights": "balanced"})


def test_shares_of_a_canary_ascend() -> None:
    deploy = small_loop(deploy={"shadow": {}, "canary": {"shares": [0.1, 0.5]}}).deploy
    assert [(step.phase, step.share) for step in deploy.steps] == [
        ("shadow", 0.0),
        ("canary", 0.1),
        ("canary", 0.5),
    ]
    assert not small_loop().deploy.tried_first
    with pytest.raises(ValidationError) as raised:
        small_loop(deploy={"canary": {"shares": [0.1, 0.5, 0.5]}})
    (broken,) = raised.value.errors()[0]["ctx"]["broken"]
    assert (broken.key, broken.expected, broken.found) == (
        "shares.2",
        "shares that ascend, here more than 0.5",
        "0.5",
    )
