"""Stage verbs run the real stage functions and show their records."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lakeloop.cli import stage_verbs
from lakeloop.records import StageRecord
from lakeloop.settings import get_settings
from lakeloop.stages import catalogue
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.session import StageContext
from tests.support.command import DAY, Run


def test_a_stage_shows_status_reason_and_counts(run: Run) -> None:
    ended = run("ingest", "tickets", "--partition", DAY)
    assert ended.code == 0
    assert f"tickets ingest {DAY}: done" in ended.out
    assert "4 read = 3 accepted + 1 quarantined + 0 duplicates" in ended.out
    assert f"{DAY}.jsonl" in ended.out


def test_run_again_the_stage_says_that_nothing_changed(run: Run) -> None:
    run("ingest", "tickets", "--partition", DAY)
    ended = run("ingest", "tickets", "--partition", DAY)
    assert ended.code == 0
    assert f"tickets ingest {DAY}: unchanged" in ended.out
    assert "inputs unchanged since" in ended.out


@pytest.mark.parametrize(
    ("stage", "missing", "first"),
    [
        ("ingest", "data/2026-11-01.jsonl", "lakeloop check tickets says which there are"),
        (
            "dataset",
            "no day of the mart",
            "lakeloop ingest tickets --partition 2026-11-01, then transform and validate",
        ),
        ("evaluate", "no data set was frozen for 2026-11-01", "lakeloop dataset tickets"),
        ("release", "no candidate was evaluated", "lakeloop evaluate tickets --partition 2026-11-01"),
        ("rollout", "tickets has no champion yet", "lakeloop run tickets"),
        ("monitor", "no predictions on 2026-11-01", "lakeloop serve tickets"),
        ("transform", "2026-11-01 was not ingested", "lakeloop ingest tickets --partition 2026-11-01"),
        ("train", "no data set to train on", "lakeloop dataset tickets --partition 2026-11-01"),
    ],
)
def test_a_stage_before_its_time_says_what_is_missing_and_what_to_run(
    run: Run, stage: str, missing: str, first: str
) -> None:
    ended = run(stage, "tickets", "--partition", "2026-11-01")
    assert (ended.code, ended.out) == (65, "")
    assert missing in ended.err
    (to_do,) = [line for line in ended.err.splitlines() if line.startswith("  to do: ")]
    assert first in to_do


def test_a_day_without_a_result_is_told_the_newest_that_has_one(run: Run) -> None:
    assert run("ingest", "tickets", "--partition", DAY).code == 0
    assert run("ingest", "tickets", "--partition", "2026-11-01").code == 65
    ended = run("transform", "tickets", "--partition", "2026-11-01")
    assert ended.code == 65
    assert f"or name the newest day that has it: --partition {DAY}" in ended.err


def test_a_skip_is_a_record_for_other_programs_all_the_same(run: Run) -> None:
    ended = run("ingest", "tickets", "--partition", "2026-11-01", "--json")
    record = StageRecord.model_validate_json(ended.out)
    assert (ended.code, record.status) == (65, "skipped")


def test_json_is_the_whole_record_and_nothing_else(run: Run, project: Path) -> None:
    ended = run("-v", "ingest", "tickets", "--partition", DAY, "--json")
    record = StageRecord.model_validate_json(ended.out)
    beside = get_settings(root=project).work("tickets", "ingest", DAY) / "record.json"
    assert record == StageRecord.model_validate_json(beside.read_bytes())
    assert "INFO    lakeloop.stages.frame.session: tickets ingest" in ended.err


def test_without_a_day_it_is_yesterday(run: Run) -> None:
    from lakeloop.spec.days import yesterday

    before = yesterday("UTC")
    record = json.loads(run("ingest", "tickets", "--json").out)
    assert record["partition"] in {before, yesterday("UTC")}


def test_without_a_day_a_stage_after_others_works_on_the_newest_that_is_ready(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("ingest", "tickets", "--partition", DAY)
    monkeypatch.setitem(catalogue._BY_NAME, "dataset", replace(stage_named("dataset"), after="ingest"))
    monkeypatch.setattr(stage_verbs, "known_loop", lambda name: pytest.fail("yesterday was asked for"))
    with monkeypatch.context() as patch:
        patch.chdir(project)
        assert stage_verbs.usual_day(stage_named("dataset"), "tickets") == DAY


def test_every_stage_that_follows_another_names_one_that_there_is() -> None:
    after = {stage.name: stage.after for stage in catalogue.STAGES if stage.after}
    assert all(catalogue.in_order(before) < catalogue.in_order(name) for name, before in after.items())
    assert after == {
        "dataset": "validate",
        "train": "dataset",
        "evaluate": "dataset",
        "release": "evaluate",
        "trial": "release",
    }


def test_yesterday_is_that_of_the_loops_time_zone(run: Run, project: Path) -> None:
    from lakeloop.spec.days import yesterday

    file = project / "loops/tickets/loop.yaml"
    text = file.read_text()
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):  # 25 hours apart: never the same day
        file.write_text(f"{text}\nschedule: {{timezone: {zone}}}\n")
        before = yesterday(zone)
        ingested = json.loads(run("ingest", "tickets", "--json").out)["partition"]
        assert ingested in {before, yesterday(zone)}
        today = yesterday("UTC")
        monitored = json.loads(run("monitor", "tickets", "--json").out)["partition"]
        assert monitored in {today, yesterday("UTC")}, "predictions are kept by the day in UTC"


def test_an_override_that_is_unknown_is_refused_with_the_nearest(run: Run) -> None:
    ended = run("release", "tickets", "--set", "gate.minscore=0.5")
    assert ended.code == 64
    assert "gate.minscore: unknown key" in ended.err
    assert "did you mean: gate.min_score" in ended.err


def test_the_work_of_one_home_is_not_seen_in_another(run: Run, project: Path) -> None:
    run("ingest", "tickets", "--partition", DAY)
    assert (project / ".lakeloop/lake/tickets/raw").is_dir()


@pytest.mark.usefixtures("usual_umask")
def test_nothing_that_a_stage_leaves_can_be_read_by_other_users(run: Run, project: Path) -> None:
    assert run("ingest", "tickets", "--partition", DAY).code == 0
    home = project / ".lakeloop"
    made = [home, *home.rglob("*")]
    assert len([path for path in made if path.is_file()]) > 10
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_an_experiment_is_asked_for_by_an_option_and_refused_by_a_release(run: Run) -> None:
    ended = run("evaluate", "tickets", "--partition", DAY, "--experiment", "Fast Lane")
    assert (ended.code, ended.out) == (64, "")
    assert "not a name for an experiment" in ended.err
    ended = run("release", "tickets", "--partition", DAY, "--experiment", "fast")
    assert ended.code == 64
    assert "an experiment is compared and shown, and never released" in ended.err
    assert "lakeloop train tickets" in ended.err
    assert "--experiment" in run("train", "--help").out
    assert "--experiment" not in run("release", "--help").out


def test_an_experiment_is_evaluated_on_the_newest_day_that_it_was_trained_on(run: Run, project: Path) -> None:
    context = StageContext.open("tickets", get_settings(root=project), experiment="fast")
    for stage, day in (("dataset", "2026-11-18"), ("train-baseline@fast", "2026-11-17")):
        with context.stage(stage, day) as session:
            session.done(reason="")
    usual = {
        (name, experiment): stage_verbs.usual_day(stage_named(name), "tickets", experiment)
        for name in ("train", "evaluate")
        for experiment in ("", "fast")
    }
    assert usual.pop(("evaluate", "fast")) == "2026-11-17"
    assert stage_verbs.usual_day(stage_named("evaluate"), "tickets", "never_trained") == "2026-11-18"
    assert set(usual.values()) == {"2026-11-18"}
