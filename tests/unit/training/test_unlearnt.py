"""A training whose rows lack an answer: the artifact answers with the others, and says what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lakeloop.artifact import open_artifact
from lakeloop.errors import DataError
from lakeloop.inference.predictor import Predictor
from lakeloop.spec.tasks import Classification, MultiLabel, Task, TokenClassification
from lakeloop.tasks.reading import Instance
from lakeloop.tasks.registry import task_class
from tests.support.task_jobs import make_several, make_tagged
from tests.support.tiny_bert import LABELS, make_dataset, make_rows
from training.job import Job, run
from training.job_config import JobConfig
from training.train import train as train_candidate

MORE = (*LABELS, "weather")
ONE = Classification(text="text", label="label", labels=MORE)
SEVERAL = MultiLabel(kind="multi_label", text="text", label="label", labels=MORE, separator="|")
WORDS = TokenClassification(
    kind="token_classification", text="text", tags="tags", labels=("sports", "weather", "tech")
)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["head", "top_layers"])
@pytest.mark.parametrize(
    ("task", "make", "known"),
    [(ONE, make_dataset, LABELS), (SEVERAL, make_several, LABELS), (WORDS, make_tagged, ("sports", "tech"))],
    ids=["one", "several", "words"],
)
def test_an_answer_without_training_rows_is_left_out_and_named(
    make_config: Callable[..., JobConfig],
    tmp_path: Path,
    task: Task,
    make: Callable[[Path], Path],
    known: tuple[str, ...],
    method: str,
) -> None:
    config = make_config(method, task=task, dataset=make(tmp_path / "rows"), epochs=1)
    path = tmp_path / "work" / "config.json"
    path.parent.mkdir()
    path.write_text(config.model_dump_json())
    run(path, train_candidate)
    artifact = open_artifact(path.parent / "artifact")
    contract = artifact.description.contract
    assert contract.unlearnt == ("weather",)
    assert task_class(contract.kind).facts(contract) == {"labels": list(known), "unlearnt": ["weather"]}
    (answer,) = Predictor(artifact.folder).predict([Instance("the goal of the team")])
    assert "weather" not in answer.model_dump_json()


def test_it_is_refused_where_the_loop_file_asks_for_all(make_job: Callable[..., Job], tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "rows", train=make_rows(60, seed=1))
    assert make_job(task=ONE, dataset=folder).dataset.contract.unlearnt == ("weather",)
    assert "tech" in pq.read_table(folder / "train.parquet")["label"].to_pylist()
    with pytest.raises(DataError, match="no training row for weather"):
        make_job(task=ONE, dataset=folder, missing_answers="refuse")
