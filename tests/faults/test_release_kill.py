"""A release that is killed at its named points and run again: one version, one move of the alias."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.registry.registry import Registry
from lakeloop.stages.release.release import release
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, trained
from tests.support.stored import stored_names

_RELEASE = """
import sys
from pathlib import Path
from tests.support.small_loop import small_context
from lakeloop.stages.release.release import release
release(small_context(Path(sys.argv[1])), sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("point", ["release.before-alias", "release.after-alias"])
def test_killed_and_run_again_ends_with_one_version_and_one_move(
    point: str, tmp_path: Path, root: Path
) -> None:
    context = small_context(tmp_path)
    publish(context, DAYS[0], mart_rows(DAYS[0], 60))
    dataset(context, DAYS[0])
    digest = trained(context, "baseline", DAYS[0]).outputs["digest"]
    evaluate(context, DAYS[0])

    killed = subprocess.run(
        [sys.executable, "-c", _RELEASE, str(tmp_path), DAYS[0]],
        cwd=root,
        env={**os.environ, "LAKELOOP_FAULT": point},
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert context.lake.ledger.latest("release") is None
    moves = {"release.before-alias": 0, "release.after-alias": 1}
    assert len(Registry(context.lake).read().moves) == moves[point]

    record = release(small_context(tmp_path, attempt=Attempt("test-run", 2)), DAYS[0])
    assert (record.status, record.outputs["version"], record.outputs["digest"]) == ("done", "v1", digest)
    history = Registry(context.lake).read()
    assert list(history.versions) == ["v1"]
    assert [(move.alias, move.version) for move in history.moves] == [("champion", "v1")]
    assert stored_names(context.lake.files, "models") == ["models/v1"]
