"""The mirror: one low-priority process that copies journals into W&B. `python -m lakeloop.tracking.mirror`.

Offline it copies journals that have ended; online it also follows those at work. It stays for a moment when
there is nothing to do, because the next stage ends soon and importing wandb costs more than a copy.
How an entry of a journal is told to W&B is `replay`; how the mirror is started is `wake`. On its way it
writes files of TensorBoard, where they are wanted: `tensorboard`.
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
from lakeloop.records import now
from lakeloop.redaction import RedactingFilter
from lakeloop.settings import Settings
from lakeloop.temporary import for_this_process
from lakeloop.tracking.journal import has_writer
from lakeloop.tracking.progress import Refused, ended, refused, waiting
from lakeloop.tracking.replay import RefusedError, Replay, prepare_environment
from lakeloop.tracking.tensorboard import Boards
from lakeloop.tracking.wake import is_marked, mirror_lock, take_mark, wake_mirror

log = logging.getLogger("lakeloop.tracking.mirror")

_TICK_SECONDS = 0.5
_TRIES = 3
"""Mirrors that do not get a journal through while others pass, before it is set aside."""
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

    def __init__(
        self,
        journals: Path,
        wandb_dir: Path,
        *,
        online: bool,
        wandb: bool = True,
        boards: Path | None = None,
    ) -> None:
        self._journals = journals
        self._wandb_dir = wandb_dir
        self._online = online
        self._wandb = wandb
        self._boards = Boards(journals, boards)
        self._runs: dict[Path, Replay] = {}
        self._unreadable: set[Path] = set()
        self._tried: set[Path] = set()
        """Journals that were not taken; not tried again by this mirror, unless a person took them back."""
        self._doubted: tuple[Path, ServiceError] | None = None
        """The journal that W&B did not take last, while it is not known whose trouble that is."""
        self._has_taken = False
        self.unfinished = False
        """A run was begun and not ended: the client would wait for the server when the interpreter ends."""

    def serve(self, linger: float) -> None:
        """Copy until nothing came for `linger` seconds.

        Raises:
            ServiceError: W&B does not answer; what is not copied waits for the next mirror.
        """
        look_at = leave_at = time.monotonic()
        while True:
            if looks := is_marked(self._journals) or time.monotonic() >= look_at:
                take_mark(self._journals)
            if self._copy_all(look=looks):
                leave_at = time.monotonic() + linger
            if looks:
                look_at = time.monotonic() + _LOOK_SECONDS
            at_work = self._runs or self._boards.follows
            if not at_work and time.monotonic() >= leave_at and not is_marked(self._journals):
                break
            time.sleep(_TICK_SECONDS)
        if self._doubted is not None and not self._has_taken:
            raise self._doubted[1]

    def _copy_all(self, *, look: bool) -> int:
        """Copy what is new of the followed runs, and of others with `look`; returns how many ended."""
        done = self._boards.copy(look=look)
        if self._wandb and (paths := waiting(self._journals) if look else list(self._runs)):
            done += self.copy(paths)
        return done

    def copy(self, paths: Sequence[Path]) -> int:
        """Copy what is new in the journals at `paths`; returns how many of them are done.

        Raises:
            ServiceError: W&B does not answer, for one journal after another.
        """
        done = 0
        for path in paths:
            # Asked before reading: a writer that is gone by now adds nothing that the reading could miss.
            has_ended = not has_writer(path)
            if self._is_left(path) or not (has_ended or self._online):
                continue
            try:
                self._copy(path, has_ended)
            except DataError as error:
                log.warning("%s", error)
                self._unreadable.add(path)
                self._runs.pop(path, None)
            except RefusedError as error:
                self._leave(path)
                self._note(path, error, final=True)
            except ServiceError as error:
                self._leave(path)
                self._doubt(path, error)
            else:
                done += has_ended
                if has_ended:  # W&B has confirmed it
                    self._takes_runs()
        return done

    def _is_left(self, path: Path) -> bool:
        return path in self._unreadable or (path in self._tried and refused(path) is not None)

    def _leave(self, path: Path) -> None:
        self._tried.add(path)
        self._runs.pop(path, None)
        self.unfinished = True

    def _doubt(self, path: Path, error: ServiceError) -> None:
        """One journal was not taken: whose trouble that is, the next one tells.

        Raises:
            ServiceError: it is the second in a row: W&B is away.
        """
        self._note(path, error, tried=self._has_taken)
        if self._doubted is not None:
            raise error
        if self._has_taken:  # else it is told when it is known whose trouble it is
            log.warning("%s", error)
        self._doubted = (path, error)

    def _takes_runs(self) -> None:
        """W&B has taken one: that it did not take the one before is the trouble of that one."""
        if self._doubted is not None and not self._has_taken:
            log.warning("%s", self._doubted[1])
            self._note(*self._doubted, tried=True)
        self._doubted, self._has_taken = None, True

    def _note(self, path: Path, error: ServiceError, *, tried: bool = False, final: bool = False) -> None:
        """Note that W&B did not take a journal; set it aside when that is final, or was so often enough."""
        before = refused(path)
        tries = (before.tries if before else 0) + (tried or final)
        aside = final or tries >= _TRIES
        reason = error.found or str(error)
        Refused(reason=reason, tries=tries, set_aside=aside, at=now()).write(path)
        if aside:
            name = path.relative_to(self._journals)
            log.warning("%s: %s; set aside, to try it again: lakeloop mirror --again", name, reason)

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


def run(
    journals: Path,
    wandb_dir: Path,
    *,
    online: bool,
    linger: float,
    wandb: bool = True,
    boards: Path | None = None,
) -> bool:
    """Be the mirror, unless one is alive; go on as long as wakers left a mark meanwhile.

    Without `wandb` W&B is told nothing; TensorBoard's files go to `boards`, by default nowhere. Returns
    whether each run that was begun is ended.

    Raises:
        ServiceError: W&B does not answer.
    """
    ended_well = True
    while True:
        with mirror_lock(journals) as free:
            if not free:
                log.debug("another mirror is alive")
                return ended_well
            mirror = Mirror(journals, wandb_dir, online=online, wandb=wandb, boards=boards)
            mirror.serve(linger)
            ended_well = ended_well and not mirror.unfinished
        if not is_marked(journals):
            return ended_well


def main(argv: Sequence[str] | None = None) -> int:
    """Run the mirror as `argv` says and return 0; when W&B does not answer, the process ends here."""
    parser = argparse.ArgumentParser(prog="python -m lakeloop.tracking.mirror", description=__doc__)
    parser.add_argument("--journals", type=Path, required=True, help="folder of the journals")
    parser.add_argument("--wandb-dir", type=Path, required=True, help="folder for W&B's files")
    parser.add_argument("--no-wandb", action="store_true", help="tell W&B nothing")
    parser.add_argument("--tensorboard", type=Path, help="folder for TensorBoard's files; default: none")
    parser.add_argument("--linger", type=float, default=0.0, help="seconds to wait for more")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(RedactingFilter())
    mode = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
    prepare_environment(options.wandb_dir)
    with for_this_process():
        code, whole = _run(options, online=mode == "online")
    if whole:
        return code
    # Runs that were not ended would each wait for the server again while the interpreter ends.
    logging.shutdown()
    os._exit(code)


def _run(options: argparse.Namespace, *, online: bool) -> tuple[int, bool]:
    """The exit code, and whether each run that was begun is ended."""
    try:
        whole = run(
            options.journals,
            options.wandb_dir,
            online=online,
            linger=options.linger,
            wandb=not options.no_wandb,
            boards=options.tensorboard,
        )
    except ServiceError as error:
        log.warning("%s", error)
        return error.exit_code, False
    return EXIT_DONE, whole


if __name__ == "__main__":
    sys.exit(main())
