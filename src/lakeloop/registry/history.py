"""What the registry says at one version of its table: models, moves of aliases, and what follows from them.

The table is a history: events are appended and never changed, and where an alias points now is its last
move. Writing events is `registry`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from lakeloop.gate.decide import Decision
from lakeloop.measures.abstaining import Threshold
from lakeloop.records import Formatted, Frozen
from lakeloop.registry.trials import ENDED, TRIED, Trial, TrialEnd, end_of, trial_of

Alias = Literal["champion", "previous"]
"""What moves are of. `previous` is no longer written: the way back follows from the moves of the champion."""

REGISTERED = "registered"
MOVED = "moved"
ROLLBACK = "rollback"
"""The cause of a move back that a person asked for."""
FORGOTTEN = "forgotten"
ANSWERED = "answered"
"""What happened: a person, or the end of the time to answer, decided on a candidate that the gate lets in."""
BY_HAND = "by hand"
"""The cause of a promotion that a person asked for, whatever the gate said."""


CARD_FORMAT = 2
"""Version of cards: 1 did not name the evidence."""


class Answer(Frozen):
    """Whether a candidate that the gate lets in may become champion, as a person said."""

    sequence: int
    evaluation: str
    """Fingerprint of the evaluation that the candidate stood in."""
    candidate: str
    """Digest of its artifact."""
    approved: bool
    by: str
    """The user who answered; empty where nobody did: the time ended, or a newer candidate came."""
    reason: str
    answered_at: datetime
    superseded_by: str = Field(default="", exclude_if=lambda day: not day)
    """Day of the newer candidate that a person is asked about instead: an end of the question that neither
    approves nor rejects. Empty for an answer."""
    newer: str = Field(default="", exclude_if=lambda evaluation: not evaluation)
    """Fingerprint of the evaluation of that candidate."""

    @property
    def title(self) -> str:
        """For people: who said what, and why."""
        if self.superseded_by:
            return f"superseded by the candidate of {self.superseded_by}"
        verdict = "approved" if self.approved else "rejected"
        return f"{verdict} by {self.by or 'nobody in time'}: {self.reason}"


class ModelCard(Formatted):
    """What is known of a version besides its name and digest."""

    newest_format: ClassVar[int] = CARD_FORMAT

    format: int = 1
    candidate: str
    """Its name in the loop file."""
    method: str
    dataset_digest: str
    metrics: dict[str, float] = Field(default_factory=dict)
    """Scores on the test rows, by name."""
    evidence: str = ""
    """Digest of the evidence on which the gate accepted it; empty for an evaluation that left no evidence."""
    decision: Decision
    """The decision of the gate that accepted it."""
    thresholds: tuple[Threshold, ...] = Field(default=(), exclude_if=lambda known: not known)
    """By which its answers can be held back, see `deploy.abstain`; none of versions that were evaluated
    before there were any, and of tasks without."""
    answer: Answer | None = Field(default=None, exclude_if=lambda answer: answer is None)
    """What a person said to it, where the loop asks one."""


class ModelVersion(Frozen):
    """One immutable model."""

    name: str
    """v1, v2, ..."""
    digest: str
    """Digest of the artifact."""
    card: ModelCard
    created_at: datetime
    run_id: str

    @property
    def number(self) -> int:
        return int(self.name.removeprefix("v"))

    @property
    def folder_name(self) -> str:
        """Name of the artifact's folder in the lake."""
        return f"models/{self.name}"


class Move(Frozen):
    """An alias that was pointed at a version."""

    sequence: int
    alias: Alias
    version: str
    previous: str | None
    """The version that the alias pointed at before."""
    reason: str
    moved_at: datetime
    run_id: str
    cause: str
    """What asked for the move: the fingerprint of an evaluation, `ROLLBACK` or `BY_HAND`."""
    by: str = ""
    """The user who asked for it; empty for a stage, and where an earlier version did not note it."""


