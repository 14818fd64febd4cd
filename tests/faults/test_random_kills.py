from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from lakeloop.errors import TransientError
from lakeloop.jobs.runner import GRACE_SECONDS
from tests.faults.random_kills import BATCH, STEPS, Proof, prove

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLS, INSIDE = 30, 14


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proof]:
    """A training that was killed `KILLS` times, `INSIDE` of them in a save, beside one that was not."""
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1):
        patch.setenv("OMP_NUM_THREADS", "1")
        yield prove(tmp_path_factory.mktemp("kills"), KILLS, INSIDE, seed=1)


def test_it_was_killed_often_and_in_the_middle_of_a_save(proof: Proof) -> None:
    assert proof.killed.total() == KILLS
    assert proof.killed["inside"] >= 10
    assert proof.result["details"]["resumed_at"]
    assert proof.undisturbed["details"]["resumed_at"] == []


def test_killed_again_and_again_it_ends_unaided_with_the_same_weights(proof: Proof) -> None:
    assert proof.result["digest"] == proof.undisturbed["digest"]
    for told in ("epochs", "best_epoch"):
        assert proof.result["details"][told] == proof.undisturbed["details"][told]


def test_asked_to_end_it_saves_in_time_and_says_that_another_try_makes_sense(proof: Proof) -> None:
    code, seconds = proof.ended
    assert code == TransientError.exit_code
    assert seconds < GRACE_SECONDS
    # The last try went on from what this one saved, three steps or more after what the last kill left.
    *_, killed, ended = proof.result["details"]["resumed_at"]
    assert ended >= killed + 3


def test_each_row_is_seen_once_an_epoch(proof: Proof) -> None:
    assert sorted(proof.batches) == list(range(1, proof.steps + 1))
    assert all(len(taken) == 1 for taken in proof.batches.values()), "a step was taken with other rows"
    batches = [rows for step in sorted(proof.batches) for rows in proof.batches[step]]
    for first in range(0, proof.steps, STEPS):
        rows = [row for batch in batches[first : first + STEPS] for row in batch]
        assert sorted(rows) == list(range(BATCH * STEPS))


def test_a_kill_costs_the_steps_since_the_last_checkpoint(proof: Proof) -> None:
    assert proof.taken - proof.steps <= 2 * KILLS


def test_what_it_has_cost_is_what_all_its_tries_have(proof: Proof) -> None:
    """Those that were killed, the one that was asked to end, and the one that came to its end."""
    cost = proof.result["cost"]
    assert cost["tries"] == KILLS + 2
    assert 0.7 * proof.cpu_seconds < cost["cpu_seconds"] <= proof.cpu_seconds
    assert proof.result["cpu_seconds"] == cost["cpu_seconds"]
    assert "tries" not in proof.undisturbed["cost"]


def test_its_curve_is_that_of_a_training_that_was_left_alone(proof: Proof) -> None:
    assert proof.curve == proof.undisturbed_curve


def test_nothing_is_left_of_checkpoints_and_accounts(proof: Proof) -> None:
    assert proof.left == ["config.json", "result.json"]
