"""The stage that answers rows in a batch: tables and files, what cannot be asked, what is done once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from lakeloop.errors import ConfigurationError, DataError, FenceError
from lakeloop.lake.tables import PLAIN, SCORED, SCORES, raw_schema
from lakeloop.records import StageRecord
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.stages.release.score import pending, score, source_name
from tests.support.artifacts import make_artifact
from tests.support.small_loop import DAYS, LABELS, mart_rows, publish, small_context, small_loop
from tests.unit.registry.test_registry import CARD

DAY = DAYS[0]


@pytest.fixture(autouse=True)
def no_wandb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")


def opened(folder: Path, **keys: Any) -> StageContext:
    return small_context(folder, small_loop(score={"source": "mart", **keys}))


def promoted(context: StageContext, seed: int = 17) -> str:
    """The name of a version with an artifact of its own, the new champion."""
    registry = Registry(context.lake)
    before = registry.champion()
    folder = context.settings.root / f"artifact-{seed}"
    version = registry.register(make_artifact(folder, LABELS, seed=seed).folder, CARD)
    registry.promote(
        version.name, over=before.name if before else None, reason="test", cause=f"evaluation {seed}"
    )
    return version.name


def inbox(context: StageContext, name: str, *lines: Any) -> None:
    path = context.settings.root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines))


def scores(context: StageContext, **equals: str) -> list[dict[str, Any]]:
    rows = context.lake.read("scores", **equals).to_pylist()
    return sorted(rows, key=lambda row: (row["source_file"], row["row"]))


def test_the_days_rows_of_the_mart_are_answered_once(tmp_path: Path) -> None:
    context = opened(tmp_path)
    publish(context, DAY, mart_rows(DAY, 7))
    champion = promoted(context)
    done = score(context, DAY)
    assert (done.status, done.metrics["score/rows"], done.metrics["score/answered"]) == ("done", 7, 7)
    rows = scores(context)
    assert [row["key"] for row in rows] == [row["row_id"] for row in mart_rows(DAY, 7)]
    assert [json.loads(row["answer"])["label"] for row in rows] == [LABELS[n % 3] for n in range(7)]
    assert {(row["partition"], row["source"], row["model_version"]) for row in rows} == {
        (DAY, "mart", champion)
    }
    version = context.lake.version("scores")
    assert score(context, DAY).status == "unchanged"
    assert context.lake.version("scores") == version


def test_another_champion_or_other_rows_replace_the_day(tmp_path: Path) -> None:
    context = opened(tmp_path)
    publish(context, DAY, mart_rows(DAY, 5))
    publish(context, DAYS[1], mart_rows(DAYS[1], 4))
    promoted(context)
    score(context, DAY)
    score(context, DAYS[1])
    second = promoted(context, seed=18)
    assert score(context, DAY).status == "done"
    assert {row["model_version"] for row in scores(context, partition=DAY)} == {second}
    assert {row["model_version"] for row in scores(context, partition=DAYS[1])} == {"v1"}
    publish(context, DAY, mart_rows(DAY, 3))
    assert score(context, DAY).status == "done"
    assert len(scores(context, partition=DAY)) == 3


def test_rows_of_raw_are_answered_before_any_check_saw_them(tmp_path: Path) -> None:
    context = opened(tmp_path, source="raw")
    promoted(context)
    rows = [{"id": "a", "text": "about tech", "label": None}, {"id": "b", "text": None, "label": "tech"}]
    table = pa.Table.from_pylist(
        [{**row, "source_line": n, "source_file": "x.jsonl", "partition": DAY} for n, row in enumerate(rows)],
        raw_schema(context.loop),
    )
    with context.stage("ingest", DAY) as stage:
        stage.inputs(drop="d")
        published = context.lake.replace("raw", table, where={"partition": DAY}, fence=stage.claim())
        stage.done(reason="x", outputs={"raw": published.digest, "raw_version": str(published.version)})
    done = score(context, DAY)
    first, second = scores(context)
    assert json.loads(first["answer"])["label"] == "tech"
    assert (second["key"], second["answer"], second["fault"]) == (
        "b",
        None,
        "text: expected a text, found None",
    )
    assert done.examples == ("x.jsonl:1: text: expected a text, found None",)


def test_files_of_the_day_are_answered_and_every_line_is_accounted_for(tmp_path: Path) -> None:
    context = opened(tmp_path, source="inbox/{partition}/*", to="answers/{partition}.parquet", top=1)
    promoted(context)
    inbox(context, f"{DAY}/a.jsonl", {"id": "1", "text": "about sports"}, "{broken", {"id": "3", "text": " "})
    inbox(context, f"{DAY}/b.jsonl", {"id": "4", "text": "about tech"})
    inbox(context, f"{DAY}/notes.txt", "not for a model")
    inbox(context, f"{DAYS[1]}/c.jsonl", {"id": "5", "text": "of another day"})
    done = score(context, DAY)
    assert done.reason.startswith("2 of 4 rows answered by v1")
    assert done.reason.endswith("2 could not be asked and say why")
    rows = scores(context, source=source_name("inbox/{partition}/*"))
    assert [row["fault"] is None for row in rows] == [True, False, False, True]
    assert [row["source_file"] for row in rows] == [f"inbox/{DAY}/{n}.jsonl" for n in "aaab"]
    assert len(json.loads(rows[0]["answer"])["scores"]) == 1
    file = pq.read_table(tmp_path / f"answers/{DAY}.parquet")
    assert file.schema.equals(SCORED)
    assert file.num_rows == 4


def test_the_file_is_written_again_when_it_is_gone_and_over_no_other(tmp_path: Path) -> None:
    context = opened(tmp_path, to="answers.parquet")
    publish(context, DAY, mart_rows(DAY, 2))
    promoted(context)
    score(context, DAY)
    target = tmp_path / "answers.parquet"
    target.unlink()
    assert score(context, DAY).status == "unchanged"
    assert pq.read_table(target).num_rows == 2
    pq.write_table(pa.table({"mine": [1]}), target)
    with pytest.raises(ConfigurationError, match="there is another file"):
        score(context, DAY)
    assert [each.stage for each in loop_status(context).failed] == ["score"], "it is told as a failure"
    assert pq.read_table(target).to_pylist() == [{"mine": 1}]


def test_a_file_that_cannot_be_read_leaves_the_rows_of_before(tmp_path: Path) -> None:
    context = opened(tmp_path, source="inbox/{partition}.jsonl")
    promoted(context)
    inbox(context, f"{DAY}.jsonl", {"id": "1", "text": "about sports"})
    score(context, DAY)
    (tmp_path / f"inbox/{DAY}.jsonl").write_bytes(b'{"text": "x"}\n\xff\xfe\n')
    with pytest.raises(DataError, match="cannot be read"):
        score(context, DAY)
    assert len(scores(context)) == 1


def test_an_attempt_that_was_overtaken_publishes_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    context = opened(tmp_path)
    publish(context, DAY, mart_rows(DAY, 2))
    promoted(context)
    from lakeloop.inference import scoring

    answers = scoring.answers

    def overtaken(*given: Any, **named: Any) -> Any:
        yield from answers(*given, **named)
        context.lake.claim("score", DAY, context.attempt.__class__("another"))

    monkeypatch.setattr(scoring, "answers", overtaken)
    with pytest.raises(FenceError):
        score(context, DAY)
    assert scores(context) == []


@pytest.mark.parametrize(
    ("keys", "skipped", "to_do"),
    [
        (
            {},
            "mart has no rows of",
            f"lakeloop ingest small --partition {DAY}, then transform and validate, or",
        ),
        ({"source": "inbox/{partition}.csv"}, f"there is no file inbox/{DAY}.csv", "put it there"),
        ({"source": "inbox"}, "there is no file inbox", "put it there"),
        ({"source": "martt"}, "there is no file martt", "did you mean the table mart? Else put it there"),
    ],
)
def test_a_day_without_rows_is_skipped(tmp_path: Path, keys: Any, skipped: str, to_do: str) -> None:
    context = opened(tmp_path, **keys)
    assert score(context, DAY).reason == "small has no champion yet"
    promoted(context)
    record = score(context, DAY)
    assert (record.status, record.reason.startswith(skipped)) == ("skipped", True)
    assert record.outputs["to_do"].startswith(to_do)


@pytest.mark.parametrize("path", ["/etc/{partition}.csv", "../x.csv", "inbox/.hidden.csv"])
def test_files_outside_of_the_project_are_not_read(tmp_path: Path, path: str) -> None:
    context = opened(tmp_path, source=path)
    promoted(context)
    with pytest.raises(ConfigurationError, match=r"score\.source"):
        score(context, DAY)


def test_without_a_source_it_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"score\.source=mart"):
        score(small_context(tmp_path), DAY)


def test_what_starts_by_itself_is_due_until_it_is_done(tmp_path: Path) -> None:
    context = opened(tmp_path, when=["input", "champion"])

    def due() -> list[Pending]:
        entries = context.lake.ledger.entries()
        return list(pending(Standing(context.loop, entries, Registry(context.lake).champion())))

    publish(context, DAY, mart_rows(DAY, 3))
    promoted(context)
    assert due() == [], "the first one is the DAG's"
    score(context, DAY)
    assert due() == []
    publish(context, DAYS[1], mart_rows(DAYS[1], 3))
    assert [(step.stage, step.partition) for step in due()] == [("score", DAYS[1])]
    score(context, DAYS[1])
    promoted(context, seed=18)
    assert [(step.partition, step.reason) for step in due()] == [
        (DAYS[1], f"v2 is champion and has not answered {DAYS[1]}")
    ]
    record: StageRecord = score(context, DAYS[1])
    assert record.status == "done"
    assert due() == []


def test_what_is_held_back_is_counted_and_told(tmp_path: Path) -> None:
    context = small_context(
        tmp_path, small_loop(score={"source": "mart"}, deploy={"abstain": {"below": 0.999999}})
    )
    publish(context, DAY, mart_rows(DAY, 4))
    promoted(context)
    done = score(context, DAY)
    assert (done.metrics["score/answered"], done.metrics["score/abstained"]) == (0, 4)
    assert done.reason.startswith("0 of 4 rows answered by v1, 4 held back as unsure, ")
    assert {row["label"] for row in scores(context)} == {None}
    assert all(json.loads(row["answer"])["abstained"] for row in scores(context))


def test_a_table_and_a_file_of_before_there_were_columns_for_the_answer_go_on(tmp_path: Path) -> None:
    context = opened(tmp_path, to="answers.parquet")
    publish(context, DAYS[1], mart_rows(DAYS[1], 2))
    champion = promoted(context)
    before = pa.schema([field for field in SCORES if field.name not in PLAIN.names])
    row = {"partition": DAY, "source": "mart", "row": 1, "answer": '{"label": "tech"}', "model_version": "v0"}
    old = pa.Table.from_pylist([row], schema=before)
    write_deltalake(tmp_path / ".lakeloop/lake/small/scores", old, mode="overwrite", schema_mode="overwrite")
    pq.write_table(old.drop_columns(["partition", "source"]), tmp_path / "answers.parquet")
    again = opened(tmp_path, to="answers.parquet")
    assert score(again, DAYS[1]).status == "done"
    assert [(each["model_version"], each["label"]) for each in scores(again, partition=DAY)] == [("v0", None)]
    assert [(each["model_version"], each["label"]) for each in scores(again, partition=DAYS[1])] == [
        (champion, LABELS[0]),
        (champion, LABELS[1]),
    ]
    assert pq.read_table(tmp_path / "answers.parquet").schema.equals(SCORED)


def test_the_first_step_that_a_day_lacks_is_named(tmp_path: Path) -> None:
    context = opened(tmp_path)
    publish(context, DAYS[1], mart_rows(DAYS[1], 2))
    promoted(context)

    def told() -> str:
        return score(context, DAY).outputs["to_do"]

    newest = f", or name the newest day that has it: --partition {DAYS[1]}"
    assert told() == f"lakeloop ingest small --partition {DAY}, then transform and validate{newest}"
    with context.stage("ingest", DAY) as stage:
        stage.done(reason="x", outputs={})
    assert told() == f"lakeloop transform small --partition {DAY}, then validate{newest}"
    with context.stage("transform", DAY) as stage:
        stage.done(reason="x", outputs={})
    assert told() == f"lakeloop validate small --partition {DAY}{newest}"
