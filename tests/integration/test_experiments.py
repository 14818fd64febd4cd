"""Experiments on a real lake: compared with the champion and shown, and never taken for production."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.evaluation.stored import evidence_of
from lakeloop.local.status_view import console_for_people, status_panel
from lakeloop.records import StageRecord, now
from lakeloop.registry.lineage import lineage_of
from lakeloop.registry.registry import Registry
from lakeloop.registry.retention import plan
from lakeloop.spec.watch import Keep
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.cost import spent
from lakeloop.stages.frame.missing import to_do
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.stages.release.approval import newest_question
from lakeloop.stages.release.release import release
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from lakeloop.stages.training.frozen import newest_dataset
from lakeloop.stages.training.plan import decide_training
from lakeloop.stages.training.waiting import waiting
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, trained

DAY = DAYS[0]
WRONG: Mapping[str, str] = {"tech": "sports"}


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    """A loop with a champion, which answers some rows wrong."""
    context = small_context(tmp_path)
    publish(context, DAY, mart_rows(DAY, 120))
    dataset(context, DAY)
    trained(context, "baseline", DAY, confuse=WRONG)
    evaluate(context, DAY)
    gate = context.loop.gate.model_copy(update={"min_score": 0.1})
    release(replace(context, loop=context.loop.model_copy(update={"gate": gate})), DAY)
    return context


@pytest.fixture
def fast(context: StageContext) -> StageContext:
    return replace(context, experiment="fast")


def try_out(fast: StageContext, seed: int = 18) -> StageRecord:
    trained(fast, "finetune", DAY, seed=seed)
    return evaluate(fast, DAY)


def test_an_experiment_is_compared_with_the_champion_and_not_with_candidates_of_production(
    context: StageContext, fast: StageContext
) -> None:
    record = try_out(fast)
    champion = Registry(context.lake).champion()
    assert champion is not None
    assert (record.stage, record.status) == ("evaluate@fast", "done")
    assert set(record.inputs) == {"finetune", "champion", "dataset"}
    assert record.inputs["champion"] == champion.digest
    assert record.metrics["finetune/macro_f1"] == 1.0 > record.metrics["champion/macro_f1"]
    evidence = evidence_of(context.lake.files, record)
    assert [each.other for each in evidence.comparisons] == ["champion"]


def test_nothing_of_production_changes_and_nothing_becomes_due(
    context: StageContext, fast: StageContext
) -> None:
    def production() -> tuple[object, ...]:
        ledger = context.lake.ledger
        names = ("dataset", "train-baseline", "train-finetune", "evaluate", "release")
        report = context.settings.reports("small") / DAY / "index.html"
        return (
            [ledger.latest(name, DAY) for name in names],
            work_left(context),
            decide_training(context),
            waiting(context, "evaluate"),
            newest_question(context, DAY),
            context.lake.version("evaluations"),
            Registry(context.lake).read().length,
            report.read_bytes(),
        )

    before = production()
    assert dataset(fast, DAY).stage == "dataset@fast"
    record = try_out(fast)
    assert production() == before
    assert not {"evaluations", "evaluations_version"} & set(record.outputs)
    assert Path(record.links["report"]).parent.name == f"{DAY}-fast"
    assert "experiment fast" in Path(record.links["report"]).read_text()


def test_the_same_again_is_unchanged_and_another_experiment_is_work_of_its_own(
    context: StageContext, fast: StageContext
) -> None:
    first = try_out(fast)
    assert (evaluate(fast, DAY).status, evaluate(fast, DAY).fingerprint) == ("unchanged", first.fingerprint)
    slow = replace(context, experiment="slow")
    missing = evaluate(slow, DAY)
    assert missing.reason == f"no candidate was trained for {DAY} in experiment slow"
    assert to_do(missing) == f"lakeloop train small --partition {DAY} --experiment slow"
    assert try_out(slow).fingerprint != first.fingerprint


def test_what_production_was_recorded_as_is_the_same_without_the_option(
    context: StageContext, fast: StageContext
) -> None:
    try_out(fast)
    assert dataset(context, DAY).status == "unchanged"
    again = evaluate(context, DAY)  # with a champion as another input
    assert evaluate(context, DAY).fingerprint == again.fingerprint
    assert "finetune" not in again.inputs


def test_an_experiment_trains_on_the_newest_data_set_of_either(
    context: StageContext, fast: StageContext
) -> None:
    production = context.lake.ledger.latest("dataset", DAY)
    assert newest_dataset(fast, DAY) == production
    publish(context, DAY, mart_rows(DAY, 130))
    own = dataset(fast, DAY)
    assert newest_dataset(fast, DAY) == own
    assert newest_dataset(context, DAY) == production
    dataset(context, DAY)
    assert newest_dataset(fast, DAY) == context.lake.ledger.latest("dataset", DAY)


def test_release_refuses_an_experiment_and_never_takes_one(context: StageContext, fast: StageContext) -> None:
    try_out(fast)
    for work in (release, stage_named("release").function):
        with pytest.raises(ConfigurationError, match="compared and shown, and never released") as raised:
            work(fast, DAY)
        assert raised.value.where == "small, experiment fast"
    again = release(context, DAY)
    assert again.outputs.get("candidate", "baseline") == "baseline"
    assert len(Registry(context.lake).read().versions) == 1


def test_where_a_version_is_from_is_production_also_where_an_experiment_made_equal_weights_first(
    tmp_path: Path,
) -> None:
    context = small_context(tmp_path)
    publish(context, DAY, mart_rows(DAY, 120))
    dataset(context, DAY)
    fast = replace(context, experiment="fast")
    trained(fast, "finetune", DAY)
    evaluate(fast, DAY)
    trained(context, "finetune", DAY)
    evaluation = evaluate(context, DAY)
    release(context, DAY)
    history = Registry(context.lake).read()
    found = lineage_of(context.lake, history, history.versions["v1"])
    assert found.training is not None
    assert found.evaluation is not None
    assert (found.training.stage, found.evaluation.stage) == ("train-finetune", evaluation.stage)


def test_models_of_experiments_go_when_they_are_old_and_those_of_production_stay(
    context: StageContext, fast: StageContext
) -> None:
    record = try_out(fast)
    artifact = f"candidates/{record.inputs['finetune'][:16]}"
    production = context.lake.ledger.latest("train-baseline", DAY)
    assert production is not None

    def planned(days: float) -> tuple[set[str], set[str]]:
        history, entries = Registry(context.lake).read(), context.lake.ledger.entries()
        found = plan(
            context.lake.files, history, entries, Keep(candidate_days=30), now() + timedelta(days=days)
        )
        return {each.name for each in found.going}, set(found.staying)

    assert artifact in planned(29)[1]
    going, staying = planned(31)
    assert artifact in going
    assert production.outputs["artifact"] in staying


def test_the_status_shows_experiments_as_such_and_counts_their_cost(
    context: StageContext, fast: StageContext
) -> None:
    before = loop_status(context)
    trained(fast, "finetune", DAY, seed=18)
    (waits,) = loop_status(context).experiments
    assert (waits.name, waits.partition, waits.scores) == ("fast", DAY, {})
    record = evaluate(fast, DAY)
    status = loop_status(context)
    (found,) = status.experiments
    assert found.scores == {name: record.metrics[f"{name}/macro_f1"] for name in ("finetune", "champion")}
    assert found.report == record.links["report"]
    assert (status.stages, status.scores, status.links) == (before.stages, before.scores, before.links)
    console = console_for_people()
    with console.capture() as shown:
        console.print(status_panel(status))
    assert f"fast, {DAY}" in shown.get()
    entry = record.model_copy(update={"stage": "train-finetune@fast", "metrics": {"seconds": 3600.0}})
    assert spent([entry]).wall_hours == 1.0


@pytest.mark.parametrize("name", ["Fast", "a b", "../up", "x" * 41, "fast@er", "fast-er"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="not a name for an experiment"):
        StageContext.open("small", experiment=name)
