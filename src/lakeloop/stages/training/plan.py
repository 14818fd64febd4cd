"""Whether a training is due, and on which days; asked before each training and in the search for work left.

When one is due is `lakeloop.datasets.decision`; here is what connects it with the ledger.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lakeloop.datasets.decision import EarlierTraining, NewRows, TrainingDecision, all_rows, decide
from lakeloop.datasets.news import new_rows_in
from lakeloop.datasets.published import describe_days, published_partitions
from lakeloop.records import StageRecord
from lakeloop.spec.identity import training_identity
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.split import Split
from lakeloop.spec.yesterday import lift_training
from lakeloop.stages.frame.cost import Unfinished, budget_status, unfinished
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.dealt import missing_in


def decide_training(context: StageContext) -> TrainingDecision:
    """Whether a training on all published days is due; reads the ledger and days published again.

    Of one that is due the answers of all rows are read, too: which of them it could not teach, or test.
    """
    entries = context.lake.ledger.entries()
    news = new_rows_in(context.lake, list(context.loop.task.roles()))
    found = decide_from(context.loop, entries, news, unfinished(context.settings, context.loop.name))
    if not found.train:
        return found
    missing = missing_in(context, published_partitions(entries))
    if missing.unlearnt and context.loop.train.missing_answers == "refuse":
        reason = f"{missing.words}, and train.missing_answers is refuse; else: {found.reason}"
        return replace(found, train=False, reason=reason)
    return replace(found, reason="; ".join(filter(None, (found.reason, missing.words))))


def decide_from(
    loop: LoopSpec,
    entries: Sequence[StageRecord],
    new_rows: NewRows = all_rows,
    unfinished: Sequence[Unfinished] = (),
) -> TrainingDecision:
    """Whether a training of `loop` is due, from the entries of its ledger, oldest first.

    There is no training "of an old day": a model of the days up to it has seen less than the models there
    are, and is not compared with them on the same rows. An old day that is published, for the first time or
    anew, counts for the training of the newest day.
    """
    published = published_partitions(entries)
    now = training_identity(loop)
    decision = decide(published, earlier_trainings(entries, now), loop.train, now, new_rows)
    if decision.train and (why := _no_day_to_learn(loop.split, published)):
        decision = replace(decision, train=False, reason=f"{why}; else: {decision.reason}")
    budget = budget_status(loop, entries, unfinished)
    if decision.train and budget and budget.exhausted:
        reason = f"over its budget: {budget.sentence}, until {budget.until:%Y-%m-%d}; else: {decision.reason}"
        decision = replace(decision, train=False, reason=reason)
    return replace(decision, partition=max(published, default=""))


def _no_day_to_learn(split: Split, published: Collection[str]) -> str:
    """By time: that all published days are test days, in words; empty where one is older."""
    if split.by != "time" or min(published) < split.first_test_day(published):
        return ""
    days = f"{split.test_days} test day(s) of split.by: time"
    there = describe_days(published)
    return f"no published day, {there}, is older than the {days}: wait for more, or ask for fewer"


def earlier_trainings(entries: Sequence[StageRecord], now: Mapping[str, Any]) -> list[EarlierTraining]:
    """Trainings whose candidates were evaluated, oldest first; `now` is the identity of one today."""
    datasets = {
        (entry.partition, entry.outputs["digest"]): entry
        for entry in entries
        if entry.stage == "dataset" and entry.status == "done"
    }
    evaluated = [
        (entry, datasets[key])
        for entry in entries
        if entry.stage == "evaluate"
        and entry.status == "done"
        and (key := (entry.partition, entry.inputs["dataset"])) in datasets
    ]
    return [
        EarlierTraining(
            entry.partition,
            _days_of(dataset),
            lift_training(_as_mapping(entry.config["training"]), now),
            int(version) if (version := dataset.outputs.get("mart_version", "")) else None,
        )
        for entry, dataset in evaluated
    ]


def _days_of(dataset: StageRecord) -> dict[str, str]:
    prefix = "mart/"
    return {
        name.removeprefix(prefix): value for name, value in dataset.inputs.items() if name.startswith(prefix)
    }


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
