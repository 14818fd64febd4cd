"""Processes that move the champion at once, some of them killed: one line of moves, one whole champion."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.registry_race import race


@pytest.mark.timeout(120)
def test_three_clients_and_a_kill_leave_one_history(tmp_path: Path) -> None:
    proof = race(tmp_path, clients=3, moves=4, kills=1)
    assert proof.acknowledged == 12


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_eight_clients_and_many_kills_leave_one_history(tmp_path: Path) -> None:
    proof = race(tmp_path, clients=8, moves=15, kills=12)
    assert (proof.acknowledged, proof.killed > 0) == (120, True)
