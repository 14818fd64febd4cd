"""The small loop's sister whose texts get numbers: its spec, rows of its mart, candidates without training.

A text's number is what its words add up to: 1 for each `good`, -1 for each `bad`. Everything else of
`tests.support.small_loop` (contexts, publishing) works with both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakeloop.records import StageRecord
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.frame.session import StageContext
from tests.support.artifacts import make_number_artifact
from tests.support.small_loop import new_artifact_folder, record_training

WORDS = {"good": 1.0, "bad": -1.0}
_MOODS = ("good good", "good", "", "bad", "bad bad bad")


def number_loop(**sections: Any) -> LoopSpec:
    """Numbers from -3 to 3, training from 30 rows and then from 20 new ones; `sections` replace sections."""
    return LoopSpec.model_validate(
        {
            "name": "numbers",
            "source": {
                "kind": "files",
                "path": "drops/{partition}.jsonl",
                "key": "id",
                "columns": {"id": "string", "text": "string", "mood": "number"},
            },
            "task": {"kind": "regression", "text": "text", "value": "mood", "minimum": -3, "maximum": 3},
            "train": {"min_rows": 30, "min_new_rows": 20},
            **sections,
        }
    )


def number_rows(day: str, count: int) -> list[dict[str, Any]]:
    """`count` rows with texts of their own and the number of each."""
    rows = []
    for number in range(count):
        mood = _MOODS[number % len(_MOODS)]
        text = f"day {day} {number} {mood}".strip()
        rows.append(
            {
                "row_id": f"{day}-{number}",
                "text": text,
                "target": sum(WORDS[word] for word in mood.split()),
                "text_key": text,
                "event_time": None,
                "source_file": f"{day}.jsonl",
                "source_line": number + 1,
                "partition": day,
            }
        )
    return rows


def trained_number(
    context: StageContext,
    candidate: str,
    partition: str,
    *,
    words: Mapping[str, float] = WORDS,
    base: float = 0.0,
) -> StageRecord:
    """A candidate for the newest data set of `partition`, stored and recorded as `train` does.

    `words` are what it takes words for, `base` what it adds to each answer.
    """
    dataset = context.lake.ledger.latest("dataset", partition, "done")
    assert dataset is not None
    artifact = make_number_artifact(
        new_artifact_folder(context, candidate, partition),
        words,
        base=base,
        minimum=-3,
        maximum=3,
        loop=context.loop.name,
        candidate=candidate,
        dataset_digest=dataset.outputs["digest"],
    )
    return record_training(context, candidate, partition, artifact, {"mae": 0.3})
