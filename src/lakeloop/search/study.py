"""One search under way, as all of its workers see it: which trial is whose, and what became of each.

A search has as many slots as trials are asked for, and each slot is one trial. Whoever works on a slot finds
the trial that an ended worker left there and goes on with it; so no trial needs to be watched to be saved.
A slot that nobody comes back for is settled by `reap`.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState

from lakeloop.locks import locked
from lakeloop.measures.base import MetricSpec
from lakeloop.records import now
from lakeloop.search.found import Cost, State, TrialFound
from lakeloop.search.space import distributions, grid, sampler_of, suggest
from lakeloop.search.storage import open_storage
from lakeloop.settings import Settings
from lakeloop.spec.search import Search
from lakeloop.spec.train import Train

TRIES = 2
"""Trials of a slot, while they fail."""
REDUCTION = 3
"""Of the trials that reach a rung (epoch 1, 3, 9 …) the best third goes on."""
_SLOT, _REASON, _COST, _FOLDER, _ENDED = "slot", "reason", "cost", "folder", "ended"
_SHARED = "shared-"
_STATES: Mapping[TrialState, State] = {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


class _OnePoint(RandomSampler):
    """Chooses nothing: the values of a grid are given."""

    def __init__(self, point: Mapping[str, Any]) -> None:
        super().__init__(seed=0)
        self._point = point

    def sample_independent(
        self,
        study: optuna.Study,  # noqa: ARG002  (Optuna's)
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        return self._point[param_name]


@dataclass(frozen=True)
class Begun:
    """A trial that is to be carried out, or gone on with."""

    trial: optuna.Trial
    values: dict[str, Any]
    same_as: TrialFound | None = None
    """A whole trial of the same values: its score holds for this one."""
    whole_first: int = 0
    """No trial ends early before so many are whole."""

    @property
    def number(self) -> int:
        return int(self.trial.number)

    def in_folder(self, name: str) -> None:
        """Remember which folder the job of the trial has."""
        self.trial.set_user_attr(_FOLDER, name)

    def report(self, epoch: int, score: float) -> bool:
        """Tell the score after an epoch (from 1); returns whether the trial is to end early."""
        if epoch not in self.trial.storage.get_trial(self.trial._trial_id).intermediate_values:  # noqa: SLF001
            self.trial.report(score, epoch)
        behind = bool(self.trial.should_prune())  # always asked: it also notes which rungs were reached
        whole = self.trial.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return behind and len(whole) >= self.whole_first


class Study:
    """Opens the search called `name`, or begins it.

    Raises:
        ConfigurationError, TransientError: see `open_storage`.
    """

    def __init__(self, settings: Settings, loop: str, name: str, train: Train, metric: MetricSpec) -> None:
        assert train.search is not None
        self.search: Search = train.search
        self.name = name
        self.metric = metric
        self._space = distributions(train, self.search)
        self._locks = settings.home / "studies"
        pruner: BasePruner = NopPruner()
        if self.search.pruner == "asha":
            pruner = SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION)
        with _quiet():
            self._study = optuna.create_study(
                storage=open_storage(settings, loop),
                study_name=name,
                direction="maximize" if metric.higher_is_better else "minimize",
                pruner=pruner,
                load_if_exists=True,
            )

    @property
    def slots(self) -> range:
        """The slots that there are: one for each trial, and for each point of a smaller grid."""
        points = self.search.points if self.search.sampler == "grid" else None
        return range(min(self.search.trials, points or self.search.trials))

    def trials(self) -> tuple[TrialFound, ...]:
        """All trials so far, in the order in which they were begun."""
        return tuple(_found(trial) for trial in self._study.get_trials(deepcopy=False))

    def begin(self, slot: int) -> Begun | None:
        """The trial of a slot: that which was left there, or a new one. None when there is nothing to do."""
        with self._one_at_a_time(slot):
            own = [trial for trial in self.trials() if trial.slot == slot]
            if any(trial.done for trial in own):
                return None
            if running := [trial for trial in own if trial.state == "running"]:
                return self._again(running[0])
            if self.over() or len(own) >= TRIES:
                return None
            return self._ask(slot)

    def _again(self, found: TrialFound) -> Begun:
        (frozen,) = (t for t in self._study.get_trials(deepcopy=False) if t.number == found.number)
        with _quiet():
            trial = optuna.trial.Trial(self._study, frozen._trial_id)  # noqa: SLF001
            return self._chosen(trial, frozen.user_attrs[_SLOT])

    def _ask(self, slot: int) -> Begun:
        with _quiet():
            trial = self._study.ask()
            # First of all: a trial without a slot would belong to nobody.
            trial.set_user_attr(_SLOT, slot)
            return self._chosen(trial, slot)

    def _chosen(self, trial: optuna.Trial, slot: int) -> Begun:
        if self.search.sampler == "grid":
            trial.study.sampler = _OnePoint(grid(self.search)[slot])
        else:
            trial.study.sampler = sampler_of(self.search, self.name, trial.number)
        values = suggest(trial, self._space)
        same = (t for t in self.trials() if t.state == "complete" and t.values == values)
        return Begun(trial, values, next(same, None), self.search.keep)

    def complete(self, begun: Begun, score: float, cost: Cost, reason: str = "") -> None:
        """The trial is whole; a score that is no number is none, and the trial failed."""
        if not math.isfinite(score):
            self.fail(begun.number, f"its score is {score}", cost)
            return
        self._end(begun.number, TrialState.COMPLETE, cost, reason, score)

    def prune(self, begun: Begun, cost: Cost) -> None:
        """The trial was ended early; its score is that of its last epoch."""
        self._end(begun.number, TrialState.PRUNED, cost)

    def fail(self, number: int, reason: str, cost: Cost) -> None:
        """The trial has no score."""
        self._end(number, TrialState.FAIL, cost, reason)

    def _end(
        self, number: int, state: TrialState, cost: Cost, reason: str = "", score: float | None = None
    ) -> None:
        (frozen,) = (t for t in self._study.get_trials(deepcopy=False) if t.number == number)
        if frozen.state.is_finished():  # another attempt, that waited for the same job, was first
            return
        trial = optuna.trial.Trial(self._study, frozen._trial_id)  # noqa: SLF001
        trial.set_user_attr(_COST, cost.model_dump(mode="json", exclude_none=True))
        if reason:
            trial.set_user_attr(_REASON, reason[:500])
        with _quiet():
            self._study.tell(number, score, state, skip_if_finished=True)

    def end(self, reason: str) -> None:
        """No further trial begins."""
        self._study.set_user_attr(_ENDED, reason)

    def forget(self) -> None:
        """Remove all trials: the same search begins anew."""
        storage = self._study._storage  # noqa: SLF001
        optuna.delete_study(study_name=self.name, storage=storage)

    def settled(self) -> set[int]:
        """The slots that need no more work."""
        trials = self.trials()
        failed = Counter(trial.slot for trial in trials if trial.state == "failed")
        done = {trial.slot for trial in trials if trial.done}
        return {slot for slot in self.slots if slot in done or failed[slot] >= TRIES}

    def share(self, slots: Sequence[int], cost: Cost) -> None:
        """A process that carried out the trials of `slots` has cost `cost`, with what they have."""
        own = Cost.total([trial.cost for trial in self.trials() if trial.slot in slots])
        shared = cost.model_copy(
            update={
                "seconds": max(0.0, cost.seconds - own.seconds),
                "cpu_seconds": max(0.0, cost.cpu_seconds - own.cpu_seconds),
            }
        )
        self._study.set_user_attr(f"{_SHARED}{slots[0]}", shared.model_dump(mode="json", exclude_none=True))

    @property
    def shared(self) -> Cost:
        """What processes have cost beside the trials that they carried out."""
        found = [value for key, value in self._study.user_attrs.items() if key.startswith(_SHARED)]
        return Cost.total([Cost.model_validate(each) for each in found])

    def over(self) -> str:
        """Why no further trial may begin, though slots are left; empty while they may."""
        if ended := self._study.user_attrs.get(_ENDED, ""):
            return str(ended)
        trials = self.trials()
        begun = [trial.begun for trial in trials if trial.begun]
        limit = self.search.minutes
        # Without any score there is nothing to end with, as after an interruption of a day.
        if limit and any(trial.done for trial in trials) and now() - min(begun) > timedelta(minutes=limit):
            return f"its {limit} minutes are over"
        return ""

    def importance(self) -> dict[str, float]:
        """Share of each key in what makes scores differ (fANOVA), the largest first; empty with too few."""
        whole = [trial for trial in self.trials() if trial.state == "complete"]
        scores = {trial.score for trial in whole}
        if len(whole) < 2 * len(self._space) + 2 or len(scores) < 2 or len(self._space) < 2:
            return {}
        with _quiet():
            found = optuna.importance.get_param_importances(
                self._study, evaluator=optuna.importance.FanovaImportanceEvaluator(seed=0)
            )
        return {key: round(float(share), 4) for key, share in found.items()}

    @contextlib.contextmanager
    def _one_at_a_time(self, slot: int) -> Iterator[None]:
        """Two attempts of one task may ask at once; on one host they wait for each other."""
        self._locks.mkdir(parents=True, exist_ok=True)
        with locked(Path(self._locks) / f"slot-{slot % 64}.lock"):
            yield


def _found(trial: FrozenTrial) -> TrialFound:
    epochs = tuple(score for _, score in sorted(trial.intermediate_values.items()))
    return TrialFound(
        number=trial.number,
        slot=trial.user_attrs.get(_SLOT),
        state=_STATES[trial.state],
        values=dict(trial.params),
        score=trial.value if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) else None,
        epochs=epochs,
        reason=trial.user_attrs.get(_REASON, ""),
        folder=trial.user_attrs.get(_FOLDER, ""),
        cost=Cost.model_validate(trial.user_attrs.get(_COST, {})),
        begun=trial.datetime_start.astimezone() if trial.datetime_start else None,
        ended=trial.datetime_complete.astimezone() if trial.datetime_complete else None,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's warnings that a feature is experimental."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
