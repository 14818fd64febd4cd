"""Ingest, transform and validate on a real lake: what is published, what is not, and what is said of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError, CountsError, DataError, FenceError
from lakeloop.records import Counts, StageRecord
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.data.transform import transform
from lakeloop.stages.data.validate import validate
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.transform import models
from tests.support.dbt_project import MART, write_dbt_project
from tests.support.small_loop import small_context, small_loop

pytestmark = pytest.mark.slow

DAY, NEXT_DAY = "2026-11-16", "2026-11-17"
TABLES = ("raw", "staging", "mart", "quarantine", "ledger")

ROWS: list[dict[str, Any]] = [
    *(
        {"id": f"k{n}", "text": f"story {n}", "label": ("business", "sports", "tech")[n % 3]}
        for n in range(12)
    ),
    {"id": "k3", "text": "story 3", "label": "business"},  # exact duplicate
    {"id": "n1", "text": "  STORY\n4!", "label": "sports"},  # near-duplicate
    {"id": "b1", "text": "", "label": "tech"},
    {"id": "b2", "text": " \u2003", "label": "tech"},
    {"id": "b3", "text": "no label", "label": None},
    {"id": "b4", "text": "quotes: ' \" \\ {} :x\nand a new line", "label": "it's cooking"},
    {"id": {"wrong": "type"}, "text": "an object for a key", "label": "tech"},
]


WHY_STOPPED = (
    "    9 of 12 lines were quarantined by validate: label_unknown in label (9), e.g. line 4: "
    "expected one of business, sports, tech, found cooking"
)


def drop(context: StageContext, rows: Sequence[Any], day: str = DAY) -> None:
    """Put a day's file where the loop looks for it; a string is a line as it is."""
    path = context.settings.root / f"drops/{day}.jsonl"
    path.parent.mkdir(exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines))


def open_context(tmp_path: Path, loop: LoopSpec | None = None) -> StageContext:
    loop = loop or small_loop(checks={"max_quarantined_share": 0.5})
    return small_context(tmp_path, loop, Attempt.local())


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    context = open_context(tmp_path)
    write_dbt_project(context.settings.dbt)
    drop(context, [*ROWS, '{"id": "k9", "te'])
    return context


def run_all(context: StageContext, day: str = DAY) -> tuple[StageRecord, StageRecord, StageRecord]:
    return ingest(context, day), transform(context, day), validate(context, day)


def versions(context: StageContext) -> list[int]:
    return [context.lake.version(table) for table in TABLES]


def test_every_line_of_a_day_ends_in_one_place(context: StageContext) -> None:
    ingested, transformed, validated = run_all(context)
    assert ingested.counts == Counts(read=20, accepted=17, quarantined=2, duplicates=1)
    assert transformed.counts == Counts(read=17, accepted=17)
    assert validated.counts == Counts(read=17, accepted=12, quarantined=4, duplicates=1)

    mart = context.lake.read("mart", partition=DAY)
    assert sorted(mart["row_id"].to_pylist()) == sorted(f"k{n}" for n in range(12))
    assert context.lake.digest("mart", partition=DAY) == validated.outputs["mart"]
    quarantine = context.lake.read("quarantine", partition=DAY).to_pylist()
    assert Counter(row["reason"] for row in quarantine if row["stage"] == "validate") == {
        "text_too_short": 2,
        "label_missing": 1,
        "label_unknown": 1,
    }
    whole = next(row for row in quarantine if row["row_key"] == "b4")
    line = json.dumps(next(row for row in ROWS if row["id"] == "b4"), ensure_ascii=False)
    assert whole["raw"] == line, "as it came, not as it was cleaned"
    assert {row["raw_form"] for row in quarantine} == {"line"}
    content = (context.settings.root / f"drops/{DAY}.jsonl").read_bytes()
    assert content[whole["byte_offset"] :].startswith(line.encode())
    assert mart.num_rows + len(quarantine) + 2 == 20


