from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.base_model import BaseModel
from lakeloop.cleaning.steps import clean_texts
from lakeloop.errors import ConfigurationError, DataError
from lakeloop.spec.tasks import Task
from lakeloop.tasks.reading import Instance
from lakeloop.tasks.registry import task_of
from tests.support.tiny_bert import LABELS, make_dataset, make_numbers, make_rows
from tests.support.training_jobs import CLASSES, NUMBERS
from training.data import (
    Dataset,
    Tokens,
    bucketed_batches,
    load_tokenizer,
    require_tokens,
    sorted_batches,
    tokenise,
)
from training.data import read_dataset as read
from training.job import Job
from training.plan import Plan

LENGTHS = st.lists(st.integers(1, 128), min_size=1, max_size=300).map(lambda n: np.array(n, dtype=np.int64))


def without(rows: pa.Table, label: str) -> pa.Table:
    return rows.filter(pa.compute.not_equal(rows["label"], label))


def read_dataset(folder: Path, section: Task = CLASSES, steps: tuple[str, ...] = ("normalise",)) -> Dataset:
    return read(folder, task_of(section), steps)


def test_a_data_set_is_read_with_the_tasks_targets(dataset_folder: Path) -> None:
    dataset = read_dataset(dataset_folder)
    assert (dataset.contract.names, dataset.digest) == (LABELS, "d" * 64)
    assert (len(dataset.train), len(dataset.validation)) == (96, 24)
    assert dataset.train.targets[:4].tolist() == [0, 1, 2, 0]
    assert dataset.train.values[:4] == ("business", "sports", "tech", "business")
    assert dataset.profile.shares == pytest.approx(dict.fromkeys(LABELS, 1 / 3))


def test_numbers_are_learnt_around_zero_and_of_size_one(numbers_folder: Path) -> None:
    dataset = read_dataset(numbers_folder, NUMBERS)
    assert dataset.train.targets.dtype == np.float32
    assert dataset.train.targets.mean() == pytest.approx(0, abs=1e-6)
    assert dataset.train.targets.std() == pytest.approx(1, abs=1e-6)
    back = dataset.contract.offset + dataset.contract.scale * dataset.validation.targets.astype(np.float64)
    assert back == pytest.approx(np.array(dataset.validation.values), abs=1e-4)


def test_texts_are_cleaned_as_inference_cleans_them(tmp_path: Path) -> None:
    rows = make_rows(9, seed=1)
    untidy = [f"\u00a0 {text.replace(' ', '  ')} cafe\u0301 " for text in rows["text"].to_pylist()]
    folder = make_dataset(tmp_path / "d", train=rows.set_column(1, "text", pa.array(untidy)))
    once = tuple(row.text for row in read_dataset(folder).train.instances)
    assert once[0] == f"{rows['text'][0]} caf\u00e9"
    assert tuple(clean_texts(once, ("normalise",))) == once
    assert [row.text for row in read_dataset(folder, steps=()).train.instances] == untidy


def test_a_label_without_a_training_row_is_named(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "d", train=without(make_rows(30, seed=1), "tech"))
    with pytest.raises(DataError, match="no training row for tech") as raised:
        read_dataset(folder)
    assert raised.value.where.endswith("train.parquet")


def test_a_label_without_a_training_row_is_not_learnt_where_it_may_be_skipped(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "d", train=without(make_rows(30, seed=1), "tech"))
    rows = len(read_dataset(make_dataset(tmp_path / "whole")).validation)
    found = read(folder, task_of(CLASSES), ("normalise",), skip=True)
    assert found.contract.names == ("business", "sports")
    assert (found.contract.width, found.contract.unlearnt) == (2, ("tech",))
    assert 0 < len(found.validation) < rows
    assert set(found.validation.values) == {"business", "sports"}
    assert set(found.train.targets.tolist()) == {0, 1}


def test_validation_rows_that_have_only_labels_that_are_not_learnt_are_refused(tmp_path: Path) -> None:
    rows = make_rows(30, seed=1)
    alone = without(without(rows, "sports"), "business")
    folder = make_dataset(tmp_path / "d", train=without(rows, "tech"), validation=alone)
    with pytest.raises(DataError, match="no validation row has an answer that is learnt"):
        read(folder, task_of(CLASSES), ("normalise",), skip=True)


def test_a_label_without_a_validation_row_is_no_reason_to_stop(tmp_path: Path) -> None:
    folder = make_dataset(tmp_path / "d", validation=without(make_rows(30, seed=1), "tech"))
    assert len(read_dataset(folder).validation) == 20


