"""A network in eight bits: handed out where it answers alike on real rows, and refused with the numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lakeloop.artifact import ONNX_MODEL, open_artifact, write_manifest
from lakeloop.errors import ConfigurationError, DataError
from lakeloop.inference.predictor import Predictor
from lakeloop.registry.smaller import CHECK, alike, quantised
from lakeloop.tasks.classification import Label
from lakeloop.tasks.reading import Instance
from lakeloop.tasks.regression import Value
from tests.support.artifacts import make_artifact, make_number_artifact
from tests.support.small_loop import LABELS

ROWS = [Instance(f"a story about {label}") for label in LABELS]


def test_it_answers_alike_and_says_so_under_a_digest_of_its_own(tmp_path: Path) -> None:
    whole = make_artifact(tmp_path / "whole", LABELS)
    found = quantised(tmp_path / "whole", tmp_path / "int8", ROWS, min_agreement=1.0)
    assert (found.rows, found.agreement, found.of) == (3, 1.0, whole.digest)
    assert found.largest_difference < 0.05
    smaller = open_artifact(tmp_path / "int8")
    assert smaller.digest != whole.digest
    assert not (tmp_path / "int8/model.safetensors").exists()
    assert json.loads((tmp_path / "int8" / CHECK).read_text()) == found.model_dump()
    assert [str(answer) for answer in Predictor(tmp_path / "int8").predict(ROWS)]
    with pytest.raises(ConfigurationError, match="eight bits already"):
        quantised(tmp_path / "int8", tmp_path / "again", ROWS, min_agreement=1.0)


def test_numbers_are_compared_by_their_variance(tmp_path: Path) -> None:
    make_number_artifact(tmp_path / "whole", {"good": 2.0, "bad": -2.0})
    rows = [Instance("good"), Instance("bad"), Instance("good good")]
    found = quantised(tmp_path / "whole", tmp_path / "int8", rows, min_agreement=0.9)
    assert 0.99 < found.agreement <= 1.0


def test_a_network_that_answers_otherwise_is_not_handed_out(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "whole", LABELS, strength=0.01)
    model = onnx.load(tmp_path / "whole" / ONNX_MODEL)
    (table,) = (each for each in model.graph.initializer if each.name == "table")
    values = numpy_helper.to_array(table).copy()
    values[0] = 100.0  # of the padding, which nothing reads: all other numbers are rounded to nothing
    table.CopyFrom(numpy_helper.from_array(values, "table"))
    onnx.save(model, tmp_path / "whole" / ONNX_MODEL)
    write_manifest(tmp_path / "whole", artifact.description)
    with pytest.raises(DataError, match="answers otherwise") as caught:
        quantised(tmp_path / "whole", tmp_path / "int8", ROWS, min_agreement=0.98)
    assert "33.3%" in caught.value.found
    assert "--min-agreement" in caught.value.remedy
    assert not (tmp_path / "int8").exists()


def test_without_rows_nothing_can_be_said(tmp_path: Path) -> None:
    make_artifact(tmp_path / "whole", LABELS)
    with pytest.raises(DataError, match="no rows"):
        quantised(tmp_path / "whole", tmp_path / "int8", [], min_agreement=0.5)


def test_agreement_is_of_answers_and_difference_of_their_numbers() -> None:
    one = [Label(label="a", score=0.75, scores={"a": 0.75, "b": 0.25})] * 2
    other = [
        Label(label="a", score=0.5, scores={"a": 0.5, "b": 0.5}),
        Label(label="b", score=0.75, scores={"a": 0.25, "b": 0.75}),
    ]
    assert alike(one, other) == (0.5, 0.5)
    values = [Value(value=float(number)) for number in range(4)]
    assert alike(values, values) == (1.0, 0.0)
    agreement, difference = alike(values, [Value(value=each.value + 0.5) for each in values])
    assert (agreement, difference) == (pytest.approx(0.8), 0.5)
    assert np.isfinite(agreement)
