"""The baseline: fixed sentence embeddings and logistic regression. What every fine-tune has to beat.

Run as `python -m training.baseline --config WORKDIR/config.json`.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from training.data import Batch
from training.embed import cache_key, read_cached, run, write_cached
from training.head import fit_head
from training.job import Job, Trained, main
from training.model import TextClassifier, load_encoder


def train_baseline(job: Job) -> Trained:
    """Fit a linear head on the embeddings of the untouched base model."""
    dataset, train = job.dataset, job.config.train
    encoder = load_encoder(job.base, train.max_tokens)
    model = TextClassifier(encoder, len(dataset.labels)).to(job.device.target)
    embeddings = _embeddings(job, model)
    rows = len(dataset.train)
    with job.timed("fit"):
        head = fit_head(embeddings[:rows], dataset.train.labels, embeddings[rows:], dataset.validation.labels)
    head.put_into(model.head)
    job.tracker.log({f"validation/{name}": value for name, value in head.validation.as_dict().items()})
    return Trained(
        model=model,
        method="logistic_regression",
        validation=head.validation,
        details={"regularisation": head.regularisation},
    )


def _embeddings(job: Job, model: TextClassifier) -> NDArray[np.float32]:
    """Embeddings of the training rows, then of the validation rows, float32 [rows, hidden]."""
    texts = job.dataset.train.texts + job.dataset.validation.texts
    folder = job.config.cache / "embeddings"
    key = cache_key(job.base, texts, job.config.train.max_tokens, job.device)
    if (cached := read_cached(folder, key, len(texts))) is not None:
        return cached
    tokens = job.tokenise()

    def embed(batch: Batch) -> torch.Tensor:
        return model.embed(*job.device.place(batch))

    with job.timed("embed"):
        embeddings = run(embed, tokens, np.arange(len(texts)), job.device, "embedding")
    write_cached(folder, key, embeddings)
    return embeddings


if __name__ == "__main__":
    main("baseline", train_baseline)
