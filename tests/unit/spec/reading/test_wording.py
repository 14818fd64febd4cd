"""One mistake is one problem, told at its own section."""

from __future__ import annotations

import pytest

from lakeloop.spec.base import text_like
from tests.support.loops import SHORT, Refuse


@pytest.mark.parametrize(
    ("said", "key", "expected", "last"),
    [
        (
            "deploy: {canary: {share: 0.1}}",
            "deploy.canary.share: unknown key",
            "one of shares, requests, hours, otherwise",
            "did you mean: shares",
        ),
        (
            "deploy: {shadow: {hour: 3}}",
            "deploy.shadow.hour: unknown key",
            "one of requests, hours, otherwise",
            "did you mean: hours",
        ),
        (
            "split: {kind: time}",
            "split.kind: unknown key",
            "one of by, validation, test, test_days, group, salt",
            "found: kind",
        ),
        (
            "deploy: {canary: {shares: [2]}}",
            "deploy.canary.shares[0]: wrong value",
            "less than 1",
            "found: 2",
        ),
        (
            "deploy: {canary: {shares: []}}",
            "deploy.canary.shares: wrong value",
            "at least 1 of them",
            "found: an empty list",
        ),
        (
            "deploy: {smoke_texts: [{txt: hello}]}",
            "deploy.smoke_texts[0].txt: unknown key",
            "one of text, text_pair, features",
            "did you mean: text",
        ),
        (
            "deploy: {smoke_texts: [3]}",
            "deploy.smoke_texts[0]: wrong value",
            "text or keys with values below it",
            "found: 3",
        ),
        (
            "deploy: {smoke_texts: [{text: hello, features: {x: [1]}}]}",
            "deploy.smoke_texts[0].features.x: wrong value",
            "a number or text",
            "found: a list of 1",
        ),
        (
            "train: {search: {trials: 9, space: {learning_rate: {low: a, high: 3}}}}",
            "train.search.space.learning_rate.low: wrong value",
            "a number",
            'found: "a" (text)',
        ),
    ],
)
def test_one_mistake_is_one_problem(refuse: Refuse, said: str, key: str, expected: str, last: str) -> None:
    head, place, *about = refuse(
        text=SHORT.replace("010", "'010'").replace("tickets", "news") + said + "\n"
    ).splitlines()
    assert head.endswith("loop.yaml: 1 problem"), (place, about)
    assert place.endswith(f": {key}")
    assert about[0].strip() == f"expected: {expected}"
    assert about[-1].strip() == last


def test_a_pattern_has_one_wording() -> None:
    text_like(r"\S", "a text that is not blank")
    with pytest.raises(ValueError, match="a name"):
        text_like(r"\S", "a name")
