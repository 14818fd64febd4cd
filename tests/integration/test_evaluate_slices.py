"""Slices of the loop file in a whole evaluation: from raw into evidence and page, and into no journal."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.evaluation.stored import evidence_of
from lakeloop.lake.tables import raw_schema
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop, trained

DAY = DAYS[0]
SHOPS = ("northern", "southern")


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    """400 rows, half of each shop; the model reads no shop."""
    columns = {"id": "string", "text": "string", "label": "string", "shop": "string"}
    source = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id", "columns": columns}
    context = small_context(tmp_path, small_loop(source=source, evaluate={"slices": ["shop"]}))
    rows = mart_rows(DAY, 400)
    publish(context, DAY, rows)
    raw = [
        {"id": row["row_id"], "shop": SHOPS[n % 2], "source_line": n + 1, "partition": DAY}
        for n, row in enumerate(rows)
    ]
    fence = context.lake.claim("ingest", DAY, context.attempt)
    table = pa.Table.from_pylist(raw, raw_schema(context.loop))
    context.lake.replace("raw", table, where={"partition": DAY}, fence=fence)
    dataset(context, DAY)
    return context


def test_columns_that_no_model_reads_are_in_evidence_and_page_and_in_no_journal(
    context: StageContext,
) -> None:
    trained(context, "baseline", DAY, confuse={"tech": "business"})
    record = evaluate(context, DAY)
    model = evidence_of(context.lake.files, record).model("baseline")
    named, worst = (next(t for t in model.tables if t.title == each) for each in ("Slices", "Worst slices"))
    assert [row[0] for row in named.rows] == [f"shop {shop}" for shop in SHOPS]
    assert sum(int(str(row[1])) for row in named.rows) == int(record.outputs["rows"])
    assert worst.rows[0][0] == "answer tech"
    assert worst.rows[0][2] == 1.0
    page = Path(record.links["report"]).read_text()
    assert "shop northern" in page
    journals = [file.read_text() for file in context.settings.journals.rglob("*") if file.is_file()]
    assert any("confusion" in text for text in journals)
    assert not any("northern" in text or "answer tech" in text for text in journals)


def test_the_status_has_the_interval_of_the_score_that_decides(context: StageContext) -> None:
    trained(context, "baseline", DAY, confuse={"tech": "business"})
    evaluate(context, DAY)
    status = loop_status(context)
    low, high = status.intervals["baseline"]
    assert low < status.scores["baseline"] < high
