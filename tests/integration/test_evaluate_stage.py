"""The evaluation stage on a real lake with real, tiny models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lakeloop.attempt import Attempt
from lakeloop.datasets.dealing import SplitName
from lakeloop.datasets.freeze import read_split
from lakeloop.errors import ArtifactError, ConfigurationError, DataError, FenceError
from lakeloop.evaluation import judge as judging
from lakeloop.evaluation.judge import Judged
from lakeloop.evaluation.stored import evidence_of
from lakeloop.gate.decide import Decision
from lakeloop.registry.history import ModelCard
from lakeloop.registry.registry import Registry
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.release import release
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from lakeloop.stages.training.plan import decide_training
from tests.support.artifacts import make_artifact
from tests.support.number_loop import number_loop, number_rows, trained_number
from tests.support.small_loop import DAYS, LABELS, mart_rows, publish, small_context, small_loop, trained

DAY = DAYS[0]
LEARNED: tuple[SplitName, ...] = ("train", "validation")


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    context = small_context(tmp_path)
    publish(context, DAY, mart_rows(DAY, 60))
    dataset(context, DAY)
    return context


def make_champion(context: StageContext) -> None:
    folder = context.settings.root / "champion"
    make_artifact(folder, LABELS, seed=99, confuse={"tech": "sports"})
    promote(context, folder, "d")


def promote(context: StageContext, folder: Path, dataset_digest: str) -> None:
    registry = Registry(context.lake)
    decision = Decision(accepted=None, reason="for the test", checks=())
    card = ModelCard(
        candidate="baseline", method="keywords", dataset_digest=dataset_digest, decision=decision
    )
    registry.promote(registry.register(folder, card).name, over=None, reason="first", cause="e")


def test_candidates_and_champion_answer_the_same_rows(context: StageContext) -> None:
    make_champion(context)
    baseline = trained(context, "baseline", DAY)
    trained(context, "finetune", DAY, confuse={"business": "sports"})
    record = evaluate(context, DAY)
    assert record.status == "done"
    evidence = evidence_of(context.lake.files, record)
    assert evidence.model("baseline").digest == baseline.outputs["digest"] == record.inputs["baseline"]
    assert evidence.leader == "baseline"
    assert [model.title for model in evidence.models] == ["baseline", "finetune", "champion v1"]
    assert record.metrics["baseline/macro_f1"] == 1.0
    assert 0 < record.metrics["finetune/macro_f1"] < 1
    assert 0 < record.metrics["champion/macro_f1"] < 1

    answers = context.lake.read("evaluations", partition=DAY).to_pylist()
    by_model: dict[str, set[str]] = {}
    for row in answers:
        by_model.setdefault(row["candidate"], set()).add(row["row_id"])
    assert set(by_model) == {"baseline", "finetune", "champion"}
    assert len({frozenset(ids) for ids in by_model.values()}) == 1
    assert len(by_model["baseline"]) == int(record.outputs["rows"])

    page = Path(record.links["report"])
    assert page == context.settings.reports("small") / DAY / "index.html"
    assert "The best candidate is the baseline" in page.read_text()
    stored = context.lake.files.fetch(record.outputs["report"], context.settings.root / "fetched")
    assert (stored / "index.html").read_bytes() == page.read_bytes()
    assert list((context.work("evaluate", DAY)).iterdir()) == [context.work("evaluate", DAY) / "record.json"]


def test_trackers_are_given_the_comparison_and_a_page_without_texts(context: StageContext) -> None:
    make_champion(context)
    trained(context, "baseline", DAY, confuse={"business": "sports"})
    record = evaluate(context, DAY)
    (journal,) = (context.settings.journals / "small").rglob("*evaluate*/**/*.jsonl")
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    (given,) = [entry["data"] for entry in entries if entry["kind"] == "artifact"]
    assert (given["name"], given["kind"]) == (f"small-report-{DAY}", "report")
    shared = Path(given["path"]).read_text()
    text = evidence_of(context.lake.files, record).mistakes[0].text
    assert text in Path(record.links["report"]).read_text()
    assert text not in shared
    assert "Beside the champion v1" in shared
    tables = {entry["data"]["name"]: entry["data"]["rows"] for entry in entries if entry["kind"] == "table"}
    assert tables["beside"][0][0] == "champion"
    assert "slices" in tables


def test_answers_are_kept_as_the_server_gives_them(context: StageContext) -> None:
    trained(context, "baseline", DAY)
    evaluate(context, DAY)
    row = context.lake.read("evaluations", partition=DAY).to_pylist()[0]
    answer = json.loads(row["answer"])
    assert answer["label"] == json.loads(row["expected"])
    assert set(answer["scores"]) == set(LABELS)


def test_candidates_have_any_name_and_the_order_of_the_loop_file(tmp_path: Path) -> None:
    named = [{"name": "words", "method": "head"}, {"name": "adapters", "method": "lora"}]
    context = small_context(tmp_path, small_loop(train={"min_rows": 30, "candidates": named}))
    publish(context, DAY, mart_rows(DAY, 60))
    dataset(context, DAY)
    for name in ("adapters", "words"):
        trained(context, name, DAY, seed=len(name))
    record = evaluate(context, DAY)
    assert [m.name for m in evidence_of(context.lake.files, record).candidates] == ["words", "adapters"]
    assert {"words/macro_f1", "adapters/macro_f1"} <= set(record.metrics)


def test_numbers_are_judged_by_their_error(tmp_path: Path) -> None:
    context = small_context(tmp_path, number_loop())
    publish(context, DAY, number_rows(DAY, 60))
    dataset(context, DAY)
    trained_number(context, "baseline", DAY, base=0.5)
    trained_number(context, "finetune", DAY)
    record = evaluate(context, DAY)
    evidence = evidence_of(context.lake.files, record)
    assert (evidence.leader, evidence.metric) == ("finetune", "mae")
    assert record.metrics["finetune/mae"] == 0.0
    assert record.metrics["baseline/mae"] == pytest.approx(0.5)
    assert record.reason.startswith("mean absolute error on ")
    assert "<svg" in Path(record.links["report"]).read_text()
    rows = context.lake.read("evaluations", partition=DAY).to_pylist()
    for row in rows:
        off = 0.5 if row["candidate"] == "baseline" else 0.0
        assert json.loads(row["answer"])["value"] == pytest.approx(json.loads(row["expected"]) + off)


def test_one_candidate_is_enough(context: StageContext) -> None:
    trained(context, "finetune", DAY)
    assert evaluate(context, DAY).reason.startswith("macro F1 on ")


def test_again_is_unchanged_until_there_is_another_candidate(context: StageContext) -> None:
    trained(context, "baseline", DAY)
    first = evaluate(context, DAY)
    again = evaluate(context, DAY)
    assert (again.status, again.outputs, again.links) == ("unchanged", first.outputs, first.links)
    trained(context, "baseline", DAY, seed=18)
    assert evaluate(context, DAY).status == "done"
    rows = context.lake.read("evaluations", partition=DAY)
    assert rows.num_rows == int(first.outputs["rows"])


def test_nothing_to_evaluate_is_a_skip_that_says_so(tmp_path: Path, context: StageContext) -> None:
    assert evaluate(context, DAYS[1]).reason == "no data set was frozen for 2026-11-17"
    assert evaluate(context, DAY).reason == "no candidate was trained for 2026-11-16"


def test_a_candidate_of_another_data_set_is_refused(context: StageContext) -> None:
    trained(context, "baseline", DAY, dataset_digest="f" * 64)
    with pytest.raises(DataError, match="trained on another data set"):
        evaluate(context, DAY)
    assert context.lake.read("evaluations").num_rows == 0


def test_a_candidate_that_was_changed_in_the_lake_is_refused(context: StageContext) -> None:
    record = trained(context, "baseline", DAY)
    model = Path(context.lake.files.uri(record.outputs["artifact"])) / "model.onnx"
    model.write_bytes(model.read_bytes() + b"\0")
    with pytest.raises(ArtifactError, match=r"not the ones that were stored"):
        evaluate(context, DAY)


def test_an_evaluated_training_is_not_due_again(context: StageContext) -> None:
    assert decide_training(context).train
    trained(context, "baseline", DAY)
    evaluate(context, DAY)
    assert decide_training(context).reason.startswith("nothing new since the training of 2026-11-16")
    publish(context, DAYS[1], mart_rows(DAYS[1], 25))
    assert decide_training(context).reason.startswith("25 new rows since the training of 2026-11-16")


@pytest.mark.parametrize("sections", [{"evaluate": {"metric": "accuracy"}}, {"train": {"seed": 3}}])
def test_judging_what_is_trained_by_another_file_is_no_training_by_that_file(
    tmp_path: Path, context: StageContext, sections: dict[str, dict[str, object]]
) -> None:
    for candidate in ("baseline", "finetune"):
        trained(context, candidate, DAY)
    content = context.loop.model_dump(mode="json", exclude_unset=True)
    for section, keys in sections.items():
        content.setdefault(section, {}).update(keys)
    changed = small_context(tmp_path, LoopSpec.model_validate_json(json.dumps(content)))
    evaluate(changed, DAY)
    assert decide_training(changed).reason.startswith("configuration changed since the training of")
    assert decide_training(context).reason.startswith("nothing new since the training of")


def test_a_champion_is_not_asked_what_it_learned_by_heart(tmp_path: Path) -> None:
    """It was trained on rows that another split takes for its test; it knows these and no others."""
    context = small_context(tmp_path)
    rows = mart_rows(DAY, 150)
    publish(context, DAY, rows)
    old = dataset(context, DAY)
    folder = context.lake.files.fetch(old.outputs["dataset"], tmp_path / "old")
    learned = {row_id for split in LEARNED for row_id in _row_ids(folder, split)}
    artifact = make_artifact(
        tmp_path / "champion", LABELS, confuse={"tech": "sports"}, dataset_digest=old.outputs["digest"]
    )
    promote(context, tmp_path / "champion", artifact.description.dataset_digest)

    changed = small_context(tmp_path, small_loop(split={"salt": "another"}))
    new = dataset(changed, DAY)
    test_rows = _row_ids(changed.lake.files.fetch(new.outputs["dataset"], tmp_path / "new"), "test")
    assert learned & test_rows
    trained(changed, "baseline", DAY)
    record = evaluate(changed, DAY)
    asked = changed.lake.read("evaluations", partition=DAY)
    assert set(asked["row_id"].to_pylist()) == test_rows - learned
    assert int(record.outputs["rows"]) == len(test_rows - learned) == asked.num_rows / 2
    note = f"{len(learned & test_rows)} of {len(test_rows)} test rows were left out for all models"
    assert note in record.reason
    assert note in Path(record.links["report"]).read_text()


def _row_ids(folder: Path, split: SplitName) -> set[str]:
    return set(read_split(folder, split)["row_id"].to_pylist())


def test_overlapping_attempts_keep_off_each_others_models(
    context: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second runs from end to end while the first has a model fetched and not yet judged."""
    trained(context, "baseline", DAY)
    judge = judging.judge
    late: list[str] = []

    def judge_after_another_attempt(*args: Any, **kwargs: Any) -> Judged:
        if not late:
            late.append("now the second")
            evaluate(small_context(tmp_path, attempt=Attempt("test-run", 2)), DAY)
        return judge(*args, **kwargs)

    monkeypatch.setattr(judging, "judge", judge_after_another_attempt)
    with pytest.raises(FenceError):  # it comes as far as the lake, which is the second's by then
        evaluate(context, DAY)
    record = context.lake.ledger.latest("evaluate", DAY, "done")
    assert record is not None
    assert context.lake.read("evaluations", partition=DAY).num_rows == int(record.outputs["rows"])
    assert [path.name for path in context.work("evaluate", DAY).iterdir()] == ["record.json"]


