"""The client without an Airflow; with one it is tested by everything in tests/loop."""

from __future__ import annotations

import pytest

from lakeloop.errors import ServiceError
from lakeloop.local.airflow_api import AirflowApi


def test_an_airflow_that_is_gone_is_named_and_not_a_traceback_of_the_client() -> None:
    # Port 9 (discard) is served by nobody here.
    with (
        AirflowApi("http://127.0.0.1:9") as api,
        pytest.raises(ServiceError, match=r"does not answer[\s\S]*make up"),
    ):
        api.trigger("news.ingest", "2026-11-20")
