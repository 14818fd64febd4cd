"""When a search ends early: what trials are left are very unlikely to reach a cheaper candidate."""

from __future__ import annotations

import logging

from lakeloop.measures.base import shown
from lakeloop.search.bound import optimistic
from lakeloop.search.found import Bar
from lakeloop.search.study import Study

log = logging.getLogger(__name__)


def give_up(study: Study, bar: Bar | None) -> None:
    """End the search when what trials are left are very unlikely to reach `bar`."""
    if bar is None or study.over():
        return
    scores = [t.score for t in study.trials() if t.state == "complete" and t.score is not None]
    further, metric = further_trials(study), study.metric
    reach = optimistic(scores, further, higher_is_better=metric.higher_is_better)
    if not further or reach is None or metric.advantage(reach, bar.score) >= 0:
        return
    best = (max if metric.higher_is_better else min)(scores)
    reason = (
        f"the {bar.name}'s {metric.title} {shown(bar.score)} is out of reach: {shown(best)} is the best of"
        f" {len(scores)} trials, and {further} more would end at {shown(reach)} at best (95 %)"
    )
    log.info("the search ends: %s", reason)
    study.end(reason)


def further_trials(study: Study) -> int:
    """How many trials may still begin, by their number and by the time that is left."""
    trials = study.trials()
    left = len(study.slots) - len({trial.slot for trial in trials})
    begun = [trial.begun for trial in trials if trial.begun]
    ended = [trial.ended for trial in trials if trial.done and trial.ended]
    if study.search.minutes and begun and ended:
        passed = (max(ended) - min(begun)).total_seconds()
        pace = len(ended) / max(passed, 1e-9)
        left = min(left, max(0, int((60 * study.search.minutes - passed) * pace)))
    return left
