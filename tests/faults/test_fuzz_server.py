"""The short form of `fuzz_server`: no request that is made from the OpenAPI document is a server error."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.fuzz_server import fuzz

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_no_request_that_the_document_leads_to_is_a_server_error(tmp_path: Path) -> None:
    status, said, counts = fuzz(tmp_path / "project", examples=5, seed=17)

    assert status == 0, said
    assert counts.total() > 150
    assert {200, 404, 405, 422} <= set(counts)
    assert max(counts) < 500, counts
