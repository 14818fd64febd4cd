"""Other words: what a file of groups says, what stays, and where answers stand in the text before."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.errors import ConfigurationError
from lakeloop.evaluation.changes import asked_again
from lakeloop.evaluation.judge import Beyond, Contender, judge
from lakeloop.evaluation.probes.registry import look_at
from lakeloop.evaluation.synonyms import Synonyms, in_case_of, read_groups, synonyms_of
from lakeloop.inference.predictor import Predictor
from lakeloop.settings import Settings
from lakeloop.spec.release import Evaluate
from lakeloop.tasks.reading import Instance
from lakeloop.tasks.registry import task_of
from lakeloop.tasks.token_classification import Entities, Entity
from tests.support.artifacts import make_artifact, make_tagging_artifact
from tests.support.augmenting import write_wordnet
from tests.support.small_loop import LABELS, small_loop

KINDS = ["person", "place"]

GROUPS = """# of the trade
car, automobile, "motor car"

你好,您好
automobile, auto
"""


@pytest.fixture
def synonyms(tmp_path: Path) -> Synonyms:
    (tmp_path / "words.csv").write_text(GROUPS, encoding="utf-8")
    return Synonyms(read_groups(tmp_path / "words.csv"))


def test_groups_are_lines_and_a_word_of_two_has_the_others_of_both(synonyms: Synonyms) -> None:
    assert synonyms.known["car",] == ("automobile", "motor car")
    assert synonyms.known["automobile",] == ("car", "motor car", "auto")
    assert synonyms.known["motor", "car"] == ("car", "automobile")
    assert synonyms.known["你", "好"] == ("您好",)


def test_words_give_way_to_others_in_their_case_and_marks_stay(synonyms: Synonyms) -> None:
    only = Synonyms({("motor", "car"): ("auto",), ("car",): ("automobile",)})
    assert only.rewritten("The CAR, a Motor  car; cars!").text == "The AUTOMOBILE, a Auto; cars!"
    assert only.rewritten("motor, car").text == "motor, automobile"
    assert synonyms.rewritten("他说你好。").text == "他说您好。"
    assert synonyms.rewritten("no such word").edits == ()
    assert [in_case_of(word, "iPod touch") for word in ("a", "A", "Ab", "AB")] == [
        "iPod touch", "IPod touch", "IPod touch", "IPOD TOUCH",
    ]  # fmt: skip


def test_a_stretch_that_is_kept_stays_and_answers_are_put_back(synonyms: Synonyms) -> None:
    text = "a car beside the Car Museum of York"
    (begin, end) = text.index("Car"), text.index(" of York")
    found = synonyms.rewritten(text, [(begin, end)])
    assert "Car Museum" in found.text
    assert not found.text.startswith("a car ")
    new = found.text.index("Car Museum")
    answer = Entities(entities=[Entity(start=new, end=new + 10, label="place", text="Car Museum", score=0.9)])
    moved = answer.moved(found.back)
    assert [(each.start, each.end) for each in moved.entities] == [(begin, end)]  # type: ignore[attr-defined]
    assert found.back(3, 5) == (2, 5)  # a stretch within the new word has all of the old one


@given(st.lists(st.sampled_from(["car", "auto", "red", "CAR,", "motor", "x"]), max_size=12))
def test_what_was_not_replaced_is_put_back_to_itself(words: list[str]) -> None:
    text = " ".join(words)
    known = Synonyms({("car",): ("automobile", "cab"), ("motor", "car"): ("auto",)}, share=0.5)
    found = known.rewritten(text)
    assert found == known.rewritten(text)
    for at, letter in enumerate(found.text):
        begin, end = found.back(at, at + 1)
        replaced = any(edit.begin < end and begin < edit.end for edit in found.edits)
        assert replaced or text[begin:end] == letter


def test_they_are_asked_and_count_where_a_person_put_them_together(tmp_path: Path) -> None:
    predictor = Predictor(make_artifact(tmp_path / "model", LABELS).folder)
    rows = [Instance(f"sports number {n}") for n in range(300)]
    for known, count in ((Synonyms({("sports",): ("games",)}), 200), (_unsure(), 50)):
        *_, last = asked_again(predictor, rows, 1e-6, known)
        assert (last.change, len(last.places), last.same_meaning) == ("synonyms", count, count == 200)
        assert {answer.guess for answer in last.answers} == {"business"}  # type: ignore[attr-defined]
    none = asked_again(predictor, rows, 1e-6, Synonyms({("tennis",): ("games",)}))
    assert "synonyms" not in [again.change for again in none]


def _unsure() -> Synonyms:
    return Synonyms({("sports",): ("games",)}, 0.2, same_meaning=False)


def test_right_stretches_stay_and_what_is_found_stands_where_it_stood(tmp_path: Path) -> None:
    artifact = make_tagging_artifact(tmp_path / "model", {"Ann": "person", "York": "place"})
    loop = small_loop(task={"kind": "token_classification", "text": "text", "tags": "label", "labels": KINDS})
    task, rows = (
        task_of(loop.task),
        pa.table(
            {
                "row_id": [f"r{n}" for n in range(20)],
                "text": [f"the car {n} of Ann in York by car" for n in range(20)],
                "tags": ["O O O O B-person O B-place O O"] * 20,
            }
        ),
    )
    known = Synonyms({("car",): ("automobile",), ("ann",): ("Anna",), ("york",): ("Leeds",)})
    contender = Contender("finetune", artifact.digest, "candidates/x")
    judged = judge(contender, artifact.folder, rows, task, threads=1, beyond=Beyond(synonyms=known))
    (again,) = (each for each in judged.again if each.change == "synonyms")
    for place, answer in zip(again.places, again.answers, strict=True):
        for found in (answer, judged.answers[place]):
            text = rows["text"][place].as_py()
            spans = [(text[each.start : each.end], each.label) for each in found.entities]  # type: ignore[attr-defined]
            assert spans == [("Ann", "person"), ("York", "place")]
    found = look_at(judged, rows, task)
    (grid,) = (grid for grid in found.tables if grid.title == "Changed texts")
    assert next(row for row in grid.rows if row[0] == "synonyms")[2] == 1.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("car, automobile\ncar\n", 'line 2: "car"'),
        ("car, Car\n", "line 1"),
        ("car, ?\n", "line 1"),
        ('car, "auto\n', "line 1"),
        ("# nothing\n", "no words in it"),
    ],
)
def test_a_line_that_is_no_group_is_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "words.csv").write_text(content)
    with pytest.raises(ConfigurationError) as raised:
        read_groups(tmp_path / "words.csv")
    assert said in str(raised.value)
    assert "evaluate.synonyms" in str(raised.value)


def test_a_folder_is_a_wordnet_and_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path)
    assert synonyms_of(Evaluate(), settings) is None
    write_wordnet(tmp_path / "wordnet", [["goal", "aim"], ["Team", "squad"]])
    found = synonyms_of(Evaluate(synonyms="wordnet"), settings)
    assert found is not None
    assert (found.known["goal",], found.same_meaning) == (("aim",), False)
    assert len(found.rewritten("goal team goal team goal").edits) == 1
    (tmp_path / "words.csv").write_text("car, auto\n")
    other = synonyms_of(Evaluate(synonyms="words.csv"), settings)
    assert other is not None
    assert other.fingerprint != found.fingerprint
    with pytest.raises(ConfigurationError, match="cannot read it"):
        synonyms_of(Evaluate(synonyms="nowhere.csv"), settings)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="no WordNet"):
        synonyms_of(Evaluate(synonyms="empty"), settings)