def test_what_a_killed_attempt_left_is_removed_when_nobody_can_need_it(context: StageContext) -> None:
    trained(context, "baseline", DAY)
    old, new = (context.work("evaluate", DAY) / f".fetched-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir()
    os.utime(old, (0, 0))
    evaluate(context, DAY)
    assert (old.exists(), new.exists()) == (False, True)


_EVALUATE = """
import sys
from pathlib import Path
from tests.support.number_loop import number_loop, number_rows, trained_number
from tests.support.small_loop import small_context
from lakeloop.stages.training.evaluate import evaluate
record = evaluate(small_context(Path(sys.argv[1])), sys.argv[2])
assert record.status == "done", record
loaded = {"torch", "transformers", "wandb", "great_expectations", "duckdb"} & set(sys.modules)
assert not loaded, loaded
"""


def test_texts_are_asked_in_other_words_and_another_list_is_another_evaluation(tmp_path: Path) -> None:
    context = small_context(tmp_path, small_loop(evaluate={"synonyms": "words.csv"}))
    (tmp_path / "words.csv").write_text("sports, games\n")
    publish(context, DAY, mart_rows(DAY, 240))
    dataset(context, DAY)
    trained(context, "baseline", DAY)
    record = evaluate(context, DAY)
    (model,) = evidence_of(context.lake.files, record).models
    (changed,) = (grid for grid in model.tables if grid.title == "Changed texts")
    (line,) = (row for row in changed.rows if row[0] == "synonyms")
    assert line[2] == 0.0  # a model of key words knows no others
    assert "synonyms" in Path(record.links["report"]).read_text()
    assert evaluate(context, DAY).status == "unchanged"
    (tmp_path / "words.csv").write_text("sports, athletics\n")
    assert evaluate(context, DAY).status == "done"


@pytest.mark.slow
def test_evaluation_needs_no_torch(context: StageContext, root: Path) -> None:
    trained(context, "baseline", DAY)
    argv = [sys.executable, "-c", _EVALUATE, str(context.settings.root), DAY]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_thresholds_come_from_validation_rows_and_go_with_the_version(tmp_path: Path) -> None:
    rules = {"evaluate": {"out_of_scope": "strangers.txt"}, "deploy": {"abstain": {"precision": 0.9}}}
    context = small_context(tmp_path, small_loop(**rules))
    publish(context, DAY, mart_rows(DAY, 240))
    dataset(context, DAY)
    trained(context, "baseline", DAY)
    with pytest.raises(ConfigurationError, match="cannot read it"):
        evaluate(context, DAY)
    (tmp_path / "strangers.txt").write_text("how is the weather\n\nwho won\nwho won\n")
    record = evaluate(context, DAY)
    (model,) = evidence_of(context.lake.files, record).models
    assert model.thresholds
    assert model.scores["out_of_scope_auc"] == 1.0
    assert "of 2 texts out of scope" in Path(record.links["report"]).read_text()
    assert evaluate(context, DAY).status == "unchanged"
    (tmp_path / "strangers.txt").write_text("something else\n")
    assert evaluate(context, DAY).status == "done"
    release(context, DAY)
    champion = Registry(context.lake).champion()
    assert champion is not None
    assert champion.card.thresholds == model.thresholds
