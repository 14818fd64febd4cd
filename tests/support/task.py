"""What an operator is given by Airflow's task runner, as far as our operators ask for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


@dataclass
class Task:
    """A task instance that keeps what is pushed; the DAGs in `paused` are, those in `active` have runs."""

    paused: frozenset[str] = frozenset()
    try_number: int = 1
    map_index: int = -1
    pushed: dict[str, Any] = field(default_factory=dict)
    active: dict[str, int] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, task_ids: str, key: str) -> Any:
        """What this same task pushed, for the tasks behind it."""
        assert task_ids
        return self.pushed.get(key)

    def get_dag(self, dag_id: str) -> SimpleNamespace:
        return SimpleNamespace(is_paused=dag_id in self.paused)

    def get_dr_count(self, dag_id: str, states: list[str]) -> int:
        assert states == ["queued", "running"]
        return self.active.get(dag_id, 0)
