"""What runs from this home, written down: `<home>/stack.json`.

One process at a time writes the file: the one that starts the stack, the watcher, the one that stops both.
"""

from __future__ import annotations

import json
from pathlib import Path

from lakeloop.durable import write_atomically
from lakeloop.errors import ServiceError
from lakeloop.local.processes import Component
from lakeloop.plural import counted
from lakeloop.records import Frozen
from lakeloop.settings import Settings

WATCHER = "watcher"
"""Name of the process that starts the others again when they die."""


class Stack(Frozen):
    """The running processes and where they answer."""

    airflow_url: str
    server_url: str
    components: tuple[Component, ...]
    key_names: int | None = None
    """Keys that the model server had when it was started, 0: none; None: an earlier version started it."""

    admin: str = ""
    """The user of Airflow as whom commands act; empty where nobody has to log in."""
    passwords: str = ""
    """Airflow's file with the passwords of its users."""

    def login(self) -> tuple[str, str] | None:
        """Name and password of `admin`; None where nobody has to log in.

        Raises:
            ServiceError: the file with the passwords cannot be read, or has none of that user.
        """
        if not self.admin:
            return None
        try:
            return self.admin, str(json.loads(Path(self.passwords).read_bytes())[self.admin])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ServiceError(
                "the password of Airflow's user is not known",
                where=self.passwords,
                expected=f"a JSON object with the password of {self.admin}",
                found=f"{type(error).__name__}: {error}",
                remedy="mend it; or take it away, and stop and start: Airflow writes it anew",
            ) from None

    @property
    def airflow_line(self) -> str:
        """Where Airflow answers, and who may log in."""
        users = f", users log in: passwords in {self.passwords}" if self.admin else ""
        return f"Airflow      {self.airflow_url}{users}"

    @property
    def keys(self) -> str:
        """Who may ask the model server, for people; empty where it is not known."""
        if self.key_names is None:
            return ""
        if not self.key_names:
            return "keys: off, open to everybody who reaches it"
        return f"keys: on ({counted(self.key_names, 'name')})"

    @property
    def server_line(self) -> str:
        """Where the model server answers, and whom."""
        return ", ".join(part for part in (f"Model server {self.server_url}/docs", self.keys) if part)

    @property
    def alive(self) -> bool:
        """Whether all processes are alive; the watcher does not count, for it does no work of its own."""
        working = [component for component in self.components if component.name != WATCHER]
        return bool(working) and all(component.alive for component in working)

    @property
    def watched(self) -> bool:
        return any(component.alive for component in self.components if component.name == WATCHER)

    def component(self, name: str) -> Component:
        """The process called `name`, which must be one of the stack."""
        return next(c for c in self.components if c.name == name)

    def having(self, component: Component) -> Stack:
        """The stack with `component`, in place of the one of its name if there was one."""
        others = tuple(c for c in self.components if c.name != component.name)
        return self.model_copy(update={"components": (*others, component)})


class StackFile:
    """The file of one home."""

    def __init__(self, settings: Settings) -> None:
        self.path: Path = settings.home / "stack.json"

    def read(self) -> Stack | None:
        """What was written last; None when nothing was started, or all was stopped."""
        try:
            return Stack.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None

    def write(self, stack: Stack) -> None:
        write_atomically(self.path, stack.model_dump_json(indent=2))

    def replace(self, component: Component) -> None:
        """Write `component` down in place of the one of its name, unless all was stopped meanwhile."""
        if stack := self.read():
            self.write(stack.having(component))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
