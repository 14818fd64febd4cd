"""The models in use, loop by loop. `watcher` fills the slots, `router` says which of them answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lakeloop.inference.predictor import Predictor


@dataclass(frozen=True)
class Release:
    """What the registry says about a version."""

    version: str
    """Its name in the registry, as in `v3`."""
    digest: str
    """Of the artifact that was registered (`Artifact.digest`)."""
    scores: Mapping[str, float]
    """Of the evaluation that let it through the gate."""
    below: float = 0.0
    """Answers that are less probable are held back; 0: none."""


@dataclass(frozen=True)
class ServedModel:
    """A version that answers."""

    release: Release
    predictor: Predictor
    loaded_at: datetime


@dataclass(frozen=True)
class Refusal:
    """A version that was not taken into use."""

    release: Release
    reason: str
    at: datetime


@dataclass
class Slot:
    """A place for one model. Any thread may read it; one thread fills it, by one assignment each."""

    model: ServedModel | None = None
    refused: Refusal | None = None
    """The version that should answer here, when its artifact is bad."""
    postponed: str = ""
    """Why the last look for a version failed; empty when it did not."""
    looked: bool = False
    """A first look for a version has ended, one way or another."""


@dataclass(frozen=True)
class Slots:
    """The places for models of one loop."""

    loop: str
    champion: Slot = field(default_factory=Slot)
