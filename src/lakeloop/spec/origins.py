"""Where the value of a setting is from, for a person who reads a log, a card or a W&B run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from lakeloop.spec.train import BASELINE, Candidate, Train

Origin = Literal["search", "run", "loop file", "method", "default"]
"""A trial of a search, one run's change, the loop file, what suits the method where the file leaves it open,
or our default."""

_METHOD = "method"


def origins_of(train: Train, candidate: Candidate, changes: Mapping[str, Any]) -> dict[str, Origin]:
    """The origin of each of `train.settings_of(candidate)`.

    `train` is that of the run, with its `changes` (dotted key of the loop file -> value) made already.
    """
    return {
        key: _of_method(train, candidate, key, changes)
        if key.partition(".")[0] == _METHOD
        else _of_shared(train, candidate, key, changes)
        for key in train.settings_of(candidate)
    }


def _of_shared(train: Train, candidate: Candidate, key: str, changes: Mapping[str, Any]) -> Origin:
    if f"train.{key}" in changes:
        return "run"
    section, _, own = key.partition(".")
    value = getattr(train, section)
    if own:  # of an extra
        return "loop file" if own in value.model_fields_set else "default"
    if value is None and key in candidate.method.usual:
        return "method"
    return "loop file" if key in train.model_fields_set else "default"


def _of_method(train: Train, candidate: Candidate, key: str, changes: Mapping[str, Any]) -> Origin:
    """Of `method` itself, or of a key of its own, `method.<key>`."""
    if not train.candidates and candidate.name == BASELINE.name:
        return "default"  # `train.method` is that of the other one
    section = f"train.candidates.{candidate.name}" if train.candidates else "train"
    if f"{section}.{key}" in changes:
        return "run"
    own = key.removeprefix(f"{_METHOD}.")
    said = own == _METHOD or own in candidate.method.model_fields_set
    written = bool(train.candidates) or _METHOD in train.model_fields_set
    return "loop file" if said and written else "default"
