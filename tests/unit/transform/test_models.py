"""Where the models of a loop come from, and what says that they are the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from lakeloop.durable import digest_folder
from lakeloop.errors import ConfigurationError
from lakeloop.lake.tables import mart_schema
from lakeloop.spec.loop import LoopSpec
from lakeloop.transform import models
from lakeloop.transform.models import lacking, models_of, own_folder, project_digest, runnable, take_over
from tests.support.beside import beside_loop
from tests.support.dbt_project import write_dbt_project
from tests.support.number_loop import number_loop
from tests.support.small_loop import small_loop

TYPES = {
    "string": "varchar",
    "double": "double",
    "int64": "bigint",
    "timestamp[us, tz=UTC]": "timestamp with time zone",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project with the models of another loop."""
    return write_dbt_project(tmp_path / "dbt", "other")


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Templates of a later version, which somebody may still change."""
    folder = tmp_path / "templates"
    shutil.copytree(Path(str(models.TEMPLATES)), folder)
    monkeypatch.setattr(models, "TEMPLATES", folder)
    return folder


def digest(project: Path, loop: LoopSpec | None = None) -> str:
    return project_digest(project, models_of(project, loop or small_loop()))


@pytest.mark.parametrize(
    "loop",
    [small_loop(), number_loop(), beside_loop()],
    ids=["text to class", "text to number", "with columns beside"],
)
def test_the_contract_of_generated_models_is_the_lakes_table(project: Path, loop: LoopSpec) -> None:
    generated = models_of(project, loop)
    assert generated.generated
    for part in ("staging/stg", "marts/mart"):
        text = generated.files[f"{loop.name}/{part}_{loop.name}.yml"]
        (model,) = yaml.safe_load(text)["models"]
        assert "Grain: one row for each" in " ".join(model["description"].split())
        assert {column["name"]: column["data_type"] for column in model["columns"]} == {
            field.name: TYPES[str(field.type)] for field in mart_schema(loop)
        }


def test_generated_models_are_made_beside_the_project_and_nothing_is_written_there(
    project: Path, tmp_path: Path
) -> None:
    before = sorted(project.rglob("*"))
    made = runnable(project, models_of(project, small_loop()), (), tmp_path / "made")
    assert sorted(path.name for path in (made / "models").iterdir()) == ["small"]
    assert (made / "macros/texts.sql").read_bytes() == (project / "macros/texts.sql").read_bytes()
    assert {path.name for path in made.iterdir()} == {path.name for path in project.iterdir()}
    assert sorted(project.rglob("*")) == before


def test_models_of_its_own_are_taken_where_a_loop_has_some_without_those_of_others(
    project: Path, tmp_path: Path
) -> None:
    write_dbt_project(project, "small", mart="select 1\n")
    half, shared = project / "models/half/stg_half.sql", project / "models/shared/dates.sql"
    for path in (half, shared):
        path.parent.mkdir()
        path.write_text("select 2")
    found = models_of(project, small_loop())
    assert not found.generated
    assert found.files["small/marts/mart_small.sql"] == b"select 1\n"
    made = runnable(project, found, ("half", "small"), tmp_path / "made")
    assert {path.name for path in (made / "models").iterdir()} == {"shared", "small"}
    assert (made / "models/small/marts/mart_small.sql").read_text() == "select 1\n"


def test_a_folder_with_nothing_for_dbt_holds_no_models(project: Path) -> None:
    (project / "models/small").mkdir()
    (project / "models/small/.gitkeep").touch()
    assert models_of(project, small_loop()).generated
    assert own_folder(project, "small") is None
    assert own_folder(project, "other") == project / "models/other"


def test_the_digest_is_of_the_loops_own_models_and_the_shared_macros(project: Path) -> None:
    write_dbt_project(project)
    before = digest(project)
    assert digest_folder(project / "models", "small/**/*") == models._digest(
        models_of(project, small_loop()).files
    ), "as versions before made it: their days are not done again"
    write_dbt_project(project, "another")
    assert digest(project) == before
    write_dbt_project(project, mart="select 1")
    assert digest(project) != before
    write_dbt_project(project)
    assert digest(project) == before
    (project / "macros/texts.sql").write_text("")
    assert digest(project) != before


def test_the_digest_covers_the_generated_text(project: Path, newer: Path) -> None:
    before = digest(project)
    assert digest(project, number_loop(name="small")) != before
    (newer / "mart.sql").write_text((newer / "mart.sql").read_text() + "-- newer\n")
    assert digest(project) != before


def test_taking_models_over_changes_nothing_until_somebody_does(project: Path, newer: Path) -> None:
    before = digest(project)
    written = take_over(project, small_loop())
    assert sorted(written) == sorted(path for path in (project / "models/small").rglob("*.*"))
    assert not models_of(project, small_loop()).generated
    assert digest(project) == before
    (newer / "mart.sql").write_text("select 1\n")
    assert digest(project) == before, "no upgrade reaches them"
    mart = project / "models/small/marts/mart_small.sql"
    mart.write_text(mart.read_text() + "-- mine\n")
    assert digest(project) != before


def test_models_are_not_written_over(project: Path) -> None:
    write_dbt_project(project, "small")
    before = {path: path.read_bytes() for path in project.rglob("*.*")}
    with pytest.raises(ConfigurationError, match="of its own already") as caught:
        take_over(project, small_loop())
    assert caught.value.where == str(project / "models/small")
    assert {path: path.read_bytes() for path in project.rglob("*.*")} == before


def test_columns_that_the_contract_lacks_are_named(project: Path) -> None:
    assert lacking(project, small_loop()) == ()
    write_dbt_project(project, "small")
    assert lacking(project, small_loop()) == ()
    assert lacking(project, number_loop(name="small")) == ("target",)
    write_dbt_project(project, "small", yml="models: {{{{ whatever dbt makes of it }}}}\n")
    assert lacking(project, number_loop(name="small")) == ()


def test_what_is_read_beside_the_text_tells_rows_apart() -> None:
    """Rows of one text and other numbers are no repeats, and may fall on both sides of the split."""
    (line,) = (
        text for name, text in models.generated(beside_loop()).items() if name.endswith("stg_beside.sql")
    )
    assert b"beside=['text_pair', 'feature_amount', 'feature_plan']" in line
    for loop in (small_loop(), number_loop()):
        assert not any(b"beside" in text for text in models.generated(loop).values()), "yesterday's digest"
