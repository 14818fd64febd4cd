"""One more of a kind is one file and one line of a registry: here the file is this test, the line a patch.

Methods are added in `training/methods/test_registry.py`, sources and formats in `sources/test_registry.py`.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from airflow.sdk import DAG
from lakeloop_airflow.chain import stage_tasks
from typer.testing import CliRunner

from lakeloop.datasets.assemble import assemble
from lakeloop.datasets.leaks import registry as leaks
from lakeloop.datasets.leaks.base import Looked
from lakeloop.evaluation.probes import registry as probes
from lakeloop.evaluation.probes.base import Finding
from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.decide import decide
from lakeloop.gate.rules import registry as rules
from lakeloop.gate.rules.base import Requirement
from lakeloop.measures import registry as measures
from lakeloop.measures.base import MetricSpec, Outcomes
from lakeloop.measures.leaking import Leak
from lakeloop.proposal.given import Pointer
from lakeloop.proposal.propose import look_at, propose
from lakeloop.quality.kinds import registry as kinds
from lakeloop.quality.kinds.base import Found, Rule, rows_expectation
from lakeloop.quality.rows import give_verdicts, reason_counts
from lakeloop.records import StageRecord
from lakeloop.settings import Settings
from lakeloop.spec.base import MART
from lakeloop.spec.checks import CheckBase
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages import catalogue
from lakeloop.stages.catalogue import Stage, in_order, stage_named
from lakeloop.stages.frame import pending
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.session import StageContext
from lakeloop.tasks import registry as tasks
from lakeloop.tasks.proposing import SeenColumn
from lakeloop.tasks.registry import task_of
from tests.support.artifacts import make_artifact
from tests.support.evidence import evidence, model
from tests.support.small_loop import DAYS, LABELS, mart_rows, small_context, small_loop
from tests.support.small_loop import MART as COLUMNS
from tests.unit.evaluation.conftest import ROWS, judged


def second_best(found: Outcomes) -> float:
    """Share of the rows whose right class is among the two most likely."""
    best = np.argsort(-found.outputs, axis=1)[:, :2]
    return float((best == found.truth[:, None]).any(axis=1).mean())


@pytest.fixture
def top_two(monkeypatch: pytest.MonkeyPatch) -> MetricSpec:
    metric = MetricSpec("top_two", "right among two", second_best, bar=0.9)
    known = measures.METRICS["classification"]
    monkeypatch.setattr(measures, "METRICS", {**measures.METRICS, "classification": (*known, metric)})
    return metric


def test_a_metric_is_a_line_and_loop_file_scores_and_gate_know_it(top_two: MetricSpec) -> None:
    loop = small_loop(evaluate={"metric": "top_two"}, gate={})
    assert (loop.metric, loop.least_score) == (top_two, 0.9)
    answers = task_of(loop.task).decode(
        task_of(loop.task).contract(task_of(loop.task).profile([])), np.eye(3)
    )
    outcomes = task_of(loop.task).outcomes(answers, LABELS)
    scores = {metric.name: metric.compute(outcomes) for metric in measures.metrics_of(loop.task.kind)}
    assert scores["top_two"] == 1.0
    refused = decide(evidence(model("baseline", {"top_two": 0.8})), loop)
    assert refused.accepted is None
    assert "right among two" in refused.reason


class Shouted(CheckBase):
    """A section that a loop file would name."""

    kind: Annotated[Literal["not_shouted"], MART] = "not_shouted"


class NotShouted:
    """What it does."""

    def rules(self, check: Shouted) -> tuple[Rule, ...]:
        violated = f'"{check.column}" = upper("{check.column}")'
        return (
            Rule(f"{check.column}_shouted", check.column, "small letters", violated, f'"{check.column}"'),
        )

    def expectation(self, check: Shouted, rule: Rule) -> tuple[Any, Found]:
        return rows_expectation(rule)


def test_a_row_check_is_a_class_a_file_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "KINDS", {**kinds.KINDS, "not_shouted": NotShouted()})
    loop = small_loop()
    checks = loop.checks.model_copy(update={"rows": (Shouted(column="text"),)})
    loop = loop.model_copy(update={"checks": checks})
    rows = mart_rows(DAYS[0], 3)
    rows[1]["text"] = "LOUD"
    with duckdb.connect() as connection:
        give_verdicts(
            connection, pa.Table.from_pylist(rows, COLUMNS), loop.model_copy(update={"checks": checks})
        )
        assert reason_counts(connection) == {"text_shouted": 1}


class Rank:
    """What another task would say of data: its answers are places, first, second and so on."""

    def fit(self, column: SeenColumn, *, named: bool = False) -> float:
        return 9.0 if named or column.name == "place" else 0.0

    def answers(self, column: SeenColumn) -> Counter[str]:
        return Counter({"of ten": 1})

    def unknown(self, column: SeenColumn) -> int:
        return 0

    def keys(self, column: SeenColumn, remark: str) -> Iterator[str]:
        yield f"place: {column.name}{remark} # 1 is best"

    def why(self, column: SeenColumn) -> str:
        return ""

    def gate(self) -> Iterator[str]:
        yield from ("gate:", "  min_score: 0.5")


class Ranking:
    """The other task, as far as a proposal asks for it."""

    proposal = Rank()


def test_a_task_brings_its_part_of_a_proposal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"id": n, "day": "2026-11-20", "text": f"a text of {n}", "place": n % 10} for n in range(40)]
    (tmp_path / "export.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = look_at(Pointer("races", "export.jsonl", Settings(root=tmp_path)))
    assert propose("races", given, {}).roles.task != "ranking"
    monkeypatch.setitem(sys.modules, "ranking", module := ModuleType("ranking"))
    vars(module)["Ranking"] = Ranking
    monkeypatch.setattr(tasks, "TASKS", {**tasks.TASKS, "ranking": "ranking:Ranking"})
    proposal = propose("races", given, {})
    assert (proposal.roles.task, proposal.answers) == ("ranking", {"of ten": 1})
    assert "task:\n  kind: ranking\n  text: text\n  place: place # 1 is best\n" in proposal.text()


class Modest:
    """A gate rule: no candidate may be called great."""

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:
        yield Requirement(
            name="modesty", passed=candidate.name != "great", expected="another name", found=candidate.name
        )


def test_a_gate_rule_is_a_file_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakeloop.gate.decide.RULES", (*rules.RULES, Modest()))
    decision = decide(evidence(model("great", {"macro_f1": 1.0})), small_loop())
    assert decision.accepted is None
    assert [check.name for check in decision.checks if not check.passed] == ["modesty"]


class Length:
    """A probe: how long the texts are."""

    def titles(self, task: str) -> Mapping[str, str]:
        return {"mean_length": "mean length"}

    def look(self, model: Any, rows: pa.Table, task: Any) -> Finding:
        return Finding({"mean_length": float(np.mean([len(text) for text in rows["text"].to_pylist()]))})


def test_a_probe_is_a_file_and_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(probes, "PROBES", (*probes.PROBES, Length()))
    assert probes.titles_of("classification")["mean_length"] == "mean length"
    assert probes.titles_of("regression")["mean_length"] == "mean length"
    found = probes.look_at(
        judged(make_artifact(tmp_path, LABELS), "baseline"), ROWS, task_of(small_loop().task)
    )
    assert found.scores["mean_length"] == np.mean([len(text) for text in ROWS["text"].to_pylist()])
    assert "macro_f1" in found.scores


def survey(context: StageContext, partition: str) -> StageRecord:
    """A stage: it only says that it was there."""
    with context.stage("survey", partition) as stage:
        return stage.done(reason="looked around")


def survey_due(standing: Standing) -> Iterator[Pending]:
    if not any(entry.stage == "survey" for entry in standing.entries):
        yield Pending("survey", DAYS[0], "nobody looked around yet")


def test_a_stage_is_a_file_and_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Stage("survey", "watch", "monitor", help="Look around.")
    module = ModuleType(row.module)
    vars(module).update(survey=survey, pending=survey_due)
    monkeypatch.setitem(sys.modules, row.module, module)
    monkeypatch.setattr(pending, "STAGES", (*catalogue.STAGES, row))
    monkeypatch.setattr(catalogue, "STAGES", (*catalogue.STAGES, row))
    monkeypatch.setattr(catalogue, "_BY_NAME", {**catalogue._BY_NAME, "survey": row})
    assert stage_named("survey") is row
    assert in_order("survey") == len(catalogue.STAGES) - 1
    context = small_context(tmp_path)
    assert [step.reason for step in pending.work_left(context)] == ["nobody looked around yet"]
    assert row.function(context, DAYS[0]).reason == "looked around"
    assert context.lake.ledger.latest("survey", DAYS[0]) is not None
    assert pending.work_left(context) == []
    with DAG("small.monitor", schedule=None) as dag:
        stage_tasks(context.loop, row.dag)
    assert dag.task_ids[-1] == "survey"


def test_a_stage_has_its_verb_and_its_operator_from_its_row() -> None:
    from lakeloop_airflow.stage_task import StageOperator

    from lakeloop.cli.main import app

    helped = CliRunner().invoke(app, ["--help"]).output
    for stage in catalogue.STAGES:
        assert stage.name in helped
        if stage.per != "candidate":
            operator = StageOperator(loop="news", stage=stage.name)
            assert (operator.task_id, operator.pool) == (stage.name, stage.pool)
            assert len(operator.operator_extra_links) == 1 + len(stage.links)


def test_the_guide_names_the_files_that_there_are(root: Path) -> None:
    _, _, section = (root / "docs/guide.md").read_text().partition("## Adding to it\n")
    named = [path for path in re.findall(r"`([a-z_/]+(?:\.py|/))`", section) if path != "src/lakeloop/"]
    assert len(named) > 12
    missing = [p for p in named if not (root / "src/lakeloop" / p).exists() and not (root / p).exists()]
    assert missing == []


class Shouting:
    """A kind of leak: texts in capitals."""

    kind = "shouting"

    def needs(self, loop: LoopSpec) -> tuple[str, ...]:
        return ()

    def unfit(self, loop: LoopSpec) -> str:
        return ""

    def look(self, looked: Looked) -> Iterator[Leak]:
        texts = looked.rows["text"].to_pylist()
        loud = [place for place, text in enumerate(texts) if text.isupper()]
        yield Leak(
            kind=self.kind, column="text", rows=len(loud), found="loud", examples=looked.examples(loud, str)
        )


def test_a_kind_of_leak_is_a_file_and_a_line_and_plan_gate_and_report_tell_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leaks, "CHECKS", (Shouting(),))
    rows = mart_rows(DAYS[0], 30)
    rows[3]["text"] = "LOUD"
    assembled = assemble(pa.Table.from_pylist(rows, COLUMNS), small_loop().split, ("text", "label"))
    (found,) = leaks.look(Looked.of(assembled, small_loop(), {})).leaks
    assert (found.rows, found.examples[0].row) == (1, f"{DAYS[0]}-3")
    decision = decide(evidence(model("baseline", {"macro_f1": 0.9}), leaks=(found,)), small_loop())
    assert "1 leak suspected: shouting, text: loud" in decision.reason
