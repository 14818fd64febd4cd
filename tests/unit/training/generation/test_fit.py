"""Language models that learn: which tokens are learnt, that they learn, and that they go on after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from lakeloop.base_model import find_base_model
from lakeloop.errors import ConfigurationError
from lakeloop.inference.predictor import Predictor
from lakeloop.spec.train import CHAMPION
from tests.support.deadly import Deadly, Killed
from tests.support.tiny_writers import ASKED, TURNED, make_writer
from training.data import NO_TARGET
from training.generation.fit import inputs_of, loaded, scores_of, tokens_of
from training.job import Job, run
from training.job_config import JobConfig
from training.train import train

MakeJob = Callable[..., Job]
MakeConfig = Callable[..., JobConfig]
TASKS = {"llama": ASKED, "gpt2": ASKED, "t5": TURNED, "bart": TURNED}


def words(job: Job, ids: Any) -> str:
    return " ".join(job.tokenizer.id_to_token(int(number)) if number >= 0 else "-" for number in ids)


def test_only_the_answer_is_learnt_and_each_token_where_the_one_before_it_is_read(
    make_writing_job: MakeJob,
) -> None:
    job = make_writing_job("llama")
    tokens = tokens_of(job)
    row = next(n for n, each in enumerate(job.dataset.instances) if len(each.text.split()) == 2)
    first, second = job.dataset.instances[row].text.split()
    assert words(job, tokens.ids[row]) == f"<s> Q: {first} {second} A: {second} {first}"
    assert words(job, tokens.targets[row]) == f"- - - - {second} {first} </s>"


def test_padding_that_has_the_id_of_an_end_is_neither_learnt_nor_read(make_writing_job: MakeJob) -> None:
    job = make_writing_job("llama")
    tokens = tokens_of(job)
    short, long = int(tokens.lengths.argmin()), int(tokens.lengths.argmax())
    targets, ids, mask = inputs_of(job, tokens, tokens.batch(np.array([short, long])))
    length = len(tokens.ids[short])
    assert tokens.pad_id == 2, "the end itself"
    assert (ids[0, length:] == 2).all()
    assert mask.sum(dim=1).tolist() == [length, len(tokens.ids[long])]
    assert (targets[0, length:] == NO_TARGET).all()
    assert (targets == 2).sum(dim=1).tolist() == [1, 1], "the end of each answer is learnt, once"


@pytest.mark.parametrize("kind", TASKS)
def test_the_loss_is_that_of_the_whole_text_less_what_is_not_answer(
    make_writing_job: MakeJob, kind: str
) -> None:
    job = make_writing_job(kind, task=TASKS[kind])
    tokens, network = tokens_of(job), loaded(job).eval()
    rows = np.array([int(tokens.lengths.argmin()), int(tokens.lengths.argmax()), 5])
    targets, ids, mask = inputs_of(job, tokens, tokens.batch(rows))
    with torch.inference_mode():
        found = network(ids, mask, targets)
        for line, row in enumerate(rows):
            wanted = torch.from_numpy(tokens.targets[row])
            alone = torch.from_numpy(tokens.ids[row].astype(np.int64))[None]
            if kind in ("llama", "gpt2"):
                logits = network.encoder(input_ids=alone).logits
            else:
                start = job.dataset.contract.writing.start  # type: ignore[union-attr]
                given = torch.cat([torch.tensor([start]), wanted[:-1]])[None]
                logits = network.encoder(input_ids=alone, decoder_input_ids=given).logits
            loss = cross_entropy(logits[0], wanted, ignore_index=NO_TARGET, reduction="sum")
            assert found[line, 0].item() == pytest.approx(loss.item(), rel=1e-4)
            assert found[line, 1].item() == int((wanted != NO_TARGET).sum())


def test_perplexity_is_over_tokens_and_not_over_rows() -> None:
    scores = scores_of(np.array([[4.0, 2.0], [2.0, 6.0]], dtype=np.float32))
    assert scores.loss == pytest.approx(6 / 8)
    assert scores.named["perplexity"] == pytest.approx(np.exp(6 / 8))


@pytest.mark.parametrize(
    ("kind", "method", "options"),
    [
        ("llama", "full", {}),
        ("bart", "full", {"epochs": 5}),
        ("llama", "lora", {"learning_rate": 1e-2}),
        ("t5", "full", {}),
    ],
)
def test_a_model_learns_to_turn_words_round_and_its_artifact_writes_the_same(
    make_writing: MakeConfig, tmp_path: Path, kind: str, method: str, options: dict[str, Any]
) -> None:
    config = make_writing(kind, method, task=TASKS[kind], **options)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    run(tmp_path / "config.json", train)
    result = json.loads((tmp_path / "result.json").read_text())
    losses = [epoch["validation"]["loss"] for epoch in result["details"]["epochs"]]
    assert losses[-1] < losses[0] / 1.5
    assert result["metrics"]["perplexity"] == pytest.approx(np.exp(result["metrics"]["loss"]))
    assert result["metrics"]["rouge_l"] > 0.6, "of a random model it is below 0.2"
    assert result["details"]["written_rows"] == 40
    predictor = Predictor(tmp_path / "artifact")
    assert predictor.description.engine == "torch-generate"
    texts = ["red blue", "white grey black", "blue green"]
    answers = predictor.predict(texts)
    assert [predictor.predict([text])[0] for text in texts] == answers, "whatever stands beside it"


def test_the_base_model_as_it_is_writes_what_it_writes(make_writing_job: MakeJob) -> None:
    trained = train(make_writing_job("llama", "zero_shot"))
    assert trained.validation.named["exact_match"] == 0
    assert trained.validation.loss > 2


def test_a_champion_is_trained_on_and_asked_as_it_was(
    make_config: MakeConfig, turned: Path, tmp_path: Path
) -> None:
    task = ASKED.model_copy(update={"chat": "auto"})
    base = find_base_model("models/chat", make_writer(tmp_path / "chat", "gpt2", chat=True))
    steps = {"learning_rate": 3e-3, "batch_size": 16, "epochs": 3}
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        on = base if folder == first else find_base_model(CHAMPION, first / "artifact")
        config = make_config("full", task=task, dataset=turned, on=on, **steps)
        (folder / "config.json").write_text(config.model_dump_json())
        run(folder / "config.json", train)
    one, other = (Predictor(folder / "artifact").description for folder in (first, second))
    assert other.contract == one.contract
    assert other.contract.writing is not None
    assert other.contract.writing.prompt == ("<|user|> Q: ", " A: <|end|> <|assistant|> ")
    assert other.validation_metrics["loss"] < one.validation_metrics["loss"]


@pytest.mark.parametrize(("kind", "method"), [("llama", "full"), ("bart", "lora")])
def test_after_a_kill_a_training_goes_on_bit_for_bit(
    make_writing_job: MakeJob, tmp_path: Path, kind: str, method: str
) -> None:
    def job(kills: set[int]) -> Job:
        found = make_writing_job(kind, method, task=TASKS[kind], epochs=2)
        found.checkpoints = Deadly(tmp_path / "checkpoints", "key", kills=kills)
        return found

    whole = train(make_writing_job(kind, method, task=TASKS[kind], epochs=2))
    for kills in ({4}, {19}):
        with pytest.raises(Killed):
            train(job(kills))
    again = train(job(set()))
    assert again.details["resumed_at"] == [4, 19]
    assert again.validation.named == whole.validation.named
    one, other = whole.network.state_dict(), again.network.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_prompt_without_room_for_a_text_is_refused(make_writing_job: MakeJob) -> None:
    task = ASKED.model_copy(update={"prompt": "Q: Q: Q: Q: Q: Q: Q: {text} A:"})
    with pytest.raises(ConfigurationError, match="leaves no room for a text"):
        train(make_writing_job("llama", task=task, max_tokens=8))


def test_an_encoder_with_a_decoder_is_no_model_that_goes_on(make_writing_job: MakeJob) -> None:
    with pytest.raises(ConfigurationError, match="it reads a text apart from writing"):
        make_writing_job("t5", task=ASKED)
    with pytest.raises(ConfigurationError, match="it goes on with texts, as kind causal_lm wants it"):
        make_writing_job("llama", task=TURNED)


def test_prompt_and_answer_must_fit_into_what_the_base_model_reads(make_writing_job: MakeJob) -> None:
    with pytest.raises(ConfigurationError, match="cannot read texts that long") as raised:
        make_writing_job("llama", max_tokens=44)
    assert raised.value.expected == "at most 43"
    make_writing_job("bart", task=TURNED, max_tokens=44)
