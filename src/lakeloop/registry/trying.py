"""Changes of a trial: a version is put beside the champion, goes on, takes its place, or is taken out.

Each is made against the state that it was decided on: what a person did meanwhile stands.
"""

from __future__ import annotations

import json

from lakeloop.registry.events import Events, in_turn, moved, require_reason
from lakeloop.registry.history import History, ModelVersion
from lakeloop.registry.trials import ENDED, TRIED, Phase, Trial, TrialEnd


class Trying(Events):
    """What a registry can do with a trial."""

    @in_turn
    def begin_trial(
        self, version: str, phase: Phase, share: float, *, over: str | None, reason: str, cause: str
    ) -> Trial:
        """Put `version` beside the champion, or into the next phase of its trial; returns the phase.

        The same phase with the same share again is no event. A trial of another version ends by it.

        Args:
            version: name of a registered version, not the champion.
            phase: `shadow` or `canary`.
            share: of the requests that it answers, from 0 to 1; 0 in the shadow.
            over: name of the champion that the decision was made against.
            reason: a sentence for people.
            cause: fingerprint of the evaluation that let it in.

        Raises:
            ConfigurationError: there is no such version, or its weights are gone.
            FenceError: the champion is another one than `over`, or changed meanwhile.
        """
        history = self.read()
        now_tried = history.trial
        if now_tried and (now_tried.version, now_tried.phase, now_tried.share) == (version, phase, share):
            return now_tried
        return self._try(history, version, phase, share, over=over, reason=reason, cause=cause)

    @in_turn
    def next_phase(self, trial: Trial, phase: Phase, share: float, *, reason: str) -> Trial | None:
        """Let the trial go on with this phase; None, and nothing happens, where it is in another by now.

        Raises:
            FenceError: another writer changed the registry meanwhile.
        """
        history = self.read()
        if history.trial != trial:
            return None
        return self._try(
            history, trial.version, phase, share, over=trial.over, reason=reason, cause=trial.cause
        )

    @in_turn
    def win_trial(self, trial: Trial, *, reason: str) -> ModelVersion | None:
        """Make the version in this trial champion; None, and nothing happens, where it is in another by now.

        Raises:
            FenceError: another writer changed the registry meanwhile.
        """
        history = self.read()
        if history.trial != trial:
            return None
        self._require_champion(history, trial.over)
        target = self.require(history, trial.version)
        self._append(history, [moved(target, history.alias("champion"), reason, trial.cause)])
        return target

    @in_turn
    def end_trial(
        self, version: str, *, reason: str, by: str = "", phase: Trial | None = None
    ) -> TrialEnd | None:
        """Take `version` out of its trial: the champion alone answers from then on.

        None, and nothing happens, where it is in no trial any more: a person, or a move of the champion, was
        first.

        Args:
            version: its name.
            reason: why, a sentence for people.
            by: the user who asked for it; empty for a stage.
            phase: the one that it must be in; default: any.

        Raises:
            FenceError: another writer changed the registry meanwhile.
        """
        history = self.read()
        if history.trial is None or history.trial.version != version or phase not in (None, history.trial):
            return None
        self._end(history, history.trial, reason, by)
        return self.read().trial_ends[-1]

    def _try(
        self,
        history: History,
        version: str,
        phase: Phase,
        share: float,
        *,
        over: str | None,
        reason: str,
        cause: str,
    ) -> Trial:
        target = self.require(history, version)
        self._require_champion(history, over)
        self._require_weights(history, target)
        event = {
            "event": TRIED,
            "version": version,
            "previous": over,
            "digest": target.digest,
            "reason": reason,
            "record": json.dumps({"phase": phase, "share": share, "cause": cause}),
        }
        self._append(history, [event])
        return self.read().trials[-1]

    def _end(self, history: History, trial: Trial, reason: str, by: str) -> None:
        require_reason(reason, f"end the trial of {self._lake.loop} {trial.version}")
        digest = history.versions[trial.version].digest
        event = {"event": ENDED, "version": trial.version, "digest": digest, "reason": reason, "record": ""}
        self._append(history, [{**event, "moved_by": by or None}])
