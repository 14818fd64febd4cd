"""run and status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakeloop.inference.devices import ON_CUDA, providers_of_onnx
from lakeloop.records import now
from lakeloop.registry.registry import Registry
from lakeloop.settings import get_settings
from lakeloop.stages.frame.session import StageContext
from lakeloop.tracking import wake
from lakeloop.tracking.progress import Refused, refused
from tests.support.command import DAY, LOOP, Run
from tests.support.serving import promote


def test_rollback_makes_the_version_before_champion_again(run: Run, project: Path) -> None:
    nothing = run("rollback", "tickets", "--reason", "answers look wrong")
    assert (nothing.code, "no previous version to go back to" in nothing.err) == (64, True)
    context = StageContext.open("tickets", get_settings(root=project))
    for number in (1, 2):
        promote(context, number)
    ended = run("rollback", "tickets", "--reason", "answers look wrong")
    assert ended.code == 0
    assert "v1 is champion of tickets again" in ended.out
    again = run("rollback", "tickets", "--reason", "still wrong")
    assert (again.code, "other versions: v2" in again.err) == (64, True)
    registry = Registry(context.lake)
    champion = registry.champion()
    assert champion is not None
    assert champion.name == "v1"
    assert registry.read().moves[-1].reason == "answers look wrong"


def test_status_of_a_loop_that_never_ran_says_how_to_begin(run: Run) -> None:
    ended = run("status")
    assert ended.code == 0
    assert "Nothing ran yet. Begin: lakeloop run tickets" in ended.out
    assert "champion  none yet" in ended.out


def test_status_shows_stages_rows_and_what_is_due(run: Run) -> None:
    run("ingest", "tickets", "--partition", DAY)
    ended = run("status", "tickets")
    lines = [line.strip("│ ") for line in ended.out.splitlines()]
    assert any(line.startswith(f"ingest  {DAY}  done") for line in lines)
    day = next(line for line in lines if line.startswith(f"{DAY} "))
    assert day.split()[1:5] == ["4", "3", "1", "0"]
    assert day.endswith("no; done: ingest")
    assert any(line.startswith(f"due       transform {DAY}: 3 raw rows") for line in lines)


def test_status_as_json_is_a_list_of_loops(run: Run) -> None:
    run("ingest", "tickets", "--partition", DAY)
    (status,) = json.loads(run("status", "--json").out)
    assert status["loop"] == "tickets"
    assert status["totals"] == {"read": 4, "accepted": 3, "quarantined": 1, "duplicates": 0}


def test_status_of_an_unknown_loop_lists_the_known(run: Run) -> None:
    ended = run("status", "ticket")
    assert ended.code == 64
    assert "did you mean tickets?" in ended.err


def test_a_loop_that_cannot_be_shown_does_not_hide_the_others(run: Run, project: Path) -> None:
    for name, change in {
        "aaa": ("label: team", "lable: team"),
        "reviews": ("team: string", "team: text"),
    }.items():
        (project / "loops" / name).mkdir()
        text = LOOP.replace("name: tickets", f"name: {name}").replace(*change)
        (project / "loops" / name / "loop.yaml").write_text(text)
    ended = run("status")
    assert ended.code == 64
    assert "Begin: lakeloop run tickets" in ended.out
    assert "loops/aaa/loop.yaml: 1 problem" in ended.err
    assert "loops/reviews/loop.yaml: 1 problem" in ended.err
    as_json = run("status", "--json")
    assert as_json.code == 64
    assert [status["loop"] for status in json.loads(as_json.out)] == ["tickets"]


def test_a_loop_whose_columns_changed_does_not_hide_the_others(run: Run, project: Path) -> None:
    run("ingest", "tickets", "--partition", DAY)
    (project / "loops/reviews").mkdir()
    (project / "loops/reviews/loop.yaml").write_text(LOOP.replace("name: tickets", "name: reviews"))
    changed = LOOP.replace("{id: string,", "{id: integer,")
    (project / "loops/tickets/loop.yaml").write_text(changed)
    ended = run("status")
    assert ended.code == 0
    assert "Begin: lakeloop run reviews" in ended.out
    assert "1 quarantined (broken_json 1)" in ended.out, "what is there is shown all the same"
    assert "the columns of table 'raw' changed" in ended.out
    assert "lakeloop evolve tickets" in ended.out


def test_nine_days_that_fail_are_told_once_each_and_counted(run: Run, project: Path) -> None:
    days = [f"2026-11-{day}" for day in range(10, 19)]
    csv = LOOP.replace(".jsonl", ".csv").replace("kind: files", "kind: files\n  format: csv")
    (project / "loops/tickets/loop.yaml").write_text(csv)
    for day in days:
        (project / f"data/{day}.csv").write_text("key,text,colour\n1,a,b\n")
    ended = run("run", "tickets", "--from", days[0], "--to", days[-1])
    assert ended.code == 65
    for day in days:
        assert ended.err.count(f"data/{day}.csv") == 1
    assert ended.err.splitlines()[-3:] == [
        "run tickets: 9 steps failed; what does not depend on them is done",
        f"  found: ingest of 9 days, {days[0]} to {days[-1]}",
        "  to do: mend what each of them says above, then run again: what is done is not done twice",
    ]
    assert len(ended.err.splitlines()) <= 9 * 5 + 3
    assert [line.split() for line in ended.out.splitlines()][1] == ["ingest", "9", "0.0"]


def test_a_run_of_days_without_data_says_so_and_ends_as_wrong_data(run: Run) -> None:
    ended = run("run", "tickets", "--from", "2026-11-01", "--to", "2026-11-02")
    assert ended.code == 65
    assert "there is no data for any of the days; nothing was ingested" in ended.err
    assert "expected: a delivery for 2026-11-01, 2026-11-02" in ended.err
    assert "data/2026-11-02.jsonl" in ended.err


def test_status_shows_a_stage_that_failed_until_it_is_done(run: Run, project: Path) -> None:
    csv = LOOP.replace(".jsonl", ".csv").replace("kind: files", "kind: files\n  format: csv")
    (project / "loops/tickets/loop.yaml").write_text(csv)
    drop = project / f"data/{DAY}.csv"
    drop.write_text("key,text,colour\n1,a,b\n")
    assert run("ingest", "tickets", "--partition", DAY).code == 65
    status = run("status", "tickets")
    (failed,) = [
        line.strip("│ ") for line in status.out.splitlines() if line.strip("│ ").startswith("failed ")
    ]
    assert failed.split()[1:3] == ["ingest", f"{DAY},"]
    assert f"data/{DAY}.csv" in failed
    drop.write_text("id,text,team\n1,a,billing\n")
    assert run("ingest", "tickets", "--partition", DAY).code == 0
    assert json.loads(run("status", "--json").out)[0]["failed"] == []


def test_status_names_a_drop_that_changed(run: Run, project: Path) -> None:
    run("ingest", "tickets", "--partition", DAY)
    drop = project / f"data/{DAY}.jsonl"
    drop.write_text(drop.read_text().replace("text 1", "text 11"))
    assert f"ingest {DAY}: the drop of {DAY} is another one since it was ingested" in run("status").out


def test_start_without_an_airflow_says_so_and_how_to_start_it(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKELOOP_AIRFLOW_URL", "http://127.0.0.1:9")  # served by nobody here
    ended = run("start", "tickets", "--yes")
    assert ended.code == 75
    assert "http://127.0.0.1:9: Airflow does not answer" in ended.err
    assert "Start it: lakeloop up" in ended.err
    assert ended.out == ""


def test_start_of_days_the_wrong_way_round_asks_nobody(run: Run) -> None:
    ended = run("start", "tickets", "--from", DAY, "--to", "2026-11-19")
    assert ended.code == 64
    assert "not a range of days" in ended.err


def test_why_names_what_differs_from_the_last_time_and_what_is_equal(run: Run, project: Path) -> None:
    nothing = run("why", "tickets")
    assert nothing.code == 0
    assert "no training is due: 0 rows published" in nothing.out
    run("ingest", "tickets", "--partition", DAY)
    skipped = run("why", "tickets", "--stage", "ingest")
    assert f"ingest {DAY}: would be skipped: its fingerprint is that of ingest {DAY}" in skipped.out
    assert "another value of one of these would have it run: source." in skipped.out

    file = project / "loops/tickets/loop.yaml"
    file.write_text(file.read_text().replace("key: id", "key: text"))
    lines = [line.split() for line in run("why", "tickets", "--stage", "ingest").out.splitlines()]
    assert ["≠", "source.key", "id", "text"] in lines
    assert any(line[:2] == ["=", "drop"] for line in lines)
    told = json.loads(run("why", "tickets", "--stage", "ingest", "--json").out)
    assert (told["verdict"], told["reason"]) == ("run", "would run, because of source.key")


def test_why_refuses_a_stage_whose_inputs_alone_do_not_decide(run: Run) -> None:
    ended = run("why", "tickets", "--stage", "rollout")
    assert (ended.code, "ingest, labels, transform, validate, dataset, train" in ended.err) == (64, True)
    assert "did you mean transform?" in run("why", "tickets", "--stage", "transfrom").err
    assert run("why", "tickets", "--stage", "ingest", "--candidate", "baseline").code == 64


def test_what_wandb_refuses_is_shown_with_the_reason_and_taken_back_by_a_command(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    run("ingest", "tickets", "--partition", DAY)
    (journal,) = get_settings(root=project).journals.glob("tickets/ingest/*/*.jsonl")
    Refused(reason="HTTP 409: the run was deleted", tries=1, set_aside=True, at=now()).write(journal)
    shown = run("status", "tickets").out
    assert f"ingest {DAY}" in next(line for line in shown.splitlines() if "W&B refuses" in line)
    assert "HTTP 409: the run was deleted" in shown
    assert "lakeloop mirror --again" in shown
    assert run("mirror").code == 64, "switched off"

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(wake, "_start", lambda _settings: None)  # what it copies is tested elsewhere
    told = run("mirror", "--again", "--timeout", "0").out
    assert "1 journal(s) taken back" in told
    assert refused(journal) is None


def test_check_and_status_say_what_is_spent_of_a_budget(run: Run, project: Path) -> None:
    file = project / "loops/tickets/loop.yaml"
    file.write_text(file.read_text() + "train: {budget: {cpu_hours: 1}}\n")
    assert "budget: 0.00 of 1 CPU h of this month are spent" in run("check", "tickets").out
    context = StageContext.open("tickets", get_settings(root=project))
    with context.stage("train-baseline", DAY) as stage:
        stage.done(reason="trained", metrics={"seconds": 3600.0, "cpu_seconds": 7200.0})
    assert "warning: over its budget: 2.00 of 1 CPU h" in run("check", "tickets").out
    shown = run("status", "tickets").out
    assert "1 training job: 1.00 h, 2.00 CPU h" in shown
    assert "2.00 of 1 CPU h of this month are spent" in shown
    assert "budget: 2.00 of 1 CPU h" in run("why", "tickets").out


@pytest.mark.skipif(ON_CUDA in providers_of_onnx(), reason="ONNX Runtime is built for CUDA here")
def test_serve_says_what_is_missing_for_a_device(run: Run, project: Path) -> None:
    ended = run("serve", "tickets", "--port", "0", "--device", "cuda")
    assert (ended.code, "onnxruntime-gpu" in ended.err) == (64, True)
    assert "CPUExecutionProvider" in ended.err
    ended = run("serve", "tickets", "--port", "0", "--device", "gpu")
    assert (ended.code, "cpu, cuda, auto" in ended.err) == (64, True)
