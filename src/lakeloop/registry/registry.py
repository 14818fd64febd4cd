"""Registering versions and moving aliases, each as one compare-and-swap on the table `registry`.

A writer appends its events to the version of the table that it read, or fails: two releases at once cannot
both win, and a decision is never carried out on another champion than it was made against. What the events
mean is `history`; which model deserves to be champion is the gate's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from lakeloop.artifact import MANIFEST, open_artifact
from lakeloop.errors import ConfigurationError, FenceError
from lakeloop.registry.events import in_turn, moved, require_reason
from lakeloop.registry.history import (
    ANSWERED,
    BY_HAND,
    FORGOTTEN,
    REGISTERED,
    ROLLBACK,
    Answer,
    History,
    ModelCard,
    ModelVersion,
)
from lakeloop.registry.stored import require_artifact
from lakeloop.registry.trying import Trying


class Registry(Trying):
    """The registry of one loop. Every call reads the newest state."""

    def champion(self) -> ModelVersion | None:
        """The current champion; None before the first release."""
        return self.read().alias("champion")

    def register(self, artifact: Path, card: ModelCard) -> ModelVersion:
        """Store an artifact folder as the next version; the same artifact again is the same version.

        The folder is stored before the event: a version in the history has its folder. A folder that a killed
        registration of the same artifact left behind is taken over.

        Raises:
            ArtifactError: `artifact` is not whole.
            FenceError: another writer changed the registry meanwhile.
        """
        opened, files = open_artifact(artifact), self._lake.files
        return self._register(
            opened.digest, opened.files[MANIFEST], card, lambda name: files.put(artifact, name, opened.files)
        )

    def register_stored(self, folder: str, digest: str, card: ModelCard) -> ModelVersion:
        """As `register`, of the artifact in this folder of the lake, which is read once, to be copied.

        Raises:
            ArtifactError: it is not whole, or is another one than `digest` says.
            FenceError: another writer changed the registry meanwhile.
        """
        files = self._lake.files
        require_artifact(files, folder, digest)
        manifest = files.manifest(folder)[MANIFEST]
        return self._register(digest, manifest, card, lambda name: files.copy(folder, name))

    def _register(
        self, digest: str, manifest: str, card: ModelCard, store: Callable[[str], object]
    ) -> ModelVersion:
        """`manifest` is the sha256 of the artifact's; `store` puts the artifact into the folder called so."""
        history = self.read()
        if known := history.by_digest(digest):
            return known
        name = self._free_name(history, manifest)
        store(f"models/{name}")
        event = {"event": REGISTERED, "version": name, "digest": digest, "record": card.model_dump_json()}
        self._append(history, [event])
        return self.require(self.read(), name)

    @in_turn
    def promote(self, version: str, *, over: str | None, reason: str, cause: str) -> None:
        """Make `version` champion. When it is champion already, nothing happens.

        Args:
            version: name of a registered version.
            over: name of the champion that the decision was made against; None when there was none.
            reason: a sentence for people.
            cause: what asked for it (see `Move.cause`).

        Raises:
            ConfigurationError: there is no such version.
            FenceError: the champion is another one than `over`, or changed meanwhile.
        """
        history = self.read()
        target = self.require(history, version)
        champion = history.alias("champion")
        if champion == target:
            return
        self._require_champion(history, over)
        self._require_weights(history, target)
        self._append(history, [moved(target, champion, reason, cause)])

    @in_turn
    def promote_by_hand(self, version: str, *, reason: str, by: str) -> ModelVersion:
        """Make a registered version champion because a person says so; returns it.

        It is a promotion: a rollback goes back to the version whose place it took.

        Args:
            version: its name.
            reason: why, a sentence for people.
            by: the user who asked for it.

        Raises:
            ConfigurationError: there is no such version, it is champion now, or no reason is given.
            FenceError: another writer moved the champion meanwhile.
        """
        history = self.read()
        champion, target = history.alias("champion"), self.require(history, version)
        if target == champion:
            raise ConfigurationError(
                f"{version} is the champion already",
                where=f"{self._lake.loop} registry",
                expected="another version",
                found=version,
            )
        require_reason(reason, f"promote {self._lake.loop}")
        self._require_weights(history, target)
        self._append(history, [moved(target, champion, reason, BY_HAND, by)])
        return target

    @in_turn
    def rollback(self, reason: str, *, to: str | None = None, by: str = "") -> ModelVersion:
        """Make the version before the champion champion again; returns it.

        That is the one whose place the champion took by a promotion, see `History.way_back`: rolling back
        twice goes two versions back, never to one that was rolled back before. Where a version is tried
        beside the champion and `to` is not given, its trial ends and nothing else: the champion stays, and is
        what is returned.

        Args:
            reason: a sentence for people.
            to: name of the version to go back to instead, any that is registered.
            by: the user who asked for it.

        Raises:
            ConfigurationError: no reason is given, there is no version to go back to, no version `to`, or it
                is champion now.
            FenceError: another writer moved the champion meanwhile.
        """
        history = self.read()
        champion = history.alias("champion")
        if champion and history.trial and to is None:
            self._end(history, history.trial, reason, by)
            return champion
        target = self.require(history, to) if to else history.previous
        if champion is None or target is None or target == champion:
            raise self._no_way_back(history, champion, to)
        require_reason(reason, f"rollback {self._lake.loop}")
        self._require_weights(history, target)
        self._append(history, [moved(target, champion, reason, ROLLBACK, by)])
        return target

    @in_turn
    def answer(self, evaluation: str, candidate: str, *, approved: bool, by: str, reason: str) -> Answer:
        """Keep what a person says to a candidate that the gate lets in; returns what stands.

        That is what was kept, unless somebody was first: the end of the time is no word against a person's,
        and a question that a newer candidate ended is closed (`History.is_closed`).

        Args:
            evaluation: fingerprint of the evaluation.
            candidate: digest of the candidate's artifact.
            approved: whether it may become champion.
            by: the user; empty where nobody answered in time.
            reason: a sentence for people.

        Raises:
            ConfigurationError: no reason is given.
            FenceError: another writer changed the registry meanwhile.
        """
        require_reason(reason, f"{'approve' if approved else 'reject'} {self._lake.loop}")
        history = self.read()
        standing = history.answer_to(evaluation, candidate)
        if standing and (not by or history.is_closed(standing)):
            return standing
        said = {"evaluation": evaluation, "approved": approved}
        return self._keep_answer(history, candidate, said, reason, by)

    @in_turn
    def supersede(self, evaluation: str, candidate: str, *, newer: str, day: str) -> Answer:
        """End the question about a candidate because a person is asked about a newer one.

        Returns what stands: an answer, where there is one already.

        Args:
            evaluation: fingerprint of the evaluation.
            candidate: digest of the candidate's artifact.
            newer: fingerprint of the evaluation that the newer candidate stood in.
            day: of that evaluation.

        Raises:
            FenceError: another writer changed the registry meanwhile.
        """
        history = self.read()
        if standing := history.answer_to(evaluation, candidate):
            return standing
        said = {"evaluation": evaluation, "approved": False, "superseded_by": day, "newer": newer}
        return self._keep_answer(history, candidate, said, f"a person is asked about {day} instead")

    def _keep_answer(
        self, history: History, candidate: str, said: Mapping[str, object], reason: str, by: str = ""
    ) -> Answer:
        event = {
            "event": ANSWERED,
            "version": "",
            "digest": candidate,
            "reason": reason,
            "record": json.dumps(said),
            "moved_by": by or None,
        }
        self._append(history, [event])
        return self.read().answers[-1]

    @in_turn
    def forget(self, reasons: Mapping[str, str]) -> None:
        """Say that the weights of these versions are gone, before they go: no alias is moved there any more.

        `reasons` is version -> why. One that is forgotten already is passed over.

        Raises:
            ConfigurationError: there is no such version.
            FenceError: an alias points at one, or another writer changed the registry meanwhile; nothing is
                forgotten.
        """
        history = self.read()
        events = []
        for name, reason in reasons.items():
            version = self.require(history, name)
            if aliases := history.aliases_of(name):
                raise FenceError(
                    "an alias points at this version by now", where=name, expected="none", found=aliases[0]
                )
            if name not in history.forgotten:
                event = {"event": FORGOTTEN, "version": name, "digest": version.digest, "reason": reason}
                events.append({**event, "record": ""})
        if events:
            self._append(history, events)

    def _no_way_back(
        self, history: History, champion: ModelVersion | None, to: str | None
    ) -> ConfigurationError:
        present = [name for name in reversed(list(history.versions)) if name not in history.forgotten]
        others = [name for name in present if champion and name != champion.name]
        return ConfigurationError(
            f"{to} is the champion" if to and champion else "there is no previous version to go back to",
            where=f"{self._lake.loop} registry",
            expected="another version" if to else "a version whose place the champion took by a promotion",
            found=f"champion {champion.name if champion else 'none'}; "
            f"other versions: {', '.join(others) or 'none'}",
            remedy=f"name one of them: lakeloop rollback {self._lake.loop} --to VERSION" if others else "",
        )

    def _free_name(self, history: History, manifest: str) -> str:
        """The next version's name, past folders that killed registrations of other artifacts left behind."""
        number = max((version.number for version in history.versions.values()), default=0) + 1
        while self._lake.files.exists(folder := f"models/v{number}"):
            if self._lake.files.manifest(folder).get(MANIFEST) == manifest:
                break
            number += 1
        return f"v{number}"
