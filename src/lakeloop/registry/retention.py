"""What of a loop's models is needed no more: a plan by section `keep` of the loop file, and carrying it out.

Weights go; records, evidence, reports and descriptions stay, so that every question about a model that is
gone can still be answered. A removal that is killed is finished by the next: a version is said to be gone in
the registry before its files go, and a candidate is looked for by what the ledger names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from lakeloop.artifact import CANDIDATES, candidate_folder
from lakeloop.lake.files import LakeFiles, Stored
from lakeloop.records import EXPERIMENT, Frozen, StageRecord
from lakeloop.registry.history import History, ModelVersion
from lakeloop.registry.registry import Registry
from lakeloop.registry.stored import keep_description
from lakeloop.search.stored import search_of
from lakeloop.spec.train import BEST, CHAMPION
from lakeloop.spec.watch import Keep

MODELS = "models"
_AT_WORK = timedelta(hours=1)
"""An evaluation may be reading a candidate that was used so lately."""
_REIGNED = timedelta(days=7)
"""A version that was champion so lately may still be what a server that is slow to look answers with."""


class _Look(NamedTuple):
    """A folder, and why it is needed or may go."""

    stored: Stored
    needed: str
    """Empty for one that may go."""
    reason: str = ""
    version: str = ""


class Going(Frozen):
    """A folder of the lake that is needed no more."""

    name: str
    bytes: int
    reason: str
    version: str = ""
    """The version whose weights it has; empty for a candidate."""


class Plan(Frozen):
    """What goes, and what stays and why."""

    going: tuple[Going, ...]
    staying: dict[str, str]
    """Folder -> why it is needed."""

    @property
    def bytes(self) -> int:
        return sum(each.bytes for each in self.going)


def plan(
    files: LakeFiles, history: History, entries: Sequence[StageRecord], keep: Keep, at: datetime
) -> Plan:
    """What retention would remove at the moment `at`; changes nothing. `entries` are all of the ledger.

    Raises:
        ArtifactError: a search is not in the lake as it was stored.
    """
    going: list[Going] = []
    staying: dict[str, str] = {}
    for found in (*_candidates(files, entries, keep, at), *_versions(files, history, keep, at)):
        name = found.stored.name
        if found.needed:
            staying[name] = found.needed
        else:
            size = found.stored.bytes
            going.append(Going(name=name, bytes=size, reason=found.reason, version=found.version))
    return Plan(going=tuple(going), staying=staying)


def carry_out(going: Collection[Going], registry: Registry, files: LakeFiles, scratch: Path) -> None:
    """Remove what a plan lists; `scratch` is an empty folder.

    Raises:
        FenceError: the champion was moved since the plan was made; what it had removed by then is gone.
    """
    versions = [each for each in going if each.version]
    for each in versions:
        keep_description(files, each.version, scratch / each.version)
    if versions:
        registry.forget({each.version: each.reason for each in versions})
    for each in going:
        files.remove(each.name)


def _candidates(
    files: LakeFiles, entries: Sequence[StageRecord], keep: Keep, at: datetime
) -> Iterator[_Look]:
    stored, days = files.stored(CANDIDATES), keep.candidate_days
    needed, last = _needed(files, entries), _last_named(files, entries)
    used = {
        each.name: max(filter(None, (last.get(each.name), each.written_at)), default=at) for each in stored
    }
    beyond = _beyond(used, needed, keep, at)
    for each in stored:
        named = last.get(each.name)
        if reason := needed.get(each.name):
            yield _Look(each, reason)
        elif days is not None and used[each.name] <= at - timedelta(days=days):
            what = f"last used on {named:%Y-%m-%d}" if named else "no record names it"
            yield _Look(each, "", f"{what}, more than {days} days ago (keep.candidate_days)")
        elif each.name in beyond:
            yield _Look(each, "", f"{keep.candidates} others were used later (keep.candidates)")
        else:
            until = f"it was used less than {days} days ago" if days else "candidates stay"
            yield _Look(each, until)


def _beyond(
    used: Mapping[str, datetime], needed: Mapping[str, str], keep: Keep, at: datetime
) -> frozenset[str]:
    """The candidates that nothing needs and that are too many, those that were used last not among them."""
    if (most := keep.most_candidates) is None:
        return frozenset()
    others = sorted(used.keys() - needed.keys(), key=lambda name: (used[name], name), reverse=True)
    return frozenset(name for name in others[most:] if used[name] < at - _AT_WORK)


def _needed(files: LakeFiles, entries: Sequence[StageRecord]) -> dict[str, str]:
    """Folder of a candidate -> why it is needed however old it is; those of experiments only age."""
    found = _asked_of_experiments(files, entries)
    newest: dict[str, StageRecord] = {}
    for entry in _done(entries):
        if entry.stage.startswith("train-") and not entry.experiment:
            newest[entry.stage] = entry
    for entry in newest.values():
        found |= dict.fromkeys(_folders(files, entry), f"it is what {entry.title} left last")
    judged = [name for entry in _open(entries) for name in _judged(entry)]
    return found | dict.fromkeys(judged, "the gate may be asked about its evaluation")


def _asked_of_experiments(files: LakeFiles, entries: Sequence[StageRecord]) -> dict[str, str]:
    """Folder of a candidate of an experiment that is not evaluated yet -> why it is needed."""
    newest: dict[str, StageRecord] = {}
    for entry in _done(entries):
        if not entry.experiment:
            continue
        if entry.stage.startswith("train-"):
            newest[entry.stage] = entry
        elif entry.stage.startswith("evaluate"):
            newest = {name: each for name, each in newest.items() if each.experiment != entry.experiment}
    return {
        name: f"experiment {entry.experiment} may be evaluated"
        for entry in newest.values()
        for name in _folders(files, entry)
    }


def _open(entries: Sequence[StageRecord]) -> list[StageRecord]:
    """The newest evaluation, and those before it that wait for a decision: none later was decided on."""
    decided = {entry.inputs.get("evaluation") for entry in entries if entry.stage == "release"}
    evaluations = [entry for entry in _done(entries) if entry.stage == "evaluate"]
    waiting = []
    for entry in reversed(evaluations):
        if entry.fingerprint in decided:
            break
        waiting.append(entry)
    return [*waiting, *evaluations[-1:]]


def _last_named(files: LakeFiles, entries: Sequence[StageRecord]) -> dict[str, datetime]:
    """Folder of a candidate -> when a training or an evaluation used it last."""
    found: dict[str, datetime] = {}
    for entry in _done(entries):
        if entry.stage.startswith("train-"):
            names = _folders(files, entry)
        elif entry.stage.partition(EXPERIMENT)[0] == "evaluate":
            names = _judged(entry)
        else:
            continue
        for name in names:
            found[name] = max(found.get(name, entry.provenance.finished_at), entry.provenance.finished_at)
    return found


def _folders(files: LakeFiles, training: StageRecord) -> list[str]:
    """The folders of the models that a training left: a search leaves its best few."""
    search = search_of(files, training)
    kept = [model.artifact for model in search.kept] if search else []
    return [name for name in (training.outputs.get("artifact"), *kept) if name]


def _judged(evaluation: StageRecord) -> list[str]:
    """The folders of the candidates of an evaluation; its champion has a folder among the versions."""
    others = (CHAMPION, BEST, "dataset")
    return [candidate_folder(digest) for name, digest in evaluation.inputs.items() if name not in others]


def _done(entries: Sequence[StageRecord]) -> Iterator[StageRecord]:
    return (entry for entry in entries if entry.status == "done")


def _versions(files: LakeFiles, history: History, keep: Keep, at: datetime) -> Iterator[_Look]:
    needed = _needed_versions(history, keep, at)
    for each in files.stored(MODELS):
        version = history.versions.get(name := each.name.partition("/")[2])
        if version is None:  # being registered, or left by a registration that was killed
            yield _Look(each, "it may be in the middle of its registration")
        else:
            yield _Look(each, needed.get(name, ""), _why_gone(version, history, keep), name)


def _why_gone(version: ModelVersion, history: History, keep: Keep) -> str:
    if gone := history.forgotten.get(version.name):
        return f"{gone}; its removal was not finished"
    return f"it is not among the newest {keep.versions} versions (keep.versions)"


def _needed_versions(history: History, keep: Keep, at: datetime) -> Mapping[str, str]:
    present = [name for name in history.versions if name not in history.forgotten]
    if keep.versions is None:
        return dict.fromkeys(present, "versions stay")
    newest = present[-keep.versions :]
    reigned = {
        name: f"it was champion until {move.moved_at:%Y-%m-%d}"
        for move in history.moves
        if move.moved_at > at - _REIGNED and (name := move.previous)
    }
    aliases = {name: f"it is the {aliases[0]}" for name in present if (aliases := history.aliases_of(name))}
    best = {history.best.name: "candidates are judged against it: the best version"} if history.best else {}
    return {**dict.fromkeys(newest, f"it is among the newest {keep.versions}"), **reigned, **best, **aliases}
