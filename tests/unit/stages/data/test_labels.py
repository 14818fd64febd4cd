"""The stage `labels` and the join with rows, on real tables, without dbt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeloop.errors import ConfigurationError
from lakeloop.records import StageRecord
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.data.labels import answers_of_day, labels
from lakeloop.stages.frame.labelled import Got, got
from lakeloop.stages.frame.session import StageContext
from lakeloop.transform.source import hand_over
from tests.support.records import provenance
from tests.support.small_loop import small_context, small_loop

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")
ROWS = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id"}
TOLD = {"kind": "files", "path": "labels/{partition}.jsonl", "key": "id"}


def loop(answer: str = "label", kind: str = "string", *, time: bool = True, **sections: Any) -> LoopSpec:
    columns = {"id": "string", answer: kind, **({"at": "timestamp"} if time else {})}
    return small_loop(
        **{
            "source": {**ROWS, "columns": {"id": "string", "text": "string"}},
            "labels": {**TOLD, "columns": columns, **({"event_time": "at"} if time else {})},
            **sections,
        }
    )


def put(folder: Path, kind: str, day: str, rows: Sequence[dict[str, Any]]) -> None:
    path = folder / kind / f"{day}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def rows_of(*keys: str) -> list[dict[str, Any]]:
    return [{"id": key, "text": f"about {key}"} for key in keys]


def joined(context: StageContext, day: str) -> dict[str, Any]:
    """Key -> answer of the rows that dbt is given."""
    name = context.loop.task.target
    with duckdb.connect() as connection:
        told = context.lake.scan("labels")
        hand_over(connection, context.loop, context.lake.scan("raw", partition=day), told)
        rows = connection.execute(f"select lakeloop_key, lakeloop_{name} from small.raw").fetchall()
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def test_a_loop_whose_labels_come_with_its_rows_has_no_such_stage(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="come with its rows"):
        labels(small_context(tmp_path), DAYS[0])


def test_a_day_without_labels_is_skipped_with_the_place_that_was_looked_at(tmp_path: Path) -> None:
    record = labels(small_context(tmp_path, loop()), DAYS[0])
    assert record.status == "skipped"
    assert "labels/2026-01-01.jsonl" in record.reason


@pytest.mark.parametrize(
    ("answer", "kind", "task", "given_answer", "wanted"),
    [
        ("label", "string", {"text": "text", "label": "label", "labels": ["a", "b"]}, "a", "a"),
        ("label", "number", {"text": "text", "label": "label", "labels": [1, 2]}, 1.0, "1"),
        ("label", "boolean", {"text": "text", "label": "label", "labels": [True, False]}, True, "true"),
        ("stars", "number", {"kind": "regression", "text": "text", "value": "stars"}, 0.1, 0.1),
        ("stars", "integer", {"kind": "regression", "text": "text", "value": "stars"}, 3, 3.0),
        (
            "label",
            "string",
            {"kind": "multi_label", "text": "text", "label": "label", "labels": ["a", "b"]},
            "a, b",
            "a, b",
        ),
        (
            "tags",
            "string",
            {"kind": "token_classification", "text": "text", "tags": "tags", "labels": ["x"]},
            "O B-x",
            "O B-x",
        ),
        (
            "answer",
            "string",
            {"kind": "seq2seq", "text": "text", "answer": "answer"},
            "so, it is",
            "so, it is",
        ),
    ],
)
def test_answers_of_every_kind_are_joined_by_key(
    tmp_path: Path, answer: str, kind: str, task: dict[str, Any], given_answer: Any, wanted: Any
) -> None:
    train = {"base_model": "models/writer"} if task.get("kind") == "seq2seq" else {}
    context = small_context(tmp_path, loop(answer, kind, task=task, gate={}, train=train))
    put(tmp_path, "drops", DAYS[0], rows_of("k1", "k2"))
    put(tmp_path, "labels", DAYS[1], [{"id": "k1", answer: given_answer, "at": "2026-01-02T10:00:00Z"}])
    ingest(context, DAYS[0])
    labels(context, DAYS[1])
    assert joined(context, DAYS[0]) == {"k1": wanted}


def test_none_of_the_labels_is_an_answer_where_a_task_may_have_none(tmp_path: Path) -> None:
    task = {"kind": "multi_label", "text": "text", "label": "label", "labels": ["a", "b"]}
    context = small_context(tmp_path, loop(task=task, gate={}))
    put(tmp_path, "drops", DAYS[0], rows_of("k1", "k2"))
    put(tmp_path, "labels", DAYS[0], [{"id": "k1", "label": None, "at": None}])
    ingest(context, DAYS[0])
    labels(context, DAYS[0])
    assert joined(context, DAYS[0]) == {"k1": ""}


def test_without_a_time_the_answer_that_was_delivered_last_counts(tmp_path: Path) -> None:
    context = small_context(tmp_path, loop(time=False))
    put(tmp_path, "drops", DAYS[0], rows_of("k1"))
    put(tmp_path, "labels", DAYS[2], [{"id": "k1", "label": "tech"}, {"id": "k1", "label": "sports"}])
    put(tmp_path, "labels", DAYS[1], [{"id": "k1", "label": "business"}])
    ingest(context, DAYS[0])
    for day in (DAYS[2], DAYS[1]):
        labels(context, day)
    assert joined(context, DAYS[0]) == {"k1": "sports"}


def test_days_that_lost_an_answer_are_told_although_an_attempt_was_killed_behind_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = small_context(tmp_path, loop(time=False))
    put(tmp_path, "drops", DAYS[0], rows_of("k1"))
    put(tmp_path, "labels", DAYS[1], [{"id": "k1", "label": "tech"}])
    ingest(context, DAYS[0])
    first = labels(context, DAYS[1])
    put(tmp_path, "labels", DAYS[1], [{"id": "k2", "label": "tech"}])

    def killed(point: str) -> None:
        if point == "labels.after-commit":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lakeloop.stages.data.labels.reach", killed)
        with pytest.raises(KeyboardInterrupt):
            labels(context, DAYS[1])
    again = labels(context, DAYS[1])

    assert joined(context, DAYS[0]) == {}
    assert json.loads(first.outputs["days"]).keys() == json.loads(again.outputs["days"]).keys() == {DAYS[0]}
    assert json.loads(again.outputs["days"])[DAYS[0]] == "none"


def test_an_answer_without_a_word_says_nothing_and_takes_none_back(tmp_path: Path) -> None:
    context = small_context(tmp_path, loop())
    put(tmp_path, "drops", DAYS[0], rows_of("k1"))
    told = [("tech", "2026-01-01"), (" ", "2026-01-02")]
    put(tmp_path, "labels", DAYS[0], [{"id": "k1", "label": label, "at": at} for label, at in told])
    ingest(context, DAYS[0])
    labels(context, DAYS[0])
    assert joined(context, DAYS[0]) == {"k1": "tech"}


KEYS = st.sampled_from("abcd")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["drops", "labels"]),
        st.sampled_from(DAYS),
        st.lists(
            st.tuples(
                st.sampled_from("abcd"), st.sampled_from(["tech", "sports", ""]), st.sampled_from(DAYS)
            ),
            max_size=4,
        ),
    ),
    max_size=5,
    unique_by=lambda event: event[:2],
)


def _arrive(context: StageContext, events: Sequence[Any]) -> dict[str, Any]:
    """Deliver and read in this order, each twice; the tables that are left, and what days have got."""
    root = context.settings.root
    for kind, day, told in events:
        if kind == "drops":
            put(root, kind, day, rows_of(*dict.fromkeys(key for key, *_ in told)))
        else:
            put(root, kind, day, [{"id": key, "label": label, "at": at} for key, label, at in told])
        stage = ingest if kind == "drops" else labels
        assert [stage(context, day).status for _ in range(2)][1] == "unchanged"
    version = context.lake.version("labels")
    said = got(context.lake.ledger.entries("labels"))
    found = {day: answers_of_day(context, day, version) for day in DAYS}
    for day, (_, digest) in said.items():
        assert found[day] == digest, "what is said to be due is what transform will find"
    order = [("partition", "ascending"), ("source_line", "ascending")]
    return {
        "labels": context.lake.read("labels").sort_by(order).to_pylist(),
        "raw": context.lake.read("raw").sort_by(order).to_pylist(),
        "rows": {day: joined(context, day) for day in DAYS},
        "digests": found,
    }


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS, st.randoms(use_true_random=False))
def test_whatever_comes_first_the_same_tables_are_left(events: list[Any], random: Any) -> None:
    other = list(events)
    random.shuffle(other)
    ends = []
    for order in (events, other):
        with TemporaryDirectory() as folder:
            ends.append(_arrive(small_context(Path(folder), loop()), order))
    assert ends[0] == ends[1]


def test_of_two_records_that_tell_of_a_day_the_one_of_the_newer_table_counts() -> None:
    def told(version: int, digest: str) -> StageRecord:
        return StageRecord(
            loop="small",
            stage="labels",
            partition=DAYS[1],
            status="done",
            reason="",
            fingerprint="",
            outputs={"labels_version": str(version), "days": json.dumps({DAYS[0]: digest})},
            provenance=provenance(),
        )

    assert got([told(4, "new"), told(3, "old")]) == {DAYS[0]: Got(4, "new")}
