"""Rows made of training rows: by seed, none that is a validation text, and as many as are said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lakeloop.cleaning.wordnet import read_wordnet
from lakeloop.errors import ConfigurationError
from lakeloop.spec.extras import MaskedWords, Synonyms
from tests.support.augmenting import write_masked, write_translator, write_wordnet
from tests.support.training_jobs import NUMBERS
from training.extras import masked, synonyms
from training.extras.augment import MAKERS, augmented
from training.job import Job, run
from training.train import train

MakeJob = Callable[..., Job]
WHERE = "train.augment.folder"
MEANINGS = [
    ["goal", "aim"], ["Team", "squad"], ["market", "market_place", "bazaar"], ["chip", "crisp"],
    ["goal", "end"], ["phone", "telephone"], ["shares", "stakes"],
]  # fmt: skip


@pytest.fixture
def make_augmented(make_job: MakeJob, tmp_path: Path) -> Callable[..., Job]:
    wordnet = write_wordnet(tmp_path / "wordnet", MEANINGS)

    def make(**options: Any) -> Job:
        augment = {"kind": "synonyms", "folder": "wordnet", **options.pop("augment", {})}
        return make_job("head", augment=augment, beside={"augment.folder": wordnet}, **options)

    return make


def test_words_share_their_usual_meaning_and_are_single(tmp_path: Path) -> None:
    known = read_wordnet(write_wordnet(tmp_path / "wordnet", MEANINGS), WHERE)
    assert known["goal"] == ("aim",)
    assert known["team"] == ("squad",)
    assert known["market"] == ("bazaar",)
    assert "market_place" not in known


def test_a_share_of_the_words_is_replaced_and_what_is_around_them_stays(tmp_path: Path) -> None:
    maker = synonyms.Synonyms(read_wordnet(write_wordnet(tmp_path / "wordnet", MEANINGS), WHERE), 1.0)
    random = np.random.default_rng(1)
    assert maker.texts(["A Team's goal!", "nothing"], random) == ["A Squad's aim!", "nothing"]
    few = synonyms.Synonyms({"goal": ("aim",)}, 0.25)
    (found,) = few.texts(["goal goal goal goal"], random)
    assert sorted(found.split()) == ["aim", "goal", "goal", "goal"]


def test_a_folder_without_wordnet_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no WordNet") as raised:
        read_wordnet(tmp_path, WHERE)
    assert "wordnet-base" in raised.value.remedy


def test_rows_are_made_of_training_rows_by_the_seed_and_counted(make_augmented: MakeJob) -> None:
    job, plain = make_augmented(augment={"copies": 2}), make_augmented()
    before = plain.dataset.train
    told = augmented(job)
    rows = job.dataset.train
    assert rows.texts[: len(before)] == before.texts
    assert job.made == len(rows) - len(before) > 96
    assert told == {"augment": {"kind": "synonyms", "rows": job.made, "of": len(before)}}
    assert len(set(rows.texts[96:])) == job.made
    assert not set(rows.texts[96:]) & {*before.texts, *job.dataset.validation.texts}
    assert len(rows.values) == len(rows.targets) == len(rows)
    again, other = make_augmented(augment={"copies": 2}, seed=17), make_augmented(seed=18)
    augmented(again)
    augmented(other)
    assert again.dataset.train.texts == rows.texts
    assert other.dataset.train.texts[96:] != rows.texts[96 : len(other.dataset.train)]
    assert job.dataset.validation.texts == plain.dataset.validation.texts


def test_a_text_of_the_validation_rows_is_never_made(
    make_augmented: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_augmented()
    held_back = job.dataset.validation.texts

    class Leaking:
        def texts(self, texts: Any, _random: Any) -> list[str]:
            return [
                held_back[n % len(held_back)].upper() if n % 2 else f"{t} more" for n, t in enumerate(texts)
            ]

    monkeypatch.setattr(synonyms, "synonyms", lambda *_: Leaking())
    augmented(job)
    made = job.dataset.train.texts[96:]
    assert len(made) == 48
    assert all(text.endswith(" more") for text in made)


def test_what_was_made_is_kept_and_what_is_drawn_elsewhere_stays(
    make_augmented: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_augmented()
    state = torch.get_rng_state()
    augmented(job)
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr(synonyms, "synonyms", None)
    again = make_augmented()
    augmented(again)
    assert again.dataset.train.texts == job.dataset.train.texts


@pytest.mark.parametrize("kind", ["masked", "back_translation"])
@pytest.mark.parametrize("task", [None, NUMBERS])
def test_models_make_other_texts(make_job: MakeJob, tmp_path: Path, kind: str, task: Any) -> None:
    if kind == "masked":
        section: dict[str, Any] = {"kind": kind, "folder": "mlm", "share": 0.3}
        beside = {"augment.folder": write_masked(tmp_path / "mlm")}
    else:
        section = {"kind": kind, "there": "en-de", "back": "de-en"}
        beside = {f"augment.{key}": write_translator(tmp_path / key) for key in ("there", "back")}
    options = {"task": task} if task else {}
    jobs = [make_job("head", augment=section, beside=beside, **options) for _ in range(2)]
    before = jobs[0].dataset.train
    for job in jobs:
        (job.config.cache / "augmented").mkdir(exist_ok=True)
        for kept in (job.config.cache / "augmented").iterdir():
            kept.unlink()
        augmented(job)
    made = jobs[0].dataset.train.texts[len(before) :]
    assert len(made) > 10
    assert jobs[1].dataset.train.texts == jobs[0].dataset.train.texts
    assert jobs[0].dataset.train.targets[: len(before)].tolist() == before.targets.tolist()


def test_masked_words_are_whole_and_none_stays(tmp_path: Path, make_job: MakeJob) -> None:
    folder = write_masked(tmp_path / "mlm")
    job = make_job("head", beside={"augment.folder": folder})
    maker = masked.masked(MaskedWords(folder="mlm", share=1.0), job)
    text = "team said: the goal, zzz"
    (found,) = maker.texts([text], np.random.default_rng(1))
    before, after = (each.replace(":", " :").replace(",", " ,").split() for each in (text, found))
    assert [b == a for b, a in zip(before, after, strict=True)] == [
        word in (":", ",", "zzz") for word in before
    ]


def test_a_base_model_without_its_head_is_refused(make_job: MakeJob) -> None:
    with pytest.raises(ConfigurationError, match="no masked language model") as raised:
        augmented(make_job("head", augment="masked"))
    assert "train.augment.folder" in raised.value.remedy


def test_a_folder_that_does_not_translate_is_refused(make_job: MakeJob, tmp_path: Path) -> None:
    section = {"kind": "back_translation", "there": "a", "back": "b"}
    beside = {f"augment.{key}": tmp_path for key in ("there", "back")}
    with pytest.raises(ConfigurationError, match="no model that translates"):
        augmented(make_job("head", augment=section, beside=beside))


@pytest.mark.slow
def test_the_record_and_the_card_count_them(make_augmented: MakeJob, tmp_path: Path) -> None:
    path = tmp_path / "work/config.json"
    path.parent.mkdir()
    path.write_text(make_augmented().config.model_dump_json())
    run(path, train)
    found = json.loads((path.parent / "result.json").read_text())
    made = found["details"]["augment"]["rows"]
    card = (path.parent / "artifact/card.md").read_text()
    assert "| Rows, train | 96 |" in card
    assert f"| Rows, train, made of others | {made} |" in card
    assert found["settings"]["augment"]["value"] == "synonyms"
    assert found["settings"]["augment.copies"] == {"value": 1, "origin": "default"}


def test_each_way_of_the_loop_file_has_a_maker() -> None:
    assert set(MAKERS) == {"synonyms", "masked", "back_translation"}
    assert Synonyms(folder="a").kind in MAKERS
