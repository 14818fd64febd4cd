"""A file answered row by row: what each format gives, what cannot be asked, what stays when it ends early."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.inference import rows_of_files
from lakeloop.inference.predictor import Predictor
from lakeloop.inference.rows_of_files import Columns
from lakeloop.inference.scoring import score
from lakeloop.lake.tables import PLAIN, SCORED
from lakeloop.tasks.registry import TASKS, answer_type
from tests.support.artifacts import make_artifact
from tests.support.small_loop import LABELS

COLUMNS = Columns("id", "body", "", ())
ROWS = [{"id": f"r{n}", "body": f"news about {LABELS[n % 3]} {n}", "other": n} for n in range(30)]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    folder = tmp_path_factory.mktemp("model") / "artifact"
    make_artifact(folder, LABELS)
    return Predictor(folder)


def write(path: Path, rows: list[Any]) -> Path:
    """The rows in the format of the name; a text stands for a line as it is."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    if ".csv" in path.name:
        lines = [
            "id,body,other",
            *(r if isinstance(r, str) else ",".join(map(str, r.values())) for r in rows),
        ]
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.jsonl", "a.csv.gz", "a.jsonl.gz"])
def test_each_format_gives_the_answers_of_the_texts_alone(
    name: str, predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_of_files, "PIECE", 7)  # more pieces than one
    done = score(predictor, write(tmp_path / name, ROWS), tmp_path / "out.parquet", COLUMNS, version="v3")
    assert (done.rows, done.answered, done.first_fault) == (30, 30, "")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.equals(SCORED)
    first = 2 if ".csv" in name else 1  # its header is a line
    assert table["row"].to_pylist() == list(range(first, first + 30))
    assert table["key"].to_pylist() == [row["id"] for row in ROWS]
    assert set(table["model_version"].to_pylist()) == {"v3"}
    assert set(table["model_digest"].to_pylist()) == {predictor.digest}
    alone = [predictor.predict([str(row["body"])])[0].model_dump_json() for row in ROWS]
    assert table["answer"].to_pylist() == alone


def test_rows_that_cannot_be_asked_stay_in_the_table_with_the_reason(
    predictor: Predictor, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "a.jsonl", [ROWS[0], "{broken", "[1]", {"id": "x"}, {"id": "y", "body": " "}, ROWS[1]]
    )
    done = score(predictor, file, tmp_path / "out.parquet", COLUMNS, version="v3")
    assert (done.rows, done.answered) == (6, 2)
    assert done.first_fault.startswith("a.jsonl:2: not JSON")
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["answer"] is None for row in table] == [False, True, True, True, True, False]
    assert table[3]["fault"] == "body: expected a text, found None"
    assert table[3]["key"] == "x"


