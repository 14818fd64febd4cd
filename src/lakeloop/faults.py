"""Named points at which a fault test may kill the process. In normal use each is one string comparison.

A kill at a random time finds the easy windows; a kill at a named point finds the one between two
commits. Set `LAKELOOP_FAULT=<point>` and the process ends there as by `kill -9`.
"""

from __future__ import annotations

import os
import signal

from lakeloop.errors import ConfigurationError

POINTS = (
    "ingest.before-quarantine",
    "ingest.before-commit",
    "ingest.after-commit",
    "ingest.after-ledger",
    "labels.before-commit",
    "labels.after-commit",
    "readmit.after-corrections",
    "transform.before-commit",
    "transform.after-commit",
    "validate.before-publish",
    "validate.after-publish",
    "base.before-rename",
    "train.after-submit",
    "train.mid-epoch",
    "train.in-checkpoint",
    "train.after-checkpoint",
    "train.before-manifest",
    "train.after-artifact",
    "train.before-ledger",
    "put.before-manifest",
    "remove.after-manifest",
    "release.before-alias",
    "release.after-alias",
    "release.after-trial",
    "trial.before-move",
    "trial.after-move",
)


def reach(point: str) -> None:
    """Die here when `LAKELOOP_FAULT` names this point.

    Raises:
        ConfigurationError: `point`, or the value of the variable, is no known point.
    """
    _require_known(point)
    wanted = os.environ.get("LAKELOOP_FAULT")
    if not wanted:
        return
    _require_known(wanted)
    if wanted == point:
        os.kill(os.getpid(), signal.SIGKILL)


def _require_known(point: str) -> None:
    if point not in POINTS:
        raise ConfigurationError(
            "no such fault point", where="LAKELOOP_FAULT", expected=", ".join(POINTS), found=point
        )
