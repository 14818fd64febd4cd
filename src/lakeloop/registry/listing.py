"""What a person asks first of a registry: its versions with their scores, and the moves of the champion."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from lakeloop.measures.base import MetricSpec
from lakeloop.records import Frozen, StageRecord
from lakeloop.registry.history import Answer, History, Move
from lakeloop.registry.trials import Trial, TrialEnd


class Listed(Frozen):
    """One version in short."""

    version: str
    aliases: tuple[str, ...]
    candidate: str
    method: str
    score: float | None
    """By the loop's metric, on the test rows it was let in on; None where the card does not have it."""
    dataset_day: str
    """The newest day of the data set it was trained on; empty where the ledger does not say it any more."""
    registered_at: datetime
    decision: str
    """Why the gate let it in, a sentence."""
    digest: str
    """Of the artifact."""
    dataset_digest: str


class Listing(Frozen):
    """The versions of a loop, the newest first, and the moves of its champion, oldest first."""

    loop: str
    metric: str
    """What the score is called, for people."""
    versions: tuple[Listed, ...]
    moves: tuple[Move, ...]
    trial: Trial | None = None
    """Of a version beside the champion, that goes on."""
    trial_ends: tuple[TrialEnd, ...] = ()
    """Of versions that did not become champion, oldest first."""
    superseded: tuple[Answer, ...] = ()
    """Questions to a person that a newer candidate ended, oldest first."""


def list_versions(loop: str, history: History, metric: MetricSpec, entries: Iterable[StageRecord]) -> Listing:
    """The listing of a registry; `entries` are those of the ledger, for the days of the data sets."""
    days = days_of_datasets(entries)
    versions = tuple(
        Listed(
            version=version.name,
            aliases=history.aliases_of(version.name),
            candidate=version.card.candidate,
            method=version.card.method,
            score=version.card.metrics.get(metric.name),
            dataset_day=days.get(version.card.dataset_digest, ""),
            registered_at=version.created_at,
            decision=version.card.decision.reason,
            digest=version.digest,
            dataset_digest=version.card.dataset_digest,
        )
        for version in reversed(tuple(history.versions.values()))
    )
    moves = tuple(move for move in history.moves if move.alias == "champion")
    return Listing(
        loop=loop,
        metric=metric.title,
        versions=versions,
        moves=moves,
        trial=history.trial,
        trial_ends=history.trial_ends,
        superseded=tuple(answer for answer in history.answers if answer.superseded_by),
    )


def days_of_datasets(entries: Iterable[StageRecord]) -> dict[str, str]:
    """Digest of a data set -> the newest day that it was frozen for."""
    found: dict[str, str] = {}
    for entry in entries:
        if entry.stage == "dataset" and entry.status == "done":
            digest = entry.outputs["digest"]
            found[digest] = max(found.get(digest, ""), entry.partition)
    return found
