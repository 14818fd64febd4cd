"""The models in use, loop by loop. `watch` fills the slots, `router` says which of them answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lakeloop.inference.predictor import Predictor
from lakeloop.registry.trials import Phase, Trial
from lakeloop.serving.tally import Tally


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

    def same(self, other: Release) -> bool:
        """Both are one version."""
        return (self.version, self.digest) == (other.version, other.digest)


@dataclass(frozen=True)
class Named:
    """Which versions the registry names, by one read of it."""

    champion: Release | None = None
    """None before the first release."""
    challenger: Release | None = None
    """The version beside the champion; None when there is no trial."""
    trial: Trial | None = None
    """The challenger's phase."""


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
    """A place for one model. Any thread may read it; `watch` alone fills it, by one assignment each."""

    model: ServedModel | None = None
    refused: Refusal | None = None
    """The version that should answer here, when its artifact is bad."""
    postponed: str = ""
    """Why the last look for a version failed; empty when it did not."""
    looked: bool = False
    """A first look for a version has ended, one way or another."""


@dataclass(frozen=True)
class Challenger:
    """A version beside the champion, in one phase of its trial."""

    release: Release
    trial: Trial
    tally: Tally
    """How it does in this phase."""
    model: ServedModel | None = None
    """None while it is loaded, and when it is refused."""
    refused: Refusal | None = None
    postponed: str = ""
    """Why the last try to load it failed; empty when it did not."""


@dataclass
class ChallengerSlot:
    """The place beside the champion. Any thread may read it; `watch` alone fills it, by one assignment."""

    now: Challenger | None = None

    def asked_in(self, phase: Phase) -> Challenger | None:
        """The challenger in that phase, when it is loaded."""
        found = self.now
        return found if found and found.model and found.trial.phase == phase else None


@dataclass(frozen=True)
class Slots:
    """The places for models of one loop."""

    loop: str
    champion: Slot = field(default_factory=Slot)
    challenger: ChallengerSlot = field(default_factory=ChallengerSlot)
