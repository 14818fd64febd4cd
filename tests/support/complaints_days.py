"""The days of the complaints API as a loop reads them, and what was found of one."""

from __future__ import annotations

from typing import Any

from lakeloop.settings import Settings
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.http.api import ApiDays
from tests.support.complaints_api import Api, source_of
from tests.support.small_loop import small_loop

DAY = "2025-01-02"
IDS = [f"{DAY}-{number}" for number in range(7)]
TASK = {"text": "text", "label": "issue", "labels": ("Fees", "Fraud")}
AS_PAGES = {"records": "data", "record": None, "total": None}


def days(api: Api, settings: Settings, zone: str = "UTC", **keys: Any) -> ApiDays:
    keys = {"retries": 2, **keys}
    return ApiDays(
        small_loop(source=source_of(api, **keys), task=TASK, schedule={"timezone": zone}), settings
    )


def found(source: ApiDays, day: str = DAY) -> FileDelivery:
    delivery = source.find(day)
    assert delivery is not None
    return delivery


def ids(delivery: FileDelivery) -> list[str]:
    rows = [row for block in delivery.blocks() for row in block.rows.to_pylist()]
    assert [row["source_line"] for row in rows] == list(range(1, len(rows) + 1))
    delivery.require_unchanged()
    return [row["complaint_id"] for row in rows]
