"""What the log keeps of a text: all, all but what identifies a person, or its hash; on the disk already."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.cleaning.personal.registry import hidden
from lakeloop.serving.log.keeping import kept, kept_id
from lakeloop.serving.log.predictions import Answered, PredictionLog
from lakeloop.serving.log.spool import Spool
from lakeloop.serving.metrics import LoopMetrics
from lakeloop.spec.release import Kept
from lakeloop.tasks.base import Answer
from lakeloop.tasks.generation import Generated
from lakeloop.tasks.reading import Instance
from lakeloop.tasks.token_classification import Entities, Entity

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRETS = (
    "ann.o'hara+news@mail.example.co.uk",
    "4111 1111 1111 1111",
    "5500-0000-0000-0004",
    "378282246310005",
    "DE89 3704 0044 0532 0130 00",
    "gb82WEST12345698765432",
    "+49 30 901820",
    "+1 (415) 555-2671",
    "0044 20 7946 0958",
    "(030) 1234567-8",
    "415-555-2671",
    "078-05-1120",
    "192.168.17.254",
    "2001:db8::8a2e:370:7334",
)
PLAIN = (
    "Order 48213377 of 2026-11-29 at 10:12:30 came to 1,249.90 euros, 0.123456789 of it tax.",
    "Version 3.11.2 has 123 tests in 04.05.2026 11 rooms; see std::vector and page 1234567.",
    "I have 3 cards and 12 accounts, DE is a country, a@b is none and @home neither.",
    "1111111111111112",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_what_identifies_a_person_is_masked_and_nothing_beside_it(secret: str) -> None:
    before, after = "My number is ", " and please call me, thanks."
    written = hidden(before + secret + after)

    assert written.startswith(before)
    assert written.endswith(after)
    assert len(written) == len(before + secret + after)
    assert not any(each.isalnum() for each in written[len(before) : -len(after)])
    assert hidden(written) == written


@pytest.mark.parametrize("text", PLAIN)
def test_other_numbers_stay(text: str) -> None:
    assert hidden(text) == text


@pytest.mark.parametrize("piece", ["a@", "1 ", "1.", "+0", "AB12 3456 ", "f:", "x.y-@a.", "0" * 40 + " "])
def test_a_hostile_text_costs_no_more_than_its_length(piece: str) -> None:
    began = time.process_time()
    hidden(piece * (50_000 // len(piece)))

    assert time.process_time() - began < 2


def test_a_hash_leaves_no_text_and_nothing_beside_it() -> None:
    row = Instance("call 415-555-2671", "again", {"age": 41})
    columns = kept(row, Generated(text="call Ann", tokens=3, finished=True), "hash")

    assert (columns["text"], columns["beside"]) == (None, None)
    assert columns["text_sha256"] == sha256(row.text.encode()).hexdigest()
    assert Generated.model_validate_json(columns["answer"]) == Generated(
        text="#### ###", tokens=3, finished=True
    )


def test_a_mask_goes_over_all_that_tells_of_the_text() -> None:
    row = Instance("Ann, 415-555-2671", "ann@example.org", {"from": "ann@example.org", "age": 41})
    found = [Entity(start=5, end=17, label="phone", text="415-555-2671", score=1), _entity(0, 3, "Ann")]
    columns = kept(row, Entities(entities=found), "mask")

    assert columns["text"] == "Ann, ###-###-####"
    assert columns["text_sha256"] == sha256(columns["text"].encode()).hexdigest()
    assert columns["beside"] == (
        '{"text_pair": "###@#######.###", "features": {"from": "###@#######.###", "age": 41}}'
    )
    told = Entities.model_validate_json(columns["answer"])
    assert [each.text for each in told.entities] == ["###-###-####", "Ann"]


@pytest.mark.parametrize("how", ["mask", "hash"])
def test_the_id_of_a_request_is_masked_where_a_client_says_who_it_is(how: Kept) -> None:
    assert kept_id("ann@example.org", how) == "###@#######.###"
    assert kept_id("order-7", how) == "order-7"
    for made_up in ("5f3c4532-0151-1283-0366-d1e2a3b4c5d6", "45320151128303664532015112830366"):
        assert kept_id(made_up, how) == made_up, "chance made its digits"
    assert kept_id("ann@example.org", "text") == "ann@example.org"


@pytest.mark.parametrize("keep", ["mask", "hash"])
def test_what_is_not_kept_is_not_on_the_disk_either(
    tmp_path: Path, loop_metrics: LoopMetrics, keep: Kept
) -> None:
    tables: list[pa.Table] = []
    spool = Spool(tmp_path, batch_rows=100, backlog_bytes=1 << 20)
    log = PredictionLog(spool, lambda rows, _: tables.append(rows), loop_metrics, flush_seconds=1, keep=keep)
    answer: Answer = Entities(entities=[_entity(10, 25, "ann@example.org")])
    log.record(
        Answered("r1-bob@example.org", DAY, "v1", [Instance("I am Ann, ann@example.org")], [answer], 1.5)
    )

    on_disk = b"".join(each.read_bytes() for each in tmp_path.rglob("*.jsonl"))
    assert b"##-###@" in on_disk
    assert b"example" not in on_disk
    log.flush()
    (row,) = tables[0].to_pylist()
    assert row["text"] == (None if keep == "hash" else "I am Ann, ###@#######.###")


def _entity(start: int, end: int, text: str) -> Entity:
    return Entity(start=start, end=end, label="name", text=text, score=0.5)
