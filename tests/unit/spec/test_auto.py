"""A number that the loop file may leave to the device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakeloop.errors import LakeloopError
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import load_loop
from lakeloop.spec.reading.override import override
from lakeloop.spec.train import USUAL_BATCH, Train


def test_a_batch_is_a_number_or_auto() -> None:
    for value, texts in (("auto", USUAL_BATCH), (7, 7)):
        train = Train.model_validate({"batch_size": value}, strict=True)
        assert (train.batch_size, train.batch_texts) == (value, texts)
        assert Train.model_validate_json(train.model_dump_json(), strict=True) == train
    assert Train().batch_size == USUAL_BATCH


@pytest.mark.parametrize(
    ("value", "expected"), [("soon", "a whole number, or auto"), (0, "at least 1"), (70_000, "at most 65536")]
)
def test_what_is_neither_is_told_at_its_key(
    root: Path, settings: Settings, value: Any, expected: str
) -> None:
    loop = load_loop(root / "loops/news/loop.yaml", settings)
    with pytest.raises(LakeloopError, match=expected) as raised:
        override(loop, {"train.batch_size": value})
    assert "train.batch_size" in str(raised.value)
    assert "constrained" not in str(raised.value)
