"""A version's listing, lineage and comparison with another, from a real lake after real releases."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakeloop.datasets.freeze import held_back
from lakeloop.errors import ArtifactError
from lakeloop.evaluation.stored import evidence_of, read
from lakeloop.lake.tables import PREDICTIONS
from lakeloop.measures.abstaining import Threshold
from lakeloop.records import Counts, now
from lakeloop.registry.card import card_text, kept_card
from lakeloop.registry.compare import Comparison, compare
from lakeloop.registry.export import export_version
from lakeloop.registry.history import ModelVersion
from lakeloop.registry.lineage import Lineage, lineage_of
from lakeloop.registry.listing import list_versions
from lakeloop.registry.registry import Registry
from lakeloop.registry.stored import description_of
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.release import release
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.small_loop import DAYS, LABELS, mart_rows, publish, small_context, small_loop, trained


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    """v1 from the first day, and v2, which is better, from two."""
    context = small_context(tmp_path)
    _build(context, DAYS[0])
    released(context, DAYS[0], seed=1, confuse={"tech": "sports"})
    publish(context, DAYS[1], mart_rows(DAYS[1], 60))
    released(context, DAYS[1], seed=2)
    return context


def released(context: StageContext, day: str, seed: int, confuse: dict[str, str] | None = None) -> None:
    dataset(context, day)
    trained(context, "baseline", day, seed=seed, confuse=confuse or {"tech": "sports"})
    trained(context, "finetune", day, seed=seed, confuse=confuse and {"tech": LABELS[2]})
    evaluate(context, day)
    assert release(context, day).status == "done"


def _build(context: StageContext, day: str) -> None:
    """Records of ingest, transform and validate that name each other by digest, as the stages write them."""
    read = Counts(read=63, accepted=60, quarantined=2, duplicates=1)
    with context.stage("ingest", day) as stage:
        stage.inputs(drop="sha256:" + "f" * 64)
        stage.done(reason="read", outputs={"raw": "raw-1"}, counts=read, links={"drop": f"drops/{day}.jsonl"})
    with context.stage("transform", day) as stage:
        stage.inputs(raw="raw-1", dbt="sha256:" + "d" * 64)
        stage.done(reason="built", outputs={"staging": "staging-1"}, counts=Counts(read=60, accepted=60))
    with context.stage("validate", day) as stage:
        stage.inputs(staging="staging-1")
        fence = context.lake.claim("validate", day, context.attempt)
        rows = pa.Table.from_pylist(mart_rows(day, 60), context.lake.columns("mart"))
        published = context.lake.replace("mart", rows, where={"partition": day}, fence=fence)
        stage.done(
            reason="published",
            outputs={"mart": published.digest, "mart_version": str(published.version)},
            counts=Counts(read=60, accepted=60),
        )


def answer(context: StageContext, day: str, version: str, count: int, request: str = "r") -> None:
    row = dict.fromkeys(PREDICTIONS.names) | {"request_id": request}
    row |= {"partition": day, "model_version": version, "predicted_at": now(), "batch_id": f"{day}-{version}"}
    rows = pa.Table.from_pylist([row] * count, PREDICTIONS)
    context.lake.append_once("predictions", rows, batch_id=f"{day}-{version}")


def lineage(context: StageContext, name: str) -> Lineage:
    history = Registry(context.lake).read()
    return lineage_of(context.lake, history, history.versions[name])


def comparison(context: StageContext) -> Comparison:
    history, files = Registry(context.lake).read(), context.lake.files
    entries = context.lake.ledger.entries()
    return compare(files, *history.versions.values(), entries, functools.partial(evidence_of, files))


def test_a_version_leads_back_to_its_release_evaluation_training_and_data_set(context: StageContext) -> None:
    found, ledger = lineage(context, "v2"), context.lake.ledger
    steps = [found.release, found.evaluation, found.training, found.dataset]
    assert [step and (step.stage, step.partition) for step in steps] == [
        ("release", DAYS[1]), ("evaluate", DAYS[1]), ("train-finetune", DAYS[1]), ("dataset", DAYS[1]),
    ]  # fmt: skip
    evaluation = ledger.latest("evaluate", DAYS[1])
    assert evaluation is not None
    assert found.evidence == evaluation.outputs["evidence"]
    assert found.aliases == ("champion",)
    assert found.training
    assert found.training.versions["lakeloop"]


def test_a_version_leads_back_to_the_lines_of_the_files_of_each_day(context: StageContext) -> None:
    first, second = lineage(context, "v2").days
    assert (first.day, first.drop, first.drop_identity) == (
        DAYS[0],
        f"drops/{DAYS[0]}.jsonl",
        "sha256:" + "f" * 64,
    )
    assert first.read == Counts(read=63, accepted=60, quarantined=2, duplicates=1)
    assert first.published
    assert first.published.accepted == 60
    assert first.dbt_models == "sha256:" + "d" * 64
    assert [step.stage for step in first.steps] == ["ingest", "transform", "validate"]
    assert second.day == DAYS[1]
    assert (second.drop, second.read) == ("", None)  # nothing is guessed of what no record says
    assert [day.day for day in lineage(context, "v1").days] == [DAYS[0]]


def test_what_was_published_anew_since_is_not_taken_for_what_it_was_trained_on(context: StageContext) -> None:
    publish(context, DAYS[0], mart_rows(DAYS[0], 45))
    published = lineage(context, "v1").days[0].published
    assert published
    assert published.accepted == 60


def test_a_day_that_was_reset_is_named_as_missing(context: StageContext) -> None:
    context.lake.ledger.record(
        context.lake.ledger.entries("validate", DAYS[1])[-1].model_copy(update={"status": "reset"})
    )
    found = lineage(context, "v2")
    assert found.missing == (f"day {DAYS[1]}",)


def test_answers_are_counted_by_day_for_each_version(context: StageContext) -> None:
    answer(context, DAYS[0], "v1", 3)
    answer(context, DAYS[1], "v1", 1)
    answer(context, DAYS[1], "v2", 2)
    assert lineage(context, "v1").answers == {DAYS[0]: 3, DAYS[1]: 1}
    assert lineage(context, "v2").answers == {DAYS[1]: 2}


def test_answers_to_the_smoke_texts_of_a_roll_out_are_not_counted(context: StageContext) -> None:
    answer(context, DAYS[0], "v1", 1)
    answer(context, DAYS[1], "v1", 3, request=f"smoke-{DAYS[1]}-v1")
    assert lineage(context, "v1").answers == {DAYS[0]: 1}


def test_a_listing_has_scores_days_and_aliases_the_newest_first(context: StageContext) -> None:
    entries = context.lake.ledger.entries("dataset")
    found = list_versions("small", Registry(context.lake).read(), context.loop.metric, entries)
    rows = [(each.version, each.aliases, each.dataset_day) for each in found.versions]
    assert rows == [("v2", ("champion",), DAYS[1]), ("v1", ("previous",), DAYS[0])]
    assert [each.score for each in found.versions] == [1.0, 1.0]
    assert [(move.previous, move.version) for move in found.moves] == [(None, "v1"), ("v1", "v2")]


def test_two_versions_are_compared_field_by_field_and_on_the_same_rows(context: StageContext) -> None:
    found = comparison(context)
    different = {each.name: (each.first, each.second) for each in found.made if not each.equal}
    assert different["seed"] == ("1", "2")
    assert different["settings.seed"] == ("1", "2")
    assert different["data set day"] == (DAYS[0], DAYS[1])
    assert "candidate" not in different
    together = found.together
    assert together is not None
    assert (together.partition, {name for name, *_ in together.scores} >= {"macro_f1"}) == (DAYS[1], True)
    assert all(first is not None and second is not None for _, first, second in together.scores)
    assert found.size[0].name == "all files"


def test_versions_that_never_met_are_compared_by_their_cards(context: StageContext) -> None:
    history, files = Registry(context.lake).read(), context.lake.files
    found = compare(files, *history.versions.values(), [], functools.partial(evidence_of, files))
    assert found.together is None
    assert {name: (one, other) for name, one, other in found.cards}["macro_f1"] == (1.0, 1.0)


def test_a_changed_description_is_not_compared(context: StageContext) -> None:
    uri = context.lake.files.uri(Registry(context.lake).read().versions["v1"].folder_name)
    (Path(uri) / "description.json").write_text("{}")
    with pytest.raises(ArtifactError, match="not the ones that were stored"):
        comparison(context)


def test_the_card_of_a_version_has_what_its_evidence_found(context: StageContext) -> None:
    files = context.lake.files
    version = Registry(context.lake).read().versions["v2"]
    evidence = read(files, version.card.evidence)
    text = card_text(small_loop(), version, description_of(files, version), evidence)
    assert f"On the same {evidence.rows} test rows" in text
    assert "| Score | baseline | finetune | champion v1 |" in text
    assert version.card.decision.reason in text
    assert f"- {evidence.wrong} of {evidence.rows} test rows were answered wrong by the best" in text
    number = description_of(files, version)
    contract = number.contract.model_copy(update={"kind": "regression"})
    of_a_number = card_text(small_loop(), version, number.model_copy(update={"contract": contract}), evidence)
    assert "answered wrong" not in of_a_number, "it is more or less exact"
    assert f"revision: {version.card.dataset_digest}" in text


def test_a_card_says_license_language_and_thresholds_or_that_they_are_unknown(context: StageContext) -> None:
    files = context.lake.files
    version = Registry(context.lake).read().versions["v2"]
    description = description_of(files, version)
    bare = replace_in(version, thresholds=())
    text = card_text(small_loop(), bare, description, None)
    assert "| Language | unknown: the loop file says none |" in text
    assert "| License | unknown: the loop file says none; base model and data have their own |" in text
    assert "What thresholds are worth is unknown: none were measured." in text
    assert "license:" not in text
    known = replace_in(
        version,
        thresholds=(
            Threshold(below=0.0, precision=0.8, answered=1.0),
            Threshold(below=0.625, precision=0.96, answered=0.7),
        ),
    )
    said = small_loop(license="apache-2.0", language=["en", "de"], deploy={"abstain": {"precision": 0.95}})
    text = card_text(said, known, description, None)
    assert "license: apache-2.0" in text
    assert "language:\n- en\n- de" in text
    assert "Answers less probable than 0.6250 are held back, by `deploy.abstain`" in text
    assert "| 0.0000 | 80.0 % | 100.0 % |\n| 0.6250 | 96.0 % | 70.0 % |" in text


def replace_in(version: ModelVersion, **card: Any) -> ModelVersion:
    return version.model_copy(update={"card": version.card.model_copy(update=card)})


def test_a_card_is_kept_as_it_was_and_made_for_a_version_of_before(context: StageContext) -> None:
    files = context.lake.files
    version = Registry(context.lake).read().versions["v2"]
    assert files.exists("cards/v2"), "the release kept it"
    kept = files.read("cards/v2", "README.md").decode()
    assert f"On the same {read(files, version.card.evidence).rows} test rows" in kept

    def asked() -> None:
        raise AssertionError("a card that is kept is not made again")

    assert kept_card(files, small_loop(), version, asked) == kept
    files.remove("cards/v2")
    without = kept_card(files, small_loop(), version, lambda: None)
    assert "On the same" not in without
    assert kept_card(files, small_loop(), version, asked) == without


def test_a_version_is_exported_with_a_network_in_eight_bits_that_its_test_rows_agree_with(
    context: StageContext, tmp_path: Path
) -> None:
    files, version = context.lake.files, Registry(context.lake).read().versions["v2"]
    rows = functools.partial(held_back, files, version.card.dataset_digest, context.loop.task, 5)
    assert len(rows()) == 5
    export_version(files, small_loop(), version, lambda: None, tmp_path / "out", (rows, 1.0))
    found = json.loads((tmp_path / "out/int8/check.json").read_text())
    assert (found["rows"], found["agreement"], found["of"]) == (5, 1.0, version.digest)
    assert (tmp_path / "out/README.md").read_text() == files.read("cards/v2", "README.md").decode()