def test_a_line_of_csv_with_another_number_of_cells_is_told(predictor: Predictor, tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", [ROWS[0], "x,a,b,c", "y", ROWS[1]])
    score(predictor, file, tmp_path / "out.parquet", COLUMNS, version="v3")
    faults = pq.read_table(tmp_path / "out.parquet")["fault"].to_pylist()
    assert faults == [None, "expected 3 cells, found 4", "expected 3 cells, found 1", None]


def test_a_row_is_numbered_by_the_line_where_it_begins(predictor: Predictor, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('id,body,other\n1,"two\nlines",x\n\n2,one,x\n')
    score(predictor, file, tmp_path / "csv.parquet", COLUMNS, version="v3")
    assert pq.read_table(tmp_path / "csv.parquet")["row"].to_pylist() == [2, 5]
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"body": "one"}\n\n{"body": "three"}\n')
    score(predictor, lines, tmp_path / "lines.parquet", COLUMNS, version="v3")
    assert pq.read_table(tmp_path / "lines.parquet")["row"].to_pylist() == [1, 3]


def test_a_folder_is_its_files_by_name_and_an_answer_can_be_cut(predictor: Predictor, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder / "b.jsonl", ROWS[:2])
    write(folder / "a.csv", ROWS[2:3])
    (folder / "readme.txt").write_text("no rows")
    score(predictor, folder, tmp_path / "out.parquet", COLUMNS, version="v3", most=1)
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(row["source_file"], row["row"]) for row in table] == [
        ("a.csv", 2),
        ("b.jsonl", 1),
        ("b.jsonl", 2),
    ]
    assert all(len(json.loads(row["answer"])["scores"]) == 1 for row in table)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"id,text\n1,x\n", "lacks columns"),
        ("a.parquet", b"PAR1 no", "cannot be read"),
        ("a.jsonl", b'{"id": "1", "body": "\xff"}\n', "cannot be read"),
        ("a.csv.gz", gzip.compress(b"id,body\n" + b"1,x\n" * 1000, mtime=0)[:-9], "cannot be read"),
        ("a.txt", b"x", "of this kind"),
    ],
)
def test_a_file_that_cannot_be_read_leaves_no_table(
    name: str, content: bytes, message: str, predictor: Predictor, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        score(predictor, tmp_path / name, tmp_path / "out.parquet", COLUMNS, version="v3")
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_table_that_is_there_is_never_written_over(predictor: Predictor, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", ROWS)
    target = tmp_path / "out.parquet"
    score(predictor, file, target, COLUMNS, version="v3")
    before = target.read_bytes()
    with pytest.raises(ConfigurationError, match="there is a file already"):
        score(predictor, file, target, COLUMNS, version="v4")
    assert target.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "problem", "remedy"),
    [
        ("out.csv", "the answers are written as Parquet", "name it out.parquet"),
        ("out", "the answers are written as Parquet", "name it out.parquet"),
        ("none/out.parquet", "there is no such folder", "none, or name another"),
    ],
)
def test_a_table_that_cannot_be_written_says_why(
    predictor: Predictor, tmp_path: Path, name: str, problem: str, remedy: str
) -> None:
    file = write(tmp_path / "a.jsonl", ROWS[:1])
    with pytest.raises(ConfigurationError, match=problem) as caught:
        score(predictor, file, tmp_path / name, COLUMNS, version="v3")
    assert remedy in caught.value.remedy
    assert caught.value.where == f"--to {tmp_path / name}"


def test_labels_below_a_threshold_are_held_back(predictor: Predictor, tmp_path: Path) -> None:
    rows = [{"id": "a", "body": LABELS[0]}, {"id": "b", "body": "nothing that it knows"}]
    source = write(tmp_path / "a.jsonl", rows)
    score(predictor, source, tmp_path / "out.parquet", COLUMNS, version="v1", below=0.5)
    answers = [json.loads(row) for row in pq.read_table(tmp_path / "out.parquet")["answer"].to_pylist()]
    assert [answer["label"] for answer in answers] == [LABELS[0], None]
    assert answers[1]["abstained"]


def test_the_main_part_of_an_answer_stands_in_columns(predictor: Predictor, tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [ROWS[0], "{broken", ROWS[1]])
    score(predictor, file, tmp_path / "out.parquet", COLUMNS, version="v3", most=1)
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    for row in rows:
        answer = json.loads(row["answer"] or "{}")
        assert (row["label"], row["score"]) == (answer.get("label"), answer.get("score"))
        assert (row["value"], row["generated"]) == (None, None)
    assert [row["label"] is None for row in rows] == [False, True, False]


def test_answers_that_are_held_back_are_not_counted_as_answered(predictor: Predictor, tmp_path: Path) -> None:
    file, out = write(tmp_path / "a.jsonl", [*ROWS[:4], "{broken"]), tmp_path / "out.parquet"
    done = score(predictor, file, out, COLUMNS, version="v3", below=0.999999)
    assert (done.rows, done.answered, done.abstained, done.not_asked) == (5, 0, 4, 1)
    assert done.sentence("v3").startswith("0 of 5 rows answered by v3, 4 held back as unsure, ")
    assert done.asked / done.seconds == pytest.approx(done.rate)
    rows = pq.read_table(out).to_pylist()
    assert sum(row["label"] is None and row["fault"] is None for row in rows) == 4


@pytest.mark.parametrize("kind", TASKS)
def test_every_task_fills_columns_that_the_table_has(kind: str) -> None:
    answer = answer_type(kind)
    for example in answer.model_json_schema()["examples"]:
        plain = answer.model_validate(example).plain
        assert plain
        assert set(plain) <= set(PLAIN.names)
        pa.RecordBatch.from_pylist([dict(plain)], schema=PLAIN)