@pytest.mark.parametrize("split", ["train", "validation"])
def test_an_empty_split_is_named(tmp_path: Path, split: str) -> None:
    folder = make_dataset(tmp_path / "d", **{split: make_rows(3, seed=1).slice(0, 0)})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=f"no {split} rows"):
        read_dataset(folder)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"PAR1 no parquet PAR1"),
        lambda path: path.write_bytes(path.read_bytes()[:-30]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: pq.write_table(pa.table({"text": ["a"]}), path),
    ],
    ids=["not parquet", "torn", "empty", "missing", "no label column"],
)
def test_a_split_that_cannot_be_read_is_a_data_error(tmp_path: Path, spoil: object) -> None:
    folder = make_dataset(tmp_path / "d")
    spoil(folder / "validation.parquet")  # type: ignore[operator]
    with pytest.raises(DataError, match="split cannot be read") as raised:
        read_dataset(folder)
    assert raised.value.where == str(folder / "validation.parquet")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("label", "weather", "unknown label"), ("label", None, "without label"), ("text", None, "without text")],
)
def test_rows_that_validation_should_have_stopped_stop_the_training(
    tmp_path: Path, column: str, value: str | None, message: str
) -> None:
    rows = make_rows(9, seed=1).to_pylist()
    rows[4][column] = value
    with pytest.raises(DataError, match=message):
        read_dataset(make_dataset(tmp_path / "d", train=pa.Table.from_pylist(rows)))


@pytest.mark.parametrize(
    ("values", "message"), [([1.0, None], "without target"), ([1.0, float("inf")], "finite")]
)
def test_numbers_that_validation_should_have_stopped_stop_the_training(
    tmp_path: Path, values: list[float | None], message: str
) -> None:
    rows = pa.table({"text": ["a", "b"], "target": pa.array(values, pa.float64())})
    with pytest.raises(DataError, match=message):
        read_dataset(make_dataset(tmp_path / "d", train=make_numbers(9, seed=1), validation=rows), NUMBERS)


def test_numbers_that_are_all_the_same_teach_nothing(tmp_path: Path) -> None:
    rows = pa.table({"text": ["a", "b"], "target": [3.0, 3.0]})
    with pytest.raises(DataError, match="nothing to learn"):
        read_dataset(make_dataset(tmp_path / "d", train=rows, validation=rows), NUMBERS)


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"digest": ""})])
def test_a_broken_description_is_a_data_error(tmp_path: Path, content: str) -> None:
    folder = make_dataset(tmp_path / "d")
    (folder / "dataset.json").write_text(content)
    with pytest.raises(DataError, match="description cannot be read"):
        read_dataset(folder)


def test_texts_are_cut_and_padded_only_to_the_longest_of_the_batch(base: BaseModel) -> None:
    tokens = tokenise(load_tokenizer(base.tokenizer, 8), ["the goal", "the " * 50, ""])
    assert tokens.lengths.tolist() == [4, 8, 2]

    batch = tokens.batch(np.array([2, 0]))
    assert batch.input_ids.shape == (2, 4)
    assert batch.attention_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch.input_ids[0, 2:].tolist() == [tokens.pad_id] * 2


def test_a_broken_tokenizer_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="tokenizer cannot be read"):
        load_tokenizer(tmp_path / "tokenizer.json", 8)


@given(
    lengths=LENGTHS, batch_size=st.integers(1, 40), seed=st.integers(0, 2**31 - 1), epoch=st.integers(1, 9)
)
def test_an_epoch_has_every_row_once_and_full_batches(
    lengths: np.ndarray, batch_size: int, seed: int, epoch: int
) -> None:
    batches = bucketed_batches(lengths, batch_size, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // batch_size)
    assert max(map(len, batches)) <= batch_size


def test_the_order_depends_on_seed_and_epoch_only() -> None:
    lengths = np.arange(1, 400, dtype=np.int64)

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(bucketed_batches(lengths, 8, seed=seed, epoch=epoch)).tolist()

    assert order(1, 1) == order(1, 1)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (1, 2)}) == 4


def test_batches_hold_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(4, 128, 4000)
    padded = sum(
        len(rows) * int(lengths[rows].max()) for rows in bucketed_batches(lengths, 32, seed=1, epoch=1)
    )
    assert lengths.sum() / padded > 0.97


@given(lengths=LENGTHS, texts=st.integers(1, 40), tokens=st.none() | st.integers(1, 500))
def test_for_inference_the_longest_come_first(lengths: np.ndarray, texts: int, tokens: int | None) -> None:
    batches = list(sorted_batches(lengths, Plan(texts, tokens)))
    order = np.concatenate(batches)
    assert max(map(len, batches)) <= texts
    if tokens:
        assert all(len(rows) == 1 or len(rows) * lengths[rows].max() <= tokens for rows in batches)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert (np.diff(lengths[order]) <= 0).all()


def test_texts_without_any_token_are_refused_with_what_to_do() -> None:
    tokens = Tokens((np.array([5, 6], dtype=np.int32), np.array([], dtype=np.int32)), pad_id=0)
    with pytest.raises(ConfigurationError, match="1 of 2 texts have no token") as raised:
        require_tokens(tokens, [Instance("a goal"), Instance("\u200b")])
    assert raised.value.found == r"'\u200b'"
    require_tokens(tokens.only(np.array([0])), [Instance("a goal")])


@pytest.mark.parametrize("strange", [True, False])
def test_a_job_says_that_the_base_model_does_not_know_the_tokens(
    make_job: Callable[..., Job], tmp_path: Path, caplog: pytest.LogCaptureFixture, strange: bool
) -> None:
    rows = make_rows(24, seed=1)
    if strange:
        rows = rows.set_column(1, "text", pa.array(["vier Tore in acht Minuten"] * 24))
    make_job(dataset=make_dataset(tmp_path / "rows", train=rows)).tokenise()
    assert ("of the tokens: is it of this language?" in caplog.text) == strange
