"""Says at each moment what is going on: a live line in a terminal, a plain line at each change elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console

_PLAIN_SECONDS = 5.0
"""Outside of a terminal the same step is not repeated more often than this."""


class Reporter:
    """Steps of a long job, each with the seconds it took."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.steps: list[tuple[str, float]] = []
        self._status = console.status("") if console.is_terminal else None
        self._began = self._step_began = time.monotonic()
        self._step = ""
        self._last_line, self._last_time = "", 0.0

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish_step()
        if self._status:
            self._status.stop()

    def step(self, name: str) -> None:
        """Begin a step; the one before ends."""
        self.finish_step()
        self._step, self._step_began = name, time.monotonic()
        self.console.print(f"[bold]==>[/] {name}", highlight=False)

    def finish_step(self) -> None:
        if self._step:
            self.steps.append((self._step, time.monotonic() - self._step_began))
            self._step = ""

    def say(self, text: str) -> None:
        """What is going on within the step."""
        now = time.monotonic()
        line = f"{now - self._began:5.0f} s  {text}"
        if self._status:
            self._status.update(line)
        elif text != self._last_line and (now - self._last_time >= _PLAIN_SECONDS or not self._last_line):
            self.console.print(line, highlight=False, soft_wrap=True, markup=False)
            self._last_line, self._last_time = text, now
