"""The mirror: one low-priority process that copies journals into W&B. `python -m lakeloop.tracking.mirror`.

Offline it copies journals that have ended; online it also follows those at work. It stays for a moment when
there is nothing to do, because the next stage ends soon and importing wandb costs more than a copy.
How an entry of a journal is told to W&B is `replay`; how the mirror is started is `wake`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lakeloop.errors import EXIT_DONE, DataError, ServiceError
from lakeloop.redaction import RedactingFilter
from lakeloop.settings import Settings
from lakeloop.tracking.journal import has_writer
from lakeloop.tracking.progress import ended, waiting
from lakeloop.tracking.replay import Replay, prepare_environment
from lakeloop.tracking.wake import is_marked, mirror_lock, take_mark, wake_mirror

log = logging.getLogger("lakeloop.tracking.mirror")

_TICK_SECONDS = 0.5
_LOOK_SECONDS = 5.0
"""Between looks without a waker's mark: a training process opens its journal and leaves no mark."""


def mirror_pending(settings: Settings, *, timeout: float = 120.0) -> int:
    """Have the waiting journals mirrored, for at most `timeout` seconds; returns how many still wait.

    Journals of stages at work are not counted. Never raises because of W&B.
    """
    if settings.wandb_mode == "disabled":
        return 0
    deadline = time.monotonic() + timeout
    wake_mirror(settings)
    while (left := len(ended(settings.journals))) and time.monotonic() < deadline:
        time.sleep(_TICK_SECONDS)
        # While the mark is there the mirror is still starting, and to try its lock could stop it.
        if not is_marked(settings.journals):
            with mirror_lock(settings.journals) as free:
                if free:
                    return len(ended(settings.journals))
    return left


class Mirror:
    """Copies the journals below one folder; holds the runs that it follows."""

    def __init__(self, journals: Path, wandb_dir: Path, *, online: bool) -> None:
        self._journals = journals
        self._wandb_dir = wandb_dir
        self._online = online
        self._runs: dict[Path, Replay] = {}
        self._unreadable: set[Path] = set()

    def serve(self, linger: float) -> None:
        """Copy until nothing came for `linger` seconds.

        Raises:
            ServiceError: W&B does not answer; what is not copied waits for the next mirror.
        """
        look_at = leave_at = time.monotonic()
        while True:
            if is_marked(self._journals) or time.monotonic() >= look_at:
                take_mark(self._journals)
                if self.copy(waiting(self._journals)):
                    leave_at = time.monotonic() + linger
                look_at = time.monotonic() + _LOOK_SECONDS
            elif self._runs:
                self.copy(list(self._runs))
            if not self._runs and time.monotonic() >= leave_at and not is_marked(self._journals):
                return
            time.sleep(_TICK_SECONDS)

    def copy(self, paths: Sequence[Path]) -> int:
        """Copy what is new in the journals at `paths`; returns how many of them are done."""
        done = 0
        for path in paths:
            # Asked before reading: a writer that is gone by now adds nothing that the reading could miss.
            has_ended = not has_writer(path)
            if path in self._unreadable or not (has_ended or self._online):
                continue
            try:
                self._copy(path, has_ended)
            except DataError as error:
                log.warning("%s", error)
                self._unreadable.add(path)
                self._runs.pop(path, None)
            else:
                done += has_ended
        return done

    def _copy(self, path: Path, has_ended: bool) -> None:
        began = time.monotonic()
        replay = self._runs.get(path) or Replay(path, self._wandb_dir, online=self._online)
        replay.advance()
        if not has_ended:
            self._runs[path] = replay
            return
        self._runs.pop(path, None)
        done = replay.finish()
        name = path.relative_to(self._journals)
        log.info("%s -> %s (%.1f s)", name, done.run or "nothing in it", time.monotonic() - began)


def run(journals: Path, wandb_dir: Path, *, online: bool, linger: float) -> None:
    """Be the mirror, unless one is alive; go on as long as wakers left a mark meanwhile.

    Raises:
        ServiceError: W&B does not answer.
    """
    while True:
        with mirror_lock(journals) as free:
            if not free:
                log.debug("another mirror is alive")
                return
            Mirror(journals, wandb_dir, online=online).serve(linger)
        if not is_marked(journals):
            return


def main(argv: Sequence[str] | None = None) -> int:
    """Run the mirror as `argv` says and return 0; when W&B does not answer, the process ends here."""
    parser = argparse.ArgumentParser(prog="python -m lakeloop.tracking.mirror", description=__doc__)
    parser.add_argument("--journals", type=Path, required=True, help="folder of the journals")
    parser.add_argument("--wandb-dir", type=Path, required=True, help="folder for W&B's files")
    parser.add_argument("--linger", type=float, default=0.0, help="seconds to wait for more")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(RedactingFilter())
    mode = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
    prepare_environment(options.wandb_dir)
    try:
        run(options.journals, options.wandb_dir, online=mode == "online", linger=options.linger)
    except ServiceError as error:
        log.warning("%s", error)
        # Runs that are followed would each wait for the server again while the interpreter ends.
        logging.shutdown()
        os._exit(error.exit_code)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
