"""What retention removes of a real lake, what it never removes, and that a kill leaves nothing half."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lakeloop.artifact import DESCRIPTION
from lakeloop.errors import ArtifactError, ConfigurationError, FenceError
from lakeloop.records import now
from lakeloop.registry.history import History
from lakeloop.registry.lineage import lineage_of
from lakeloop.registry.registry import Registry
from lakeloop.registry.retention import Plan, carry_out, plan
from lakeloop.registry.stored import description_of, keep_description
from lakeloop.spec.watch import Keep
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.release import release
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.serving import promote
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, trained
from tests.support.stored import stored_names

LATER = now() + timedelta(days=31)
MONTHS_LATER = now() + timedelta(days=90)


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    return small_context(tmp_path)


def round_of(
    context: StageContext, day: str, seed: int, *, judge: bool = True, decide: bool = True
) -> set[str]:
    """Train two candidates on a day of their own; their folders."""
    publish(context, day, mart_rows(day, 60))
    dataset(context, day)
    confuse = {"tech": "sports"}
    records = [
        trained(context, "baseline", day, seed=seed, confuse=confuse),
        trained(context, "finetune", day, seed=seed),
    ]
    if judge:
        evaluate(context, day)
    if judge and decide:
        release(context, day)
    return {record.outputs["artifact"] for record in records}


def planned(context: StageContext, at: datetime = LATER, **keep: int | None) -> Plan:
    history, lake = Registry(context.lake).read(), context.lake
    return plan(lake.files, history, lake.ledger.entries(), Keep.model_validate(keep), at)


def going(context: StageContext, at: datetime = LATER, **keep: int | None) -> set[str]:
    return {each.name for each in planned(context, at, **keep).going}


def remove(context: StageContext, tmp_path: Path, at: datetime = LATER, **keep: int | None) -> Plan:
    found = planned(context, at, **keep)
    (scratch := tmp_path / "scratch").mkdir(exist_ok=True)
    carry_out(found.going, Registry(context.lake), context.lake.files, scratch)
    return found


def test_candidates_that_were_decided_upon_go_when_their_days_are_over(
    context: StageContext, tmp_path: Path
) -> None:
    old, new = round_of(context, DAYS[0], 1), round_of(context, DAYS[1], 2)
    assert going(context, now()) == set()
    assert going(context) == old
    assert going(context, candidate_days=None) == set()
    assert going(context, candidate_days=60) == set()
    found = remove(context, tmp_path)
    assert found.bytes > 0
    assert set(stored_names(context.lake.files, "candidates")) == new
    assert stored_names(context.lake.files, "models")  # versions stay


def test_of_candidates_that_nothing_needs_the_last_few_stay(context: StageContext) -> None:
    rounds = [round_of(context, day, number) for number, day in enumerate(DAYS, 1)]
    in_a_day = now() + timedelta(days=1)
    assert going(context, in_a_day) <= rounds[0]
    assert len(going(context, in_a_day)) == 1, "three stay, besides the newest two"
    assert going(context, in_a_day, candidates=0) == rounds[0] | rounds[1]
    assert going(context, now(), candidates=0) == set(), "used within the hour"
    assert going(context, in_a_day, candidates=None) == set()
    assert going(context, in_a_day, candidate_days=90) == set(), "who asked for days gets them"
    assert going(context, MONTHS_LATER, candidate_days=None) == set()
    assert going(context, in_a_day, candidate_days=90, candidates=2) == rounds[0]


def test_the_newest_training_and_what_waits_for_the_gate_stay_however_old(context: StageContext) -> None:
    waiting = round_of(context, DAYS[0], 1, decide=False)
    newer = round_of(context, DAYS[1], 2, judge=False)
    assert going(context, MONTHS_LATER) == set()
    stays = planned(context, MONTHS_LATER).staying
    assert {stays[name] for name in waiting} == {"the gate may be asked about its evaluation"}
    assert all(stays[name].startswith("it is what train-") for name in newer)


def test_an_evaluation_that_was_overtaken_by_a_decided_one_waits_no_more(context: StageContext) -> None:
    overtaken = round_of(context, DAYS[0], 1, decide=False)
    round_of(context, DAYS[1], 2)
    assert going(context) == overtaken


def test_lineage_of_a_version_needs_none_of_what_goes(context: StageContext, tmp_path: Path) -> None:
    round_of(context, DAYS[0], 1)
    round_of(context, DAYS[1], 2)
    registry = Registry(context.lake)
    before = lineage_of(context.lake, registry.read(), registry.read().versions["v1"])
    remove(context, tmp_path)
    assert lineage_of(context.lake, registry.read(), registry.read().versions["v1"]) == before


def five_versions(tmp_path: Path) -> StageContext:
    context = small_context(tmp_path)
    for number in range(1, 6):
        promote(context, number)
    return context


def test_versions_stay_unless_the_loop_file_says_how_many(tmp_path: Path) -> None:
    context = five_versions(tmp_path)
    assert going(context, MONTHS_LATER) == set()
    assert going(context, MONTHS_LATER, versions=2) == {"models/v1", "models/v2", "models/v3"}
    assert going(context, MONTHS_LATER, versions=1) == {"models/v1", "models/v2", "models/v3"}
    assert going(context, now(), versions=1) == set()  # each was champion within a week


def test_an_alias_keeps_its_version(tmp_path: Path) -> None:
    context = five_versions(tmp_path)
    Registry(context.lake).rollback("the newest are bad", to="v2")
    assert going(context, MONTHS_LATER, versions=1) == {"models/v3", "models/v4"}
    stays = planned(context, MONTHS_LATER, versions=1).staying
    assert (stays["models/v2"], stays["models/v1"]) == ("it is the champion", "it is the previous")


def test_a_trial_keeps_its_version_until_it_ends(tmp_path: Path) -> None:
    context = five_versions(tmp_path)
    registry = Registry(context.lake)
    seen = planned(context, MONTHS_LATER, versions=1)
    registry.begin_trial("v2", "canary", 0.1, over="v5", reason="for a test", cause="e")
    assert going(context, MONTHS_LATER, versions=1) == {"models/v1", "models/v3"}
    assert planned(context, MONTHS_LATER, versions=1).staying["models/v2"] == "it is the canary"
    with pytest.raises(FenceError):
        carry_out(seen.going, registry, context.lake.files, tmp_path)

    registry.end_trial("v2", reason="for a test")
    assert "models/v2" in going(context, MONTHS_LATER, versions=1)


def test_of_a_version_whose_weights_are_gone_the_description_stays_and_no_alias_moves_there(
    tmp_path: Path,
) -> None:
    context = five_versions(tmp_path)
    registry, files = Registry(context.lake), context.lake.files
    version = registry.read().versions["v1"]
    before = description_of(files, version)
    remove(context, tmp_path, MONTHS_LATER, versions=2)
    assert stored_names(files, "models") == ["models/v4", "models/v5"]
    assert description_of(files, version) == before
    with pytest.raises(ConfigurationError, match="the weights of v1 are gone"):
        registry.rollback("oh", to="v1")
    with pytest.raises(ConfigurationError, match="the weights of v2 are gone"):
        registry.promote_by_hand("v2", reason="oh", by="ada")
    assert [found.name for found in registry.read().way_back] == ["v4"]


def test_the_same_model_trained_again_is_a_new_version(tmp_path: Path) -> None:
    context = five_versions(tmp_path)
    registry = Registry(context.lake)
    first = registry.read().versions["v1"]
    folder = context.lake.files.fetch("models/v1", tmp_path / "again")
    remove(context, tmp_path, MONTHS_LATER, versions=2)
    again = registry.register(folder, first.card)
    assert (again.name, again.digest) == ("v6", first.digest)


def test_a_removal_that_was_killed_after_it_was_told_is_finished_by_the_next(tmp_path: Path) -> None:
    context = five_versions(tmp_path)
    registry, files = Registry(context.lake), context.lake.files
    names = planned(context, MONTHS_LATER, versions=2).going
    for number, each in enumerate(names):  # killed before v1 lost anything, after v2 lost its manifest
        keep_description(files, each.version, tmp_path / f"s{number}")
    registry.forget({each.version: each.reason for each in names})
    Path(files.uri("models/v2") + ".manifest.json").unlink()
    assert going(context, MONTHS_LATER) == {"models/v1", "models/v2", "models/v3"}
    remove(context, tmp_path, MONTHS_LATER)
    assert [stored.name for stored in files.stored("models")] == ["models/v4", "models/v5"]
    assert description_of(files, registry.read().versions["v2"])


def test_a_champion_that_moved_since_the_plan_keeps_its_weights(tmp_path: Path) -> None:
    context = five_versions(tmp_path)
    found = planned(context, MONTHS_LATER, versions=2)
    Registry(context.lake).rollback("meanwhile", to="v1")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(FenceError, match="an alias points at this version by now"):
        carry_out(found.going, Registry(context.lake), context.lake.files, tmp_path / "scratch")
    assert len(stored_names(context.lake.files, "models")) == 5
    assert Registry(context.lake).read().forgotten == {}


def test_a_damaged_version_is_not_forgotten(tmp_path: Path) -> None:
    context = five_versions(tmp_path)
    (Path(context.lake.files.uri("models/v1")) / DESCRIPTION).write_text("{}")
    with pytest.raises(ArtifactError, match="not the ones that were stored"):
        remove(context, tmp_path, MONTHS_LATER, versions=2)
    history: History = Registry(context.lake).read()
    assert history.forgotten == {}


def test_a_folder_in_the_middle_of_its_registration_stays(tmp_path: Path) -> None:
    context = five_versions(tmp_path)
    folder = context.lake.files.fetch("models/v1", tmp_path / "next")
    context.lake.files.put(folder, "models/v9")
    assert "models/v9" not in going(context, MONTHS_LATER, versions=1)
