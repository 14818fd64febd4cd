"""The demo: start everything, send the loop's days through Airflow, show what came out, stop.

Also `up` and `down`, the same start and stop for daily use. What is shown is laid out in `summary`.
"""

from __future__ import annotations

import functools
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError
from lakeloop.local import stack as stacks
from lakeloop.local.airflow_api import AirflowApi
from lakeloop.local.by_hand import servers_by_hand
from lakeloop.local.drive import Outcome, drive
from lakeloop.local.reporter import Reporter
from lakeloop.local.state import Stack
from lakeloop.local.status_view import console_for_people
from lakeloop.local.summary import show_summary
from lakeloop.settings import Settings, get_settings
from lakeloop.spec.demo import DEMO_LOOP
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import load_loop
from lakeloop.stages.frame.session import StageContext
from lakeloop.tracking.mirror import mirror_pending


def up() -> None:
    """Start Airflow and the model server of all loops, and leave them running."""
    console = Console()
    settings = get_settings()
    with Reporter(console) as reporter:
        reporter.step("starting Airflow and the model server")
        stack = stacks.start(settings, say=reporter.say)
    console.print(
        f"{stack.airflow_line}\n{stack.server_line}\nStop: make down", highlight=False, soft_wrap=True
    )
    console.print("DAGs start paused: switch them on in the web UI (`make demo` does it for its loop).")


def down() -> None:
    """Stop what `up` or the demo started from this home, and say which model servers are not of these."""
    settings, console = get_settings(), Console()
    stopped = stacks.stop(settings)
    console.print("stopped" if stopped else "nothing was running")
    for server in servers_by_hand(settings):
        console.print(server.sentence, soft_wrap=True, highlight=False)


def demo(*, once: bool = False, loop: str = DEMO_LOOP) -> bool:
    """Run `loop` through the scheduler and show the summary; True when every stage went well.

    With `once` everything that this call started is stopped at the end; otherwise it runs until Ctrl-C.

    Raises:
        ConfigurationError: the loop file is wrong, or the source has no day.
        ServiceError: Airflow or the model server did not start, or does not answer.
    """
    from lakeloop.sources.days import whole_days

    console = console_for_people()
    settings = get_settings()
    spec = load_loop(settings.loop_file(loop), settings)
    days = whole_days(spec, settings)
    if not days:
        raise ConfigurationError(
            "there is no day to run", where=loop, expected="days with rows", found="none"
        )
    with _terminated_like_interrupted(), Reporter(console) as reporter:
        was_running = stacks.find(settings) is not None
        try:
            reporter.step("starting Airflow and the model server on 127.0.0.1")
            stack = stacks.start(settings, say=reporter.say)
            reporter.step(f"running the loop {loop} for {len(days)} days (see {stack.airflow_url})")
            context, outcome = _drive(settings, stack, spec, days, reporter)
            reporter.step("copying what is left of the journals to W&B run files")
            mirror_pending(settings)
            reporter.finish_step()
            show_summary(console, context, stack, outcome, reporter.steps)
            if not once:
                _wait_for_interrupt(console, stack, reporter)
        except KeyboardInterrupt:
            console.print("interrupted")
            raise
        finally:
            if not was_running:
                reporter.step("stopping Airflow and the model server")
                stacks.stop(settings)
    return not outcome.failures


def _drive(
    settings: Settings, stack: Stack, spec: LoopSpec, days: list[str], reporter: Reporter
) -> tuple[StageContext, Outcome]:
    from lakeloop.stages.frame.pending import work_left

    # The stack may answer on other ports than the settings say.
    settings = settings.model_copy(update={"airflow_url": stack.airflow_url, "server_url": stack.server_url})
    context = StageContext.open(spec.name, settings, Attempt.local())
    with AirflowApi(stack.airflow_url, login=stack.login) as api:
        outcome = drive(
            api,
            spec.name,
            days,
            pending=lambda: work_left(context),
            say=reporter.say,
            detail=functools.partial(_training_progress, context),
        )
        # Last, so that it does not look for lost events while days are still on their way.
        api.set_paused(f"{spec.name}.maintenance", paused=False)
    return context, outcome


def _training_progress(context: StageContext, task_id: str, partition: str) -> str:
    """The last line that the training process of this task wrote."""
    folder = context.settings.work(context.loop.name, f"train-{task_id}", partition)
    logs = sorted(folder.glob("*/job.log"), key=lambda path: path.stat().st_mtime)
    lines = logs[-1].read_text(errors="replace").splitlines() if logs else []
    return lines[-1].partition(" INFO ")[2] if lines else ""


def _wait_for_interrupt(console: Console, stack: Stack, reporter: Reporter) -> None:
    console.print(f"\nAirflow and the model server keep running: {stack.airflow_url}. Ctrl-C stops them.")
    try:
        while True:
            reporter.say("running; Ctrl-C stops everything")
            time.sleep(3600)
    except KeyboardInterrupt:
        return


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """A SIGTERM ends the demo as Ctrl-C does: what it started is stopped."""

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  (the signature of a handler)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
