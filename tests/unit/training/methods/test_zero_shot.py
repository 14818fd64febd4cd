"""Zero-shot: answers by descriptions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from training.job import Job
from training.network import load_encoder
from training.train import train

MakeJob = Callable[..., Job]
TOLD = {"business": "business market shares", "sports": "sports goal team", "tech": "tech phone chip"}


def test_texts_get_the_answer_whose_description_is_nearest(make_job: MakeJob) -> None:
    job = make_job({"kind": "zero_shot", "descriptions": TOLD})
    trained = train(job)
    assert trained.validation.named["accuracy"] > 0.7
    untouched = load_encoder(job.base, 24).state_dict()
    assert all(torch.equal(value, untouched[name]) for name, value in trained.network.encoder.state_dict().items())
    assert not trained.network.head.bias.any()


def test_descriptions_decide_and_a_name_stands_for_one_that_is_missing(make_job: MakeJob) -> None:
    turned = {"sports": TOLD["tech"], "tech": TOLD["sports"]}
    wrong = train(make_job({"kind": "zero_shot", "descriptions": turned})).validation.named["accuracy"]
    named = train(make_job("zero_shot")).validation.named["accuracy"]
    assert wrong < 0.5 < named


def test_outputs_are_as_sure_as_the_validation_rows_bear_out(make_job: MakeJob) -> None:
    trained = train(make_job({"kind": "zero_shot", "descriptions": TOLD}))
    assert trained.validation.loss < torch.tensor(3.0).log()
    assert trained.details["factor"] > 1
    assert trained.validation.loss == pytest.approx(trained.validation.named["loss"])
