"""The dbt project as it is shipped: its own unit tests, its contracts, and what its two macros promise."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from lakeloop.settings import get_settings
from lakeloop.spec.clean import Clean
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.load import load_loop
from lakeloop.transform.dbt import build
from tests.support.dbt_project import raw_database, write_dbt_project
from tests.support.small_loop import MART, small_loop

ROOT = Path(__file__).resolve().parents[2]
LOOPS = sorted(path.parent.name for path in (ROOT / "loops").glob("*/loop.yaml"))
TYPES = {"string": "varchar", "int64": "bigint", "timestamp[us, tz=UTC]": "timestamp with time zone"}

TEXTS = [
    "Shares fell.",
    "  Shares\t\n fell ",
    "SHARES FELL!!",
    "Café au lait",
    "Cafe\u0301 au lait",
    'it\'s "quoted", {braced}, 50 % and \\ slashed',
    "line one\r\nline two",
    "\u00a0\u2003wide\u3000spaces\u00a0",
    "नमस्ते दुनिया",
    "東京 2026",
    "Ⅷ and ٣",
    "...",
    "!?",
    "",
    " ",
]


def reference_text(text: str) -> str:
    """Unicode's White_Space, which is not quite what `str.split` takes for space."""
    separators = ("\x1c", "\x1d", "\x1e", "\x1f")
    assert not any(character in text for character in separators)
    return " ".join(unicodedata.normalize("NFC", text).split())


def reference_key(text: str, row_id: str) -> str:
    letters = "".join(c for c in reference_text(text).lower() if unicodedata.category(c)[0] in "LMN")
    return hashlib.sha256((letters or f"row:{row_id}").encode()).hexdigest()[:32]


def built(folder: Path, texts: list[str], clean: Clean) -> dict[str, list[dict[str, Any]]]:
    """Rows of both models over `texts`."""
    loop = small_loop()
    rows = [{"id": str(number), "text": text, "label": "tech"} for number, text in enumerate(texts)]
    database = raw_database(folder, loop, rows)
    build(
        write_dbt_project(folder / "project"),
        database,
        loop=loop.name,
        clean=clean,
        target=folder / "target",
        cache=Path(os.environ["LAKELOOP_CACHE"]) / "dbt",
    )
    with duckdb.connect(str(database), read_only=True) as connection:
        return {
            name: connection.sql(f"select * from {name} order by source_line").to_arrow_table().to_pylist()
            for name in ("stg_small", "mart_small")
        }


def shipped(loop: str) -> LoopSpec:
    settings = get_settings(root=ROOT)
    return load_loop(settings.loop_file(loop), settings)


def described(loop: str) -> dict[str, Any]:
    files = sorted((ROOT / "dbt/models" / loop).rglob("*.yml"))
    models = [model for file in files for model in yaml.safe_load(file.read_text()).get("models", ())]
    return {model["name"]: model for model in models}


@pytest.mark.slow
def test_the_unit_tests_of_every_loop_pass(tmp_path: Path) -> None:
    from dbt.cli.main import dbtRunner

    for loop in LOOPS:
        database = raw_database(tmp_path / loop, shipped(loop), [])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LAKELOOP_DUCKDB", str(database))
            arguments = ["--project-dir", f"{ROOT}/dbt", "--profiles-dir", f"{ROOT}/dbt", "--quiet"]
            folders = ["--target-path", f"{tmp_path}/target", "--log-path", f"{tmp_path}/logs"]
            outcome: Any = dbtRunner().invoke(
                ["build", *arguments, *folders, "--no-partial-parse", "--select", f"path:models/{loop}"]
            )
        assert outcome.success, outcome.exception or [result.message for result in outcome.result]
        unit_tests = [r for r in outcome.result if str(r.node.resource_type) == "unit_test"]
        assert len(unit_tests) >= 2, f"models/{loop} has unit tests for its two models"


def test_there_are_loops_and_each_has_its_two_models() -> None:
    assert LOOPS
    for loop in LOOPS:
        assert set(described(loop)) >= {f"stg_{loop}", f"mart_{loop}"}


@pytest.mark.parametrize("loop", LOOPS)
def test_the_contract_of_the_mart_is_the_lakes_table(loop: str) -> None:
    columns = described(loop)[f"mart_{loop}"]["columns"]
    assert {column["name"]: column["data_type"] for column in columns} == {
        field.name: TYPES[str(field.type)] for field in MART
    }


@pytest.mark.parametrize("loop", LOOPS)
def test_every_description_says_the_grain(loop: str) -> None:
    for name, model in described(loop).items():
        assert "Grain: one row for each" in " ".join(model["description"].split()), name


def test_every_contract_is_enforced() -> None:
    project = yaml.safe_load((ROOT / "dbt/dbt_project.yml").read_text())
    assert project["models"]["lakeloop"]["+contract"] == {"enforced": True}
    assert project["flags"]["send_anonymous_usage_stats"] is False


@pytest.mark.slow
def test_texts_are_normalised_and_keyed_as_documented(tmp_path: Path) -> None:
    models = built(tmp_path, TEXTS, Clean())
    rows = models["stg_small"]
    assert [row["text"] for row in rows] == [reference_text(text) for text in TEXTS]
    assert [row["text_key"] for row in rows] == [
        reference_key(text, str(number)) for number, text in enumerate(TEXTS)
    ]
    assert models["mart_small"] == rows, "every row is kept for the judge, through the macro of before too"


@pytest.mark.slow
def test_both_steps_can_be_switched_off(tmp_path: Path) -> None:
    models = built(tmp_path, TEXTS, Clean(normalise=False, drop_near_duplicates=False))
    assert [row["text"] for row in models["mart_small"]] == TEXTS