def test_the_record_leads_to_the_report(context: StageContext) -> None:
    *_, validated = run_all(context)
    page = Path(validated.links["data_docs"])
    assert page == context.settings.docs("small") / DAY / "index.html"
    assert "the day may be published" in page.read_text()
    assert sorted(file.name for file in page.parent.iterdir()) == ["index.html", "result.json"]
    assert not (context.work("validate", DAY) / "audit/audit.duckdb").exists(), "all of it is in the lake"
    assert json.loads((page.parent / "result.json").read_text())["account"]["lines_read"] == 20
    assert validated.metrics["checks/passed"] == validated.metrics["checks/total"] == 8
    assert validated.metrics["quarantined_share"] == 6 / 20
    assert validated.reason == (
        "12 row(s) published, 4 quarantined (text_too_short 2, label_missing 1, label_unknown 1),"
        " 1 near-duplicate(s) left out; 8 of 8 checks passed"
    )


def test_a_model_that_drops_duplicates_itself_is_counted(context: StageContext) -> None:
    first = "qualify row_number() over (partition by text_key order by source_line) = 1"
    write_dbt_project(context.settings.dbt, mart=f"{MART.strip()}\n{first}\n")
    _, transformed, validated = run_all(context)
    assert transformed.counts == Counts(read=17, accepted=16, duplicates=1)
    assert validated.counts == Counts(read=16, accepted=12, quarantined=4)
    assert "16 built, 1 duplicate dropped by the model" in transformed.reason


def test_a_bad_row_is_kept_as_it_was_read_when_its_drop_is_not_there_any_more(context: StageContext) -> None:
    ingest(context, DAY)
    transform(context, DAY)
    path = context.settings.root / f"drops/{DAY}.jsonl"
    content = path.read_text()
    path.write_text(content.replace("no label", "No Label"))
    assert validate(context, DAY).status == "done"
    kept = context.lake.read("quarantine", partition=DAY, stage="validate").to_pylist()
    assert {(row["raw_form"], row["byte_offset"]) for row in kept} == {("row", None)}
    assert {"id": "b3", "text": "no label", "label": None} in [json.loads(row["raw"]) for row in kept]


def test_a_good_row_outlives_the_bad_one_with_its_text(context: StageContext) -> None:
    drop(
        context,
        [
            {"id": "1", "text": "Where is my parcel", "label": None},
            {"id": "1", "text": "Where is my parcel", "label": "tech"},
            {"id": "2", "text": "refund please", "label": "sports"},
        ],
    )
    validated = run_all(context)[-1]
    assert validated.counts == Counts(read=3, accepted=2, quarantined=1)
    mart = context.lake.read("mart", partition=DAY).to_pylist()
    assert sorted((row["row_id"], row["source_line"]) for row in mart) == [("1", 2), ("2", 3)]


def test_answers_that_contradict_each_other_are_said_and_shown(context: StageContext) -> None:
    texts = ("great 👍", "great 👎", "I write C", "I write C++", "price 1.50", "price 150", "Price 150!")
    names = ("tech", "sports", "tech", "sports", "tech", "sports", "business")
    drop(context, [{"id": str(n), "text": t, "label": names[n]} for n, t in enumerate(texts)])
    validated = run_all(context)[-1]
    assert validated.counts == Counts(read=7, accepted=6, duplicates=1)
    assert "2 row(s) with 1 text(s) contradict each other in their answers" in validated.reason
    assert (validated.metrics["conflicts/texts"], validated.metrics["conflicts/rows"]) == (1.0, 2.0)
    page = Path(validated.links["data_docs"]).read_text()
    assert "Same text, different answers" in page
    assert "price 150" in page


def test_again_from_the_same_drop_changes_nothing(context: StageContext, tmp_path: Path) -> None:
    first = run_all(context)
    before = versions(context)
    again = run_all(open_context(tmp_path))
    assert [record.status for record in again] == ["unchanged"] * 3
    assert [record.outputs for record in again] == [record.outputs for record in first]
    assert versions(context) == before


def test_a_changed_model_transforms_again_and_the_same_rows_are_not_judged_again(
    context: StageContext,
) -> None:
    run_all(context)
    write_dbt_project(context.settings.dbt, mart=MART + "-- a comment\n")
    assert transform(context, DAY).status == "done"
    assert validate(context, DAY).status == "unchanged"


