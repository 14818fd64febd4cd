"""The one training job: the candidate of its config, by its method, for its task.

Run as `python -m training.train --config WORKDIR/config.json`.
"""

from __future__ import annotations

from dataclasses import replace

from training.extras.augment import augmented
from training.extras.calibration import calibrated
from training.extras.quantise import to_quantise
from training.extras.vote import trained_by_vote
from training.job import Job, Trained, main
from training.methods.registry import method_of
from training.tasks.registry import training_task


def train(job: Job) -> Trained:
    """Train as the config says.

    Raises:
        ConfigurationError: the method does not fit the task or the base model, or its settings do not.
    """
    told = augmented(job)
    method, task = method_of(job.config.candidate.method), training_task(job.dataset.contract)
    several = job.config.train.vote > 1
    trained = trained_by_vote(job, task, method) if several else method.train(job, task)
    trained = calibrated(job, task, trained)
    return to_quantise(job, replace(trained, details={**trained.details, **told}))


if __name__ == "__main__":
    main(train)
