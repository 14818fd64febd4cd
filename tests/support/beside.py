"""Rows whose label stands beside the text: in a second text, in a number or in a word."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.tasks import Classification
from tests.support.tiny_bert import LABELS, make_dataset, make_rows

PAIRS = Classification(text="text", text_pair="text_pair", label="label", labels=LABELS)
FEATURES = Classification(
    text="text", label="label", labels=LABELS, numeric=("amount",), categorical=("plan",)
)
_AMOUNTS = {"business": 1000.0, "sports": 10.0, "tech": 10.0}
_PLANS = {"business": "free", "sports": "free", "tech": "pro"}


def beside_loop(**sections: Any) -> LoopSpec:
    """A loop whose model reads all that one can; `sections` replace sections."""
    columns = dict.fromkeys(("id", "text", "answer", "plan", "label"), "string") | {"amount": "number"}
    return LoopSpec.model_validate(
        {
            "name": "beside",
            "source": {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id", "columns": columns},
            "task": {
                "kind": "classification",
                "text": "text",
                "text_pair": "answer",
                "numeric": ["amount"],
                "categorical": ["plan"],
                "label": "label",
                "labels": LABELS,
            },
            **sections,
        }
    )


def make_pairs(folder: Path) -> Path:
    """A data set in which the second text says the label, and the first nothing."""
    return make_dataset(folder, train=_pairs(192, seed=1), validation=_pairs(48, seed=2))


def make_features(folder: Path) -> Path:
    """A data set in which a number and a word together say the label; some lack one, and no text says it."""
    return make_dataset(folder, train=_features(120, seed=1), validation=_features(48, seed=2))


def _pairs(count: int, *, seed: int) -> pa.Table:
    rows = make_rows(count, seed=seed)
    first = [" ".join(_nothing(seed, number)) for number in range(count)]
    return rows.set_column(1, "text", pa.array(first)).append_column("text_pair", rows["text"])


def _features(count: int, *, seed: int) -> pa.Table:
    rows = make_rows(count, seed=seed)
    draw = random.Random(seed)
    labels = rows["label"].to_pylist()
    amounts = [_AMOUNTS[label] + draw.random() for label in labels]
    texts = [" ".join(_nothing(seed, number)) for number in range(count)]
    plans = [_PLANS[label] if number % 20 else None for number, label in enumerate(labels)]
    rows = rows.set_column(1, "text", pa.array(texts))
    return rows.append_column("feature_amount", pa.array(amounts)).append_column(
        "feature_plan", pa.array(plans)
    )


def _nothing(seed: int, number: int) -> list[str]:
    """Words that say nothing of any label."""
    return random.Random(1000 * seed + number).choices(("the", "a", "of", "new", "old", "big", "story"), k=5)
