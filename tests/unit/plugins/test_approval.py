"""A question to a person in Airflow's triggerer: answered there, over by what the lake says, or too late."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.providers.standard.triggers import hitl
from lakeloop_airflow import approval
from lakeloop_airflow.approval import APPROVE, REJECT, WITHDRAWN, AskTrigger

NOW = datetime(2026, 11, 18, tzinfo=UTC)


class Detail:
    """Airflow's row of the question: the first who answers is the one."""

    def __init__(self) -> None:
        self.chosen: Sequence[str] = ()
        self.by: str = ""

    def read(self, **_: Any) -> Any:
        user = SimpleNamespace(id=self.by, name=self.by) if self.by else None
        return SimpleNamespace(
            response_received=bool(self.chosen),
            chosen_options=self.chosen,
            params_input={},
            responded_by_user=user,
            responded_at=NOW if self.chosen else None,
        )

    def write(self, *, chosen_options: Sequence[str], **_: Any) -> Any:
        if self.chosen:
            raise RuntimeError("409 Conflict")
        self.chosen = chosen_options
        return self.read()


@pytest.fixture
def detail(monkeypatch: pytest.MonkeyPatch) -> Detail:
    found = Detail()
    monkeypatch.setattr(hitl, "get_hitl_detail_content_detail", found.read)
    monkeypatch.setattr(hitl, "update_hitl_detail_response", found.write)
    monkeypatch.setattr(approval, "update_hitl_detail_response", found.write)
    return found


def trigger(**changes: Any) -> AskTrigger:
    options = {
        "loop": "small",
        "evaluation": "e1",
        "candidate": "d1",
        "ti_id": uuid4(),
        "options": [APPROVE, REJECT],
        "defaults": [REJECT],
        "params": {},
        "timeout_datetime": None,
        "poke_interval": 0.0,
    }
    return AskTrigger(**{**options, **changes})


def fired(asked: AskTrigger) -> Any:
    async def first() -> Any:
        return [event.payload async for event in asked.run()]

    (said,) = asyncio.run(asyncio.wait_for(first(), 10))
    return said


def looks(monkeypatch: pytest.MonkeyPatch, *said: Any) -> list[Any]:
    """What each look at the lake finds; what is callable is done then, an error is raised."""
    left = list(said)

    def over(*_: str) -> str:
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        return str(found() or "") if callable(found) else str(found)

    monkeypatch.setattr(approval, "_over", over)
    return left


def test_a_question_that_is_over_is_withdrawn(detail: Detail, monkeypatch: pytest.MonkeyPatch) -> None:
    left = looks(monkeypatch, "", OSError("the lake is away"), "a newer candidate is asked about")
    assert fired(trigger())["chosen_options"] == [WITHDRAWN]
    assert (detail.chosen, left) == ([WITHDRAWN], [])


def test_who_answered_at_the_moment_it_was_over_is_heard(
    detail: Detail, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answered() -> str:
        detail.chosen, detail.by = [APPROVE], "ada"
        return "a newer candidate is asked about"

    looks(monkeypatch, answered)
    said = fired(trigger())
    assert (said["chosen_options"], said["responded_by_user"]) == ([APPROVE], {"id": "ada", "name": "ada"})


def test_a_restarted_triggerer_finds_what_was_withdrawn_before(
    detail: Detail, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks(monkeypatch)
    detail.chosen = [WITHDRAWN]
    path, arguments = trigger().serialize()
    assert path == "lakeloop_airflow.approval.AskTrigger"
    again = AskTrigger(**arguments)
    assert again.serialize() == (path, arguments)
    assert fired(again)["chosen_options"] == [WITHDRAWN]


def test_nobody_in_time_is_what_the_loop_file_says(detail: Detail, monkeypatch: pytest.MonkeyPatch) -> None:
    looks(monkeypatch)
    said = fired(trigger(timeout_datetime=NOW - timedelta(days=1)))
    assert (said["chosen_options"], said["responded_by_user"]) == ([REJECT], None)
    assert detail.chosen == [REJECT]
