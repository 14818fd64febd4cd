"""The fine-tune: weights of the base model are moved, by one of three methods (see `training.methods`).

Run as `python -m training.finetune --config WORKDIR/config.json`.
"""

from __future__ import annotations

from dataclasses import asdict

from lakeloop.spec.models import Method
from training.attention import fuse_attention, restore_attention
from training.fit import Fit
from training.frozen import FrozenLayers, worth_keeping
from training.job import Job, Trained, main
from training.methods import close_weights, open_weights
from training.model import TextClassifier, load_encoder

LEARNING_RATES: dict[Method, float] = {"top_layers": 3e-4, "lora": 5e-4, "full": 1e-4}
"""Used where the loop file names none."""


def train_finetune(job: Job) -> Trained:
    """Train by the method of the loop file; the best epoch on validation is kept."""
    train = job.config.train
    tokens = job.tokenise()
    encoder = load_encoder(job.base, train.max_tokens)
    fuse_attention(encoder)
    model = TextClassifier(encoder, len(job.dataset.labels))
    frozen = open_weights(model, train)
    model.to(job.device.target)
    network, feed = model, job.device.place
    if worth_keeping(tokens, model.head.in_features, frozen, job.device):
        with job.timed("frozen layers"):
            layers = FrozenLayers(model, frozen, tokens, job.device)
        network, feed = layers.model, layers.feed
    fit = Fit(
        network=network,
        feed=feed,
        tokens=tokens,
        dataset=job.dataset,
        train=train,
        learning_rate=train.learning_rate or LEARNING_RATES[train.method],
        frozen_layers=frozen,
        device=job.device,
        tracker=job.tracker,
    )
    with job.timed("train"):
        epochs, best = fit.run()
    close_weights(model)
    restore_attention(model.encoder)
    return Trained(
        model=model,
        method=train.method,
        validation=best.validation,
        details={
            "learning_rate": fit.learning_rate,
            "best_epoch": best.number,
            "epochs": [asdict(epoch) for epoch in epochs],
            "trained_weights": sum(p.numel() for p in model.parameters() if p.requires_grad),
        },
    )


if __name__ == "__main__":
    main("finetune", train_finetune)
