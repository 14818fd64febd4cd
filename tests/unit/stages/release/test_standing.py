"""What is told of a trial, in a sentence for people."""

from __future__ import annotations

from lakeloop.monitoring.canary import Plan, Seen, verdict
from lakeloop.records import now
from lakeloop.registry.history import History
from lakeloop.registry.trials import Trial, TrialEnd
from lakeloop.stages.release.standing import TrialStanding, last_told

PLAN = Plan(requests=100, hours=24, otherwise="go_on", share=0.5)
TRIAL = Trial(
    sequence=1,
    version="v2",
    phase="canary",
    share=0.5,
    over="v1",
    cause="e1",
    reason="better on the rows",
    began_at=now(),
    run_id="r",
)


def standing(requests: int, *, bad: bool = False) -> TrialStanding:
    failures = Seen.of((number % 2 == 1, float(bad and number % 2 == 1)) for number in range(2 * requests))
    found = verdict({"failures": failures}, PLAN, 1.0, champion=requests)
    return TrialStanding(TRIAL, found, None, "2026-11-18", PLAN)


def test_what_is_known_of_a_signal_is_said_once() -> None:
    waits, goes_on, ends = standing(30), standing(100), standing(100, bad=True)
    assert [each.verdict.action for each in (waits, goes_on, ends)] == ["wait", "go_on", "end"]
    for one in (waits, goes_on, ends):
        for signal in one.verdict.signals:
            assert one.sentence.count(signal.sentence) == 1


def test_in_which_step_a_trial_ended_is_said_once() -> None:
    ended = TrialEnd(
        sequence=2,
        version="v2",
        reason="canary of 50% of the requests: too many failed",
        ended_at=now(),
        run_id="r",
    )
    history = History(1, 2, {}, (), trials=(TRIAL,), trial_ends=(ended,))
    assert last_told(history) == ("v2, canary of 50% of the requests: its trial was ended: too many failed")
