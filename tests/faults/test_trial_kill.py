"""A release and a trial that are killed at their named points and run again: one version, one move."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.release import release
from lakeloop.stages.release.trial import trial
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.live_requests import Requests
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop, trained

DEPLOY = {"canary": {"shares": [0.5], "requests": 40}}
_STAGE = """
import sys
from pathlib import Path
from tests.faults.test_trial_kill import DEPLOY
from tests.support.small_loop import small_context, small_loop
from lakeloop.stages.catalogue import stage_named
context = small_context(Path(sys.argv[1]), small_loop(deploy=DEPLOY))
stage_named(sys.argv[2]).work(context, sys.argv[3])
"""


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    """A champion, and a better candidate that nobody has decided on."""
    context = small_context(tmp_path, small_loop(deploy=DEPLOY))
    for day, seed in zip(DAYS[:2], (17, 18), strict=True):
        publish(context, day, mart_rows(day, 60))
        dataset(context, day)
        trained(context, "baseline", day, seed=seed)
        evaluate(context, day)
        if day == DAYS[0]:
            release(context, day)
    return context


def killed(stage: str, point: str, root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STAGE, str(tmp_path), stage, DAYS[1]],
        cwd=root,
        env={**os.environ, "LAKELOOP_FAULT": point},
        timeout=300,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


def again(tmp_path: Path) -> StageContext:
    return small_context(tmp_path, small_loop(deploy=DEPLOY), Attempt("test-run", 2))


@pytest.mark.slow
@pytest.mark.parametrize(("point", "trials"), [("release.before-alias", 0), ("release.after-trial", 1)])
def test_a_release_that_was_killed_begins_one_trial(
    point: str, trials: int, context: StageContext, tmp_path: Path, root: Path
) -> None:
    killed("release", point, root, tmp_path)
    assert len(Registry(context.lake).read().trials) == trials
    record = release(again(tmp_path), DAYS[1])
    assert (record.status, record.outputs["version"]) == ("done", "v2")
    history = Registry(context.lake).read()
    assert list(history.versions) == ["v1", "v2"]
    assert [trial.version for trial in history.trials] == ["v2"]
    assert len(history.moves) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "fails", "ended"),
    [
        ("trial.before-move", False, "done"),
        ("trial.after-move", False, "skipped"),  # it is champion, and the roll-out follows
        ("trial.before-move", True, "refused"),
        ("trial.after-move", True, "skipped"),
    ],
)
def test_a_trial_that_was_killed_ends_once(
    point: str, fails: bool, ended: str, context: StageContext, tmp_path: Path, root: Path
) -> None:
    release(context, DAYS[1])
    Requests(context).ask(80, 0.5, fails=lambda _: fails).write()
    killed("trial", point, root, tmp_path)
    record = trial(again(tmp_path), DAYS[1])
    assert record.status == ended
    history = Registry(context.lake).read()
    champion = history.alias("champion")
    assert champion is not None
    assert champion.name == ("v1" if fails else "v2")
    assert (len(history.moves), len(history.trial_ends)) == ((1, 1) if fails else (2, 0))
    assert history.trial is None
