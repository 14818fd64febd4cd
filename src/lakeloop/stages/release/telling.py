"""What the tracker is told of versions: artifacts that refer to the lake, and their aliases.

A tracker that is told of the same artifact again has no second one: the aliases move there. So a move needs
no question to the server, and goes through the journal like everything else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lakeloop.durable import write_atomically
from lakeloop.records import now
from lakeloop.registry.history import ROLLBACK

if TYPE_CHECKING:
    from lakeloop.lake.store import Lake
    from lakeloop.registry.history import History, ModelVersion
    from lakeloop.stages.frame.session import StageContext
    from lakeloop.tracking.tracker import Tracker

CHAMPION, ROLLED_BACK = "champion", "rolled-back"
"""Aliases of the artifact. `rolled-back` is the one that was rolled back last. W&B gives what
it was told of last the alias `latest`."""


def tell_version(tracker: Tracker, lake: Lake, work: Path, version: ModelVersion, *aliases: str) -> None:
    """Tell of a version under its name and `aliases`; `work` keeps what is told until it is mirrored.

    The card and a reference, not the weights: the training that made them has them in its own run.
    """
    # W&B counts versions of an artifact itself, from v0 on: an alias `v3` would be another one of them.
    named = f"registry-{version.name}"
    path = work / f"{version.name}.json"
    write_atomically(path, version.model_dump_json(indent=2) + "\n")
    uri, card = lake.files.uri(version.folder_name), version.card
    tracker.artifact(
        f"{lake.loop}-model",
        "model",
        path,
        {
            "version": version.name,
            "digest": version.digest,
            "uri": uri,
            "candidate": card.candidate,
            "method": card.method,
            "dataset": card.dataset_digest,
            "registered_by": version.run_id,
            **{f"test/{name}": score for name, score in card.metrics.items()},
        },
        aliases=(named, *aliases),
        refers_to=uri,
    )


def tell_move(context: StageContext, history: History) -> None:
    """Tell of the newest move of the champion, which a person asked for; `history` has it."""
    move = history.last_move("champion")
    if move is None:
        return
    day = f"{now():%Y-%m-%d}"
    said = {"version": move.version, "previous": move.previous, "cause": move.cause, "by": move.by}
    lake, work = context.lake, context.work("registry", day)
    with context.tracked("registry", day, {**said, "reason": move.reason}) as tracker:
        if move.cause == ROLLBACK and move.previous:
            tell_version(tracker, lake, work, history.versions[move.previous], ROLLED_BACK)
        tell_version(tracker, lake, work, history.versions[move.version], CHAMPION)
        tracker.summary(said)
