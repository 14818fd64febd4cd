"""Versions that are champions without an evaluation, for tests of what shows and moves them."""

from __future__ import annotations

from pathlib import Path

from lakeloop.gate.decide import Decision
from lakeloop.registry.history import ModelCard, ModelVersion
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.session import StageContext
from tests.support.artifacts import make_artifact


def registered(context: StageContext, folder: Path, number: int = 1) -> ModelVersion:
    """A version of its own for each `number`; it answers by the words of two desks."""
    make_artifact(folder / f"artifact-{number}", ("sports", "tech"), loop=context.loop.name, seed=number)
    card = ModelCard(
        candidate="baseline",
        method="keywords",
        dataset_digest="d" * 64,
        metrics={"macro_f1": 0.8125},
        decision=Decision(accepted=None, reason="for the test", checks=()),
    )
    return Registry(context.lake).register(folder / f"artifact-{number}", card)


def released(context: StageContext, folder: Path, number: int = 1) -> ModelVersion:
    """The version of that number, made champion."""
    registry = Registry(context.lake)
    before, version = registry.champion(), registered(context, folder, number)
    registry.promote(
        version.name, over=before.name if before else None, reason=f"release {number}", cause=f"{number}"
    )
    return version
