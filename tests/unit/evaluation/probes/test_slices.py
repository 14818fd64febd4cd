"""Slices: what was planted is found, chance is not taken for it, and the tests are those of SciPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from lakeloop.attempt import Attempt
from lakeloop.evaluation.judge import Contender, Judged
from lakeloop.evaluation.probes.slices import Compared, Slices
from lakeloop.evaluation.slices import Slice, group, script_of, slices_of
from lakeloop.lake.tables import raw_schema
from lakeloop.spec.identity import identity, training_identity
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.training.grouped import with_groups
from lakeloop.tasks.classification import Label
from lakeloop.tasks.registry import task_of
from lakeloop.tasks.regression import Value
from tests.support.number_loop import number_loop
from tests.support.small_loop import LABELS, small_context, small_loop

ROWS = 600
SOURCE = {
    "kind": "files",
    "path": "drops/{partition}.jsonl",
    "key": "id",
    "columns": {"id": "string", "text": "string", "label": "string", "shop": "string", "seen": "timestamp"},
}


def asking(**sections: Any) -> LoopSpec:
    return small_loop(source=SOURCE, evaluate={"slices": ["shop"]}, **sections)


def table(seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    texts = ["row " + "x" * int(random.integers(1, 60)) for _ in range(ROWS)]
    shops = random.choice(["north", "south", "east"], ROWS)
    return pa.table({"text": texts, "label": random.choice(LABELS, ROWS), group("shop"): shops})


def judged(rows: pa.Table, wrong: Any) -> Judged:
    task = task_of(small_loop().task)
    labels = [
        LABELS[(LABELS.index(truth) + 1) % 3] if off else truth
        for truth, off in zip(rows["label"].to_pylist(), wrong, strict=True)
    ]
    scores = dict.fromkeys(LABELS, 0.05)
    answers = [Label(label=label, score=0.9, scores=scores | {label: 0.9}) for label in labels]
    outcomes = task.outcomes(answers, task.truths(rows))
    description: Any = None
    return Judged(Contender("finetune", "f" * 64, "x"), description, tuple(answers), outcomes, "a" * 64, 1.0)


def test_a_slice_of_two_columns_that_is_worse_is_found_and_named_with_its_rows() -> None:
    rows = table()
    planted = np.array(
        [
            shop == "north" and label == "tech"
            for shop, label in zip(rows[group("shop")].to_pylist(), rows["label"].to_pylist(), strict=True)
        ]
    )
    wrong = (np.random.default_rng(1).random(ROWS) < 0.1) | (planted & (np.arange(ROWS) % 4 > 0))
    named, worst = Slices().look(judged(rows, wrong), rows, task_of(small_loop().task)).tables
    assert [row[0] for row in named.rows] == ["shop east", "shop north", "shop south"]
    shop = {row[0]: row for row in named.rows}["shop north"]
    assert shop[3] < shop[2] < shop[4]
    name, count, share, others, chance = worst.rows[0]
    assert (name, count) == ("answer tech, shop north", planted.sum())
    assert share == pytest.approx(wrong[planted].mean())
    assert others == pytest.approx(wrong[~planted].mean())
    assert chance < 1e-6
    assert named.of_rows
    assert worst.of_rows
    assert len({row[0] for row in worst.rows}) == len(worst.rows)


def test_of_errors_by_chance_nothing_is_said() -> None:
    said = 0
    for seed in range(20):
        rows = table(seed)
        wrong = np.random.default_rng(seed + 100).random(ROWS) < 0.2
        worst = Slices().look(judged(rows, wrong), rows, task_of(small_loop().task)).tables[-1]
        said += bool(worst.rows)
    assert said <= 3


def test_numbers_are_compared_by_the_sizes_of_their_errors() -> None:
    loop = number_loop()
    task = task_of(loop.task)
    random = np.random.default_rng(0)
    texts = ["long " * 20 if n % 2 else "short" for n in range(ROWS)]
    truth = random.normal(size=ROWS)
    rows = pa.table({"text": texts, "target": truth})
    answers = [Value(value=t + random.normal() * (3 if n % 2 else 1)) for n, t in enumerate(truth)]
    description: Any = None
    model = Judged(
        Contender("a", "a" * 64, "x"), description, tuple(answers), task.outcomes(answers, truth), "", 1.0
    )
    (worst,) = Slices().look(model, rows, task).tables
    assert worst.columns[2] == "mean absolute error"
    assert worst.rows[0][0].startswith("length")
    assert worst.rows[0][2] > 2 * worst.rows[0][3]


def test_the_chances_are_those_of_scipy() -> None:
    from scipy.stats import fisher_exact, mannwhitneyu

    random = np.random.default_rng(3)
    within = random.random(200) < 0.3
    parts = [Slice("a", within, "a")]
    wrong = (random.random(200) < 0.3).astype(float)
    (exact,) = Compared(parts, wrong, True).parts
    counts = [
        [wrong[within].sum(), (1 - wrong[within]).sum()],
        [wrong[~within].sum(), (1 - wrong[~within]).sum()],
    ]
    assert exact.chance == pytest.approx(fisher_exact(counts, alternative="greater").pvalue)
    errors = random.integers(0, 10, 200).astype(float) + within
    (ranked,) = Compared(parts, errors, False).parts
    expected = mannwhitneyu(errors[within], errors[~within], alternative="greater", method="asymptotic")
    assert ranked.chance == pytest.approx(expected.pvalue)
    (flat,) = Compared(parts, np.ones(200), False).parts
    assert flat.chance == 1.0


def test_where_nothing_is_wrong_the_page_says_that_no_slice_is_worse() -> None:
    rows = table()
    _, worst = Slices().look(judged(rows, [False] * ROWS), rows, task_of(small_loop().task)).tables
    assert worst.rows == ()
    assert "none is worse" in worst.note
    few = rows.slice(0, 15)
    assert Slices().look(judged(few, [True] * 15), few, task_of(small_loop().task)).tables == ()


def test_texts_are_told_apart_by_their_script() -> None:
    assert script_of("the cat, 12 times") == "LATIN"
    assert script_of("今天天气很好 ok") == "CJK"
    assert script_of("Привет") == "CYRILLIC"
    assert script_of("12 !?") == "none"
    rows = pa.table({"text": ["abc", "天气"] * 30, "label": ["tech", "sports"] * 30})
    names = {part.name for part in slices_of(rows, task_of(small_loop().task))}
    assert {"script LATIN", "script CJK"} < names


def test_columns_that_no_model_reads_come_from_raw_by_day_and_key(tmp_path: Path) -> None:
    loop = asking()
    context = small_context(tmp_path, loop)
    for day, shops in (("2026-11-16", ["north", "south"]), ("2026-11-17", [None, "east"])):
        lines = [
            {"id": str(n), "shop": shop, "partition": day, "source_line": n} for n, shop in enumerate(shops)
        ]
        raw = pa.Table.from_pylist(lines, raw_schema(loop))
        fence = context.lake.claim("ingest", day, Attempt("test"))
        context.lake.replace("raw", raw, where={"partition": day}, fence=fence)
    rows = pa.table(
        {
            "row_id": ["1", "0", "1", "7"],
            "partition": ["2026-11-17", "2026-11-16", "2026-11-16", "2026-11-18"],
        }
    )
    found = with_groups(rows, context.lake, loop)
    assert found[group("shop")].to_pylist() == ["east", "north", "south", None]
    assert with_groups(rows, context.lake, small_loop()) is rows


def test_a_slice_decides_scores_alone_and_its_column_has_to_be_there() -> None:
    plain, asked = small_loop(source=SOURCE), asking()
    assert training_identity(plain) == training_identity(asked)
    assert identity(plain, "scores") != identity(asked, "scores")
    assert "slices" not in json.dumps(identity(plain, "scores"))
    with pytest.raises(ValidationError, match=r"evaluate\.slices\.0.*no such column"):
        small_loop(evaluate={"slices": ["region"]})
    with pytest.raises(ValidationError, match=r"evaluate\.slices\.0.*wrong type"):
        small_loop(source=SOURCE, evaluate={"slices": ["seen"]})


def test_a_slice_of_a_long_value_has_a_short_name_of_its_own() -> None:
    long = ["the same beginning of many words " * 300 + end for end in "abc"]
    rows = pa.table(
        {"text": ["abc"] * 90, "label": ["tech", "sports", "tech"] * 30, group("note"): [*long] * 30}
    )
    names = [part.name for part in slices_of(rows, task_of(small_loop().task)) if "note" in part.name]
    assert len(set(names)) == 3
    assert max(map(len, names)) < 100
    assert all(name.startswith("note the same beginning of many words the same") for name in names)