@dataclass(frozen=True)
class History:
    """The registry as one version of its table has it."""

    table_version: int
    length: int
    """Events."""
    versions: Mapping[str, ModelVersion]
    """By name, oldest first."""
    moves: tuple[Move, ...]
    """Oldest first."""
    forgotten: Mapping[str, str] = field(default_factory=dict)
    """Name of a version whose weights are gone -> why; what describes it is there."""
    answers: tuple[Answer, ...] = ()
    """Of persons to candidates that the gate lets in, oldest first."""
    trials: tuple[Trial, ...] = ()
    """Phases of versions beside the champion, oldest first."""
    trial_ends: tuple[TrialEnd, ...] = ()
    """Of those that did not become champion, oldest first."""

    @property
    def trial(self) -> Trial | None:
        """The phase that goes on now; None when no version is beside the champion.

        A trial ends when it is said to, and by any move of the champion, to its version or to another.
        """
        last = self.trials[-1] if self.trials else None
        moved = self.last_move("champion")
        ended = self.trial_ends[-1].sequence if self.trial_ends else 0
        over = max(ended, moved.sequence if moved else 0)
        return last if last and last.sequence > over else None

    def tried_by(self, cause: str) -> Trial | None:
        """The newest phase of a trial with this `cause`, also when it is over."""
        return next((trial for trial in reversed(self.trials) if trial.cause == cause), None)

    def end_of(self, trial: Trial) -> TrialEnd | Move | Trial | None:
        """What ended a phase of a trial: its version was taken out, the champion moved, or a phase followed.

        None while it goes on.
        """
        moves = [move for move in self.moves if move.alias == "champion"]
        found: list[TrialEnd | Move | Trial] = [*self.trials, *self.trial_ends, *moves]
        after = [each for each in found if each.sequence > trial.sequence]
        return min(after, key=lambda each: each.sequence, default=None)

    def answer_to(self, evaluation: str, candidate: str = "") -> Answer | None:
        """The newest answer in this evaluation, to the candidate with this digest where one is named."""
        of_evaluation = (answer for answer in reversed(self.answers) if answer.evaluation == evaluation)
        return next((answer for answer in of_evaluation if candidate in ("", answer.candidate)), None)

    def is_closed(self, answer: Answer) -> bool:
        """Whether a person can no longer answer what `answer` ended.

        A question that a newer candidate ended stays so until a person, or the end of the time, has rejected
        that one. Any other answer can be followed by another.
        """
        if not answer.superseded_by:
            return False
        newer = self.answer_to(answer.newer)
        return newer is None or newer.approved or self.is_closed(newer)

    def alias(self, alias: Alias) -> ModelVersion | None:
        """The version that `alias` points at now; None before its first move."""
        move = self.last_move(alias)
        return self.versions[move.version] if move else None

    def last_move(self, alias: Alias) -> Move | None:
        """The newest move of `alias`; None before its first."""
        return next((move for move in reversed(self.moves) if move.alias == alias), None)

    @property
    def way_back(self) -> tuple[ModelVersion, ...]:
        """The versions that a rollback can go back to, one after the other; the last is the next.

        Each was champion, and its place was taken by a promotion: a version that was rolled back is not
        among them until it is promoted again, or until somebody goes back to it by name. One whose weights
        are gone is not among them either.
        """
        stack: list[str] = []
        for move in self.moves:
            if move.alias != "champion":
                continue
            if move.cause == ROLLBACK and move.version in stack:
                while stack[-1] != move.version:
                    stack.pop()
            else:
                stack.append(move.version)
        return tuple(self.versions[name] for name in stack[:-1] if name not in self.forgotten)

    @property
    def best(self) -> ModelVersion | None:
        """The best version of the history, which the champion was not shown to be better than.

        None where that is the champion itself, or where the weights of that version are gone.
        """
        champion = self.alias("champion")
        name = champion.card.decision.best if champion else ""
        return None if name in self.forgotten else self.versions.get(name)

    @property
    def previous(self) -> ModelVersion | None:
        """The version that a rollback goes back to; None when there is none left."""
        return next(reversed(self.way_back), None)

    def aliases_of(self, version: str) -> tuple[str, ...]:
        """What points at this version now: `champion`; `previous`, which a rollback goes back to; a trial."""
        named = {"champion": self.alias("champion"), "previous": self.previous}
        aliases = [alias for alias, found in named.items() if found and found.name == version]
        trial = self.trial
        return (*aliases, *([trial.phase] if trial and trial.version == version else []))

    def made_champion_by(self, cause: str) -> Move | None:
        """The newest move of the champion with this `cause`, also when the alias was moved on since."""
        moves = (move for move in reversed(self.moves) if move.alias == "champion")
        return next((move for move in moves if move.cause == cause), None)

    def by_digest(self, digest: str) -> ModelVersion | None:
        """The version with this artifact; None when it was not registered, or its weights are gone."""
        present = (version for name, version in self.versions.items() if name not in self.forgotten)
        return next((version for version in present if version.digest == digest), None)


def read_history(rows: Iterable[Mapping[str, Any]], table_version: int) -> History:
    """The history from the rows of the table, in any order.

    Raises:
        NewerFormatError: a newer version of Lakeloop registered one of the models.
    """
    versions: dict[str, ModelVersion] = {}
    moves: list[Move] = []
    forgotten: dict[str, str] = {}
    answers: list[Answer] = []
    trials: list[Trial] = []
    ends: list[TrialEnd] = []
    ordered = sorted(rows, key=lambda row: row["sequence"])
    for row in ordered:
        if row["event"] == REGISTERED:
            versions[row["version"]] = _version(row)
        elif row["event"] == FORGOTTEN:
            forgotten[row["version"]] = row["reason"]
        elif row["event"] == ANSWERED:
            answers.append(_answer(row))
        elif row["event"] == TRIED:
            trials.append(trial_of(row))
        elif row["event"] == ENDED:
            ends.append(end_of(row))
        else:
            moves.append(_move(row))
    return History(
        table_version,
        len(ordered),
        versions,
        tuple(moves),
        forgotten,
        tuple(answers),
        tuple(trials),
        tuple(ends),
    )


def _version(row: Mapping[str, Any]) -> ModelVersion:
    card = ModelCard.model_validate_json(row["record"], context={"where": f"card of model {row['version']}"})
    return ModelVersion(
        name=row["version"],
        digest=row["digest"],
        card=card,
        created_at=row["recorded_at"],
        run_id=row["run_id"],
    )


def _move(row: Mapping[str, Any]) -> Move:
    return Move(
        sequence=row["sequence"],
        alias=row["alias"],
        version=row["version"],
        previous=row["previous"],
        reason=row["reason"],
        moved_at=row["recorded_at"],
        run_id=row["run_id"],
        cause=row["record"],
        by=row.get("moved_by") or "",
    )


def _answer(row: Mapping[str, Any]) -> Answer:
    return Answer(
        sequence=row["sequence"],
        candidate=row["digest"],
        by=row.get("moved_by") or "",
        reason=row["reason"],
        answered_at=row["recorded_at"],
        **json.loads(row["record"]),
    )
