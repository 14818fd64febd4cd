"""A job that waits for devices: what its record and its log say meanwhile."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import timedelta

from lakeloop.jobs.admission import Admission, Need, Waiting, admit
from lakeloop.jobs.state import JobRecord, Workdir
from lakeloop.records import now

log = logging.getLogger(__name__)

_SAY_EVERY_SECONDS = 60.0


def wait_for_devices(need: Need, workdir: Workdir, record: JobRecord) -> Admission:
    """Wait for what the job of `workdir` needs; its record and its log say why meanwhile.

    Raises:
        ConfigurationError: the machine can never have that.
    """
    said_at, said = 0.0, ""

    def waits(waiting: Waiting) -> None:
        nonlocal said_at, said
        begins = None if waiting.seconds is None else now() + timedelta(seconds=waiting.seconds)
        told = {"reason": waiting.reason, "begins_at": begins, "heartbeat": now()}
        with suppress(OSError):  # a disk that is full for a moment is no reason to end the job
            workdir.write_record(record.model_copy(update=told))
            if waiting.reason != said or time.monotonic() - said_at >= _SAY_EVERY_SECONDS:
                with workdir.log.open("a") as output:
                    output.write(f"{time.strftime('%H:%M:%S')} INFO waits: {waiting.reason}{_in(waiting)}\n")
                said_at, said = time.monotonic(), waiting.reason

    try:
        return admit(need, waits)
    except OSError as error:
        log.warning("claims nothing and waits for nobody: %s", error)
        return Admission({})


def _in(waiting: Waiting) -> str:
    if waiting.seconds is None:
        return "; for how long is not known"
    return f"; about {waiting.seconds / 60:.0f} min more"