def test_templates_of_a_later_version_transform_again_and_the_same_rows_are_not_judged_again(
    context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(context.settings.dbt / "models")
    before = sorted(context.settings.dbt.rglob("*"))
    first = run_all(context)
    assert [record.status for record in first] == ["done"] * 3
    assert transform(context, DAY).status == "unchanged"
    newer = tmp_path / "templates"
    shutil.copytree(Path(str(models.TEMPLATES)), newer)
    (newer / "mart.sql").write_text((newer / "mart.sql").read_text() + "-- newer\n")
    monkeypatch.setattr(models, "TEMPLATES", newer)
    again = transform(context, DAY)
    assert (again.status, again.outputs["staging"]) == ("done", first[1].outputs["staging"])
    assert validate(context, DAY).status == "unchanged"
    assert sorted(context.settings.dbt.rglob("*")) == before


def test_days_do_not_touch_each_other(context: StageContext) -> None:
    first = run_all(context)[-1]
    drop(context, ROWS[:5], NEXT_DAY)
    run_all(context, NEXT_DAY)
    assert context.lake.digest("mart", partition=DAY) == first.outputs["mart"]
    assert context.lake.read("mart", partition=NEXT_DAY).num_rows == 5


def test_a_corrected_drop_replaces_rows_and_quarantine(context: StageContext) -> None:
    run_all(context)
    drop(context, ROWS[:12])
    validated = run_all(context)[-1]
    assert validated.counts == Counts(read=12, accepted=12)
    assert context.lake.read("quarantine", partition=DAY).num_rows == 0
    assert "in place of" not in validated.reason, "the rows of the mart are the same"
    drop(context, ROWS[:11])
    restated = run_all(context)[-1]
    assert "; in place of 12 row(s) of " in restated.reason
    assert restated.metrics["replaced_rows"] == 12
    assert "replaced_rows" not in validated.metrics


def test_a_day_that_was_not_ingested_says_which_command_to_run(context: StageContext) -> None:
    with pytest.raises(DataError, match="was not ingested") as caught:
        transform(context, DAY)
    assert caught.value.remedy == f"lakeloop ingest small --partition {DAY}"
    with pytest.raises(DataError, match="was not transformed") as caught:
        validate(context, DAY)
    assert caught.value.remedy == f"lakeloop transform small --partition {DAY}"


def test_a_day_without_a_drop_is_skipped_to_the_end(context: StageContext) -> None:
    records = run_all(context, "2026-11-30")
    assert [record.status for record in records] == ["skipped"] * 3
    assert "2026-11-30" in records[-1].reason


def test_an_empty_drop_is_an_empty_day_when_the_loop_allows_it(tmp_path: Path) -> None:
    context = open_context(tmp_path, small_loop(checks={"min_rows": 0, "min_labels": 0}))
    write_dbt_project(context.settings.dbt)
    drop(context, [])
    *_, validated = run_all(context)
    assert validated.status == "done"
    assert validated.counts == Counts(read=0, accepted=0)
    assert context.lake.read("mart", partition=DAY).num_rows == 0


def test_a_stopped_day_leaves_the_lake_as_it_was_and_a_report(context: StageContext, tmp_path: Path) -> None:
    published = run_all(context)[-1]
    drop(context, [*ROWS[:3], *({"id": f"x{n}", "text": f"x{n}", "label": "cooking"} for n in range(9))])
    ingest(context, DAY)
    transform(context, DAY)
    before = versions(context)
    with pytest.raises(DataError, match="1 of 8 checks failed; nothing of the day was published") as caught:
        validate(context, DAY)
    assert caught.value.expected == "day_quarantined_share: at most 50.0% of the lines in quarantine"
    assert caught.value.found.splitlines() == [
        "day_quarantined_share: 75.0% of the lines in quarantine",
        WHY_STOPPED,
    ]
    assert versions(context) == before
    assert context.lake.digest("mart", partition=DAY) == published.outputs["mart"]
    page = context.settings.docs("small") / DAY / "index.html"
    assert str(page) in caught.value.remedy
    assert "the day was stopped" in page.read_text()
    assert (context.work("validate", DAY) / "audit/audit.duckdb").is_file(), "to be looked into"
    assert "label_unknown" in page.read_text()

    lenient = open_context(tmp_path, small_loop(checks={"max_quarantined_share": 0.8}))
    assert validate(lenient, DAY).counts == Counts(read=12, accepted=3, quarantined=9)


def test_rows_in_quarantine_of_ingest_count_for_the_share(tmp_path: Path) -> None:
    context = open_context(tmp_path, small_loop(checks={"max_quarantined_share": 0.4}))
    write_dbt_project(context.settings.dbt)
    drop(context, [*ROWS[:3], "broken", "broken too", "and this"])
    with pytest.raises(DataError, match="1 of 8 checks failed") as caught:
        run_all(context)
    assert "50.0% of the lines" in caught.value.found
    assert "3 of 6 lines were quarantined by ingest: broken_json (3), e.g. line 4: " in caught.value.found
    page = (context.settings.docs("small") / DAY / "index.html").read_text()
    assert "broken_json" in page
    assert "broken too" in page
    assert "None." not in page
    status = loop_status(context)
    (failure,) = status.failed
    assert (failure.stage, failure.partition) == ("validate", DAY)
    assert "quarantined by ingest: broken_json (3)" in failure.reason
    assert status.partitions[0].in_the_mart == "no; done: ingest, transform; validate failed"


def test_a_model_that_loses_rows_is_found_by_the_counts(context: StageContext) -> None:
    write_dbt_project(context.settings.dbt, mart=MART.strip() + "\nwhere row_id <> 'k5'\n")
    ingest(context, DAY)
    before = versions(context)
    with pytest.raises(CountsError, match=r"1 row\(s\) lost"):
        transform(context, DAY)
    assert versions(context) == before


def test_lines_that_vanish_between_the_stages_are_found_by_the_account(context: StageContext) -> None:
    ingest(context, DAY)
    transform(context, DAY)
    fence = context.lake.claim("ingest", DAY, context.attempt)
    kept = context.lake.read("quarantine", partition=DAY, stage="ingest").slice(1)
    context.lake.replace("quarantine", kept, where={"partition": DAY, "stage": "ingest"}, fence=fence)
    before = context.lake.version("mart")
    with pytest.raises(CountsError, match=r"1 line\(s\) lost between ingest and mart"):
        validate(context, DAY)
    assert context.lake.version("mart") == before


def test_rows_ingested_again_must_be_transformed_again(context: StageContext) -> None:
    run_all(context)
    drop(context, ROWS[:6])
    ingest(context, DAY)
    with pytest.raises(DataError, match="ingested again since it was transformed"):
        validate(context, DAY)


@pytest.mark.parametrize(("table", "stage"), [("raw", transform), ("raw", validate), ("staging", validate)])
def test_rows_that_the_ledger_does_not_know_are_not_used(
    context: StageContext, table: str, stage: Any
) -> None:
    ingest(context, DAY)
    transform(context, DAY)
    write_dbt_project(context.settings.dbt, mart=MART + "-- changed\n")
    fence = context.lake.claim("another", DAY, context.attempt)
    rows = context.lake.read(table, partition=DAY).slice(1)
    context.lake.replace(table, rows, where={"partition": DAY}, fence=fence)
    with pytest.raises(FenceError, match="other rows than the ledger says"):
        stage(context, DAY)


def test_models_that_are_not_complete_are_no_models(context: StageContext) -> None:
    ingest(context, DAY)
    (context.settings.dbt / "models/small/marts/mart_small.sql").unlink()
    with pytest.raises(ConfigurationError, match="are not complete"):
        transform(context, DAY)


def test_a_model_that_fails_leaves_its_files_where_the_message_says(context: StageContext) -> None:
    broken = "select * replace (cast(row_id as bigint) as source_line) from {{{{ ref('stg_{loop}') }}}}"
    write_dbt_project(context.settings.dbt, mart=broken)
    ingest(context, DAY)
    with pytest.raises(DataError, match="model mart_small") as caught:
        transform(context, DAY)
    database = context.work("transform", DAY) / "build/transform.duckdb"
    assert str(database) in caught.value.remedy
    assert database.is_file()


def test_two_days_at_the_same_time_do_not_disturb_each_other(context: StageContext, root: Path) -> None:
    """Two processes that build, judge and publish at once, as a backfill does."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from lakeloop.stages.data.transform import transform\n"
        "from lakeloop.stages.data.validate import validate\n"
        "from tests.integration.test_transform_validate import open_context\n"
        "context = open_context(Path(sys.argv[1]))\n"
        "print([stage(context, sys.argv[2]).status for stage in (transform, validate)])\n"
    )
    drop(context, ROWS, NEXT_DAY)
    days = (DAY, NEXT_DAY)
    for day in days:
        ingest(context, day)
    environment = {**os.environ, "PYTHONPATH": str(root)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(context.settings.root), day],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for day in days
    ]
    ended = [process.communicate(timeout=240) for process in running]
    assert [output.strip() for output, _ in ended] == ["['done', 'done']"] * 2, ended
    for day in days:
        assert context.lake.read("mart", partition=day).num_rows == 12
