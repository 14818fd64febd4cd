"""What `transform` says of each model, and whom a slip in the models of a loop stops."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.data.transform import transform
from lakeloop.stages.frame.session import StageContext
from tests.support.dbt_project import write_dbt_project
from tests.support.small_loop import small_context, small_loop

pytestmark = pytest.mark.slow

DAY = "2026-11-16"


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    context = small_context(tmp_path)
    write_dbt_project(context.settings.dbt)
    drop = tmp_path / f"drops/{DAY}.jsonl"
    drop.parent.mkdir()
    rows = [{"id": f"k{n}", "text": f"story {n}", "label": "tech"} for n in range(3)]
    drop.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return context


def test_a_slip_in_the_models_of_another_loop_stops_only_that_loop(
    context: StageContext, tmp_path: Path
) -> None:
    write_dbt_project(context.settings.dbt, "other", mart="select {{{{ unclosed ", yml="models: [")
    for name in ("small", "other"):
        file = context.settings.loop_file(name)
        file.parent.mkdir(parents=True)
        file.write_text(f"name: {name}\n")
    ingest(context, DAY)
    transformed = transform(context, DAY)
    assert transformed.status == "done"
    other = small_context(tmp_path, small_loop(name="other"))
    ingest(other, DAY)
    with pytest.raises(ConfigurationError, match="dbt cannot read the models of other") as caught:
        transform(other, DAY)
    assert caught.value.where.startswith(f"{context.settings.dbt}/models/other/")
    assert "other loops go on" in caught.value.remedy


def test_the_record_says_what_dbt_did_with_each_model_and_where_its_page_is(context: StageContext) -> None:
    ingest(context, DAY)
    transformed = transform(context, DAY)
    staged, mart = transformed.models
    assert [(each.name, each.status, each.rows) for each in (staged, mart)] == [
        ("stg_small", "success", 3),
        ("mart_small", "success", 3),
    ]
    assert (staged.tests, mart.tests, mart.warned) == (0, 1, {})
    (kept,) = context.lake.ledger.entries("transform", DAY)
    assert kept.models == transformed.models
    assert "mart_small" in Path(transformed.links["dbt_docs"]).read_text()
