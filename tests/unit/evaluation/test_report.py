"""The report page: complete, offline, and safe with any text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.artifact import Artifact
from lakeloop.datasets.assemble import assemble
from lakeloop.datasets.freeze import describe
from lakeloop.errors import ArtifactError
from lakeloop.evaluation.catalogue import metric_named
from lakeloop.evaluation.predict import Judged, judge_artifact, prediction_rows, worst_mistakes
from lakeloop.evaluation.report import EXCERPT_CHARACTERS, Report, excerpt, render
from lakeloop.lake.tables import MART
from lakeloop.spec.models import Gate, Split
from tests.support.artifacts import make_artifact
from tests.support.small_loop import LABELS, mart_rows

ROWS = pa.table(
    {
        "row_id": ["r1", "r2", "r3", "r4"],
        "text": ["business news", "a sports day", "<script>alert('tech')</script>", "sports sports tech"],
        "label": ["business", "sports", "tech", "tech"],
    }
)


def judged(artifact: Artifact, name: str = "baseline") -> Judged:
    return judge_artifact(name, artifact.folder, artifact.digest, ROWS, LABELS, threads=1)  # type: ignore[arg-type]


@pytest.fixture
def models(tmp_path: Path) -> list[Judged]:
    """A good baseline, a fine-tune that takes tech for business, and a champion with other labels."""
    return [
        judged(make_artifact(tmp_path / "good", LABELS)),
        judged(make_artifact(tmp_path / "confused", LABELS, confuse={"tech": "business"}), "finetune"),
        judged(make_artifact(tmp_path / "old", ("business", "gadgets")), "champion"),
    ]


@pytest.fixture
def report(models: list[Judged]) -> Report:
    mart = pa.Table.from_pylist(mart_rows("2026-11-16", 60), MART)
    return Report(
        loop="small",
        partition="2026-11-16",
        metric=metric_named("macro_f1"),
        rules=Gate(),
        models=models,
        leader=models[0],
        champion_version="v3",
        mistakes=worst_mistakes(models[0], ROWS, 20),
        card=describe(assemble(mart, Split()), LABELS, {"2026-11-16": "a" * 64}),
        made_at=datetime(2026, 11, 22, tzinfo=UTC),
        run_id="run",
    )


def test_the_answers_are_those_of_the_artifact(models: list[Judged]) -> None:
    answers = [prediction.label for prediction in models[0].predictions]
    assert answers == ["business", "sports", "tech", "sports"]
    assert models[0].scores.accuracy == 0.75
    assert models[1].scores.accuracy == 0.5
    assert models[2].scores.accuracy == 0.25


def test_another_artifact_than_the_trained_one_is_refused(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path / "model", LABELS)
    with pytest.raises(ArtifactError, match="not the artifact that was trained"):
        judge_artifact("baseline", artifact.folder, "0" * 64, ROWS, LABELS, threads=1)


def test_mistakes_come_surest_first(models: list[Judged]) -> None:
    mistakes = worst_mistakes(models[2], ROWS, 20)
    assert {mistake.row_id for mistake in mistakes} == {"r2", "r3", "r4"}
    assert [m.score for m in mistakes] == sorted((m.score for m in mistakes), reverse=True)
    assert mistakes[0].score_of_label == 0.0
    assert len(worst_mistakes(models[2], ROWS, 1)) == 1


def test_every_answer_becomes_a_row_of_the_lake(models: list[Judged]) -> None:
    rows = prediction_rows(models, ROWS)
    assert rows.num_rows == 3 * ROWS.num_rows
    assert set(rows["candidate"].to_pylist()) == {"baseline", "finetune", "champion"}


class Tags(HTMLParser):
    """Tags that are open when the page ends, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {value}" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_well_formed_and_loads_nothing(report: Report) -> None:
    page = render(report)
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.loads == []
    assert not re.search(r"https?:|@import|url\(|<script", page)


def test_the_page_says_what_a_person_needs(report: Report) -> None:
    page = render(report)
    tags = Tags()
    tags.feed(page)
    text = " ".join(" ".join(tags.text).split())
    assert "The best candidate is the baseline (keywords) with macro F1 0.7778 on 4 test rows" in text
    assert "better than the champion v3." in text
    assert "at least 0.8000, and at most 0.0100 worse" in text
    assert "The 1 of 1 wrong answers" in text
    assert "champion v3" in text
    for name, count in report.card.rows.items():
        assert f"{name}, {count} rows" in text


def test_a_first_evaluation_has_no_champion_and_may_have_no_mistakes(report: Report) -> None:
    page = render(
        Report(**{**vars(report), "models": report.models[:2], "champion_version": None, "mistakes": []})
    )
    assert "There was no champion to compare with." in page
    assert "answered every test row right" in page


def test_the_page_says_which_test_rows_were_left_out(report: Report) -> None:
    assert "Of the test rows" not in render(report)
    page = render(Report(**{**vars(report), "note": "3 of 12 test rows were left out"}))
    assert "Of the test rows: 3 of 12 test rows were left out." in page


def test_long_texts_are_cut_at_a_space() -> None:
    cut = excerpt("word " * 200)
    assert cut.endswith("word …")
    assert len(cut) <= EXCERPT_CHARACTERS + 2
    assert excerpt("short\n  text") == "short text"
