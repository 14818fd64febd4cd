"""`deploy.abstain` and `evaluate.out_of_scope`: what may be said, and what it changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lakeloop.measures.abstaining import Threshold
from lakeloop.settings import Settings
from lakeloop.spec.identity import identity, training_identity
from lakeloop.spec.paths import confine_all
from lakeloop.spec.release import Abstain
from tests.support.number_loop import number_loop
from tests.support.small_loop import small_loop

KNOWN = (
    Threshold(below=0.0, precision=0.8, answered=1.0),
    Threshold(below=0.6, precision=0.9, answered=0.7),
    Threshold(below=0.9, precision=0.96, answered=0.3),
)


def test_the_threshold_is_that_of_the_file_or_the_one_of_the_version() -> None:
    assert Abstain().threshold(KNOWN) == 0.0
    assert Abstain(below=0.55).threshold(KNOWN) == 0.55
    assert Abstain(precision=0.85).threshold(KNOWN) == 0.6
    assert Abstain(precision=0.99).threshold(KNOWN) == 0.9  # the nearest that there is
    assert Abstain(precision=0.95).threshold(()) == 0.0  # of a version of yesterday nothing is known


def test_it_changes_no_training_and_no_decision() -> None:
    plain, asked = small_loop(), small_loop(deploy={"abstain": {"precision": 0.95}})
    assert training_identity(plain) == training_identity(asked)
    assert identity(plain, "scores", "release") == identity(asked, "scores", "release")


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"deploy": {"abstain": {"precision": 0.9, "below": 0.5}}}, r"deploy\.abstain: two rules"),
        ({"deploy": {"abstain": {"precision": 1.0}}}, "less than 1"),
        ({"deploy": {"abstain": {"below": 0.0}}}, "greater than 0"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(sections: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        small_loop(**sections)


def test_numbers_are_not_held_back_and_know_no_texts_out_of_scope() -> None:
    with pytest.raises(ValidationError, match=r"deploy\.abstain: such answers are not held back"):
        number_loop(deploy={"abstain": {"below": 0.5}})
    with pytest.raises(ValidationError, match=r"evaluate\.out_of_scope: such answers"):
        number_loop(evaluate={"out_of_scope": "strangers.txt"})


def test_texts_out_of_scope_decide_scores_alone_and_lie_in_the_project(tmp_path: Path) -> None:
    plain, asked = small_loop(), small_loop(evaluate={"out_of_scope": "data/strangers.txt"})
    assert training_identity(plain) == training_identity(asked)
    assert identity(plain, "scores") != identity(asked, "scores")
    settings = Settings(root=tmp_path)
    assert confine_all(asked, settings) == []
    for key in ("out_of_scope", "synonyms"):
        (error,) = confine_all(small_loop(evaluate={key: "/etc/passwd"}), settings)
        assert f"evaluate.{key}" in str(error)
