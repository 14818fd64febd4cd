"""What stands beside generated models and builds nothing: exposures and unit tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lakeloop.spec.loop import LoopSpec
from lakeloop.transform.described import builds_nothing, described
from lakeloop.transform.models import models_of, page_digest, project_digest
from tests.support.beside import beside_loop
from tests.support.dbt_project import write_dbt_project
from tests.support.number_loop import number_loop
from tests.support.small_loop import small_loop


def task(*labels: str) -> dict[str, Any]:
    return {"text": "text", "label": "label", "labels": labels}


@pytest.mark.parametrize("loop", [small_loop(), number_loop(), beside_loop()], ids=lambda loop: loop.name)
def test_a_loop_names_its_rows_and_its_model_and_tests_both_models(loop: LoopSpec) -> None:
    files = {name: yaml.safe_load(content) for name, content in described(loop).items()}
    exposures = files["exposures.yml"]["exposures"]
    assert [one["name"] for one in exposures] == [f"{loop.name}_training_rows", f"{loop.name}_model"]
    assert {one["depends_on"][0] for one in exposures} == {f"ref('mart_{loop.name}')"}
    tested = {test["model"] for test in files["unit_tests.yml"]["unit_tests"]}
    assert tested == {f"stg_{loop.name}", f"mart_{loop.name}"}
    assert all(map(builds_nothing, described(loop).values()))


def test_answers_are_named_and_no_template_to_dbt() -> None:
    loop = small_loop(task=task("{{ ref('x') }}", *(f"answer {n}" for n in range(300))))
    (*_, model) = yaml.safe_load(described(loop)["exposures.yml"])["exposures"]
    assert "301 answers: {% raw %}`{{ ref('x') }}`, `answer 0`" in model["description"]
    assert model["description"].endswith("`answer 198`{% endraw %} and 101 more.")


def test_other_answers_are_another_page_and_no_other_models(tmp_path: Path) -> None:
    project = write_dbt_project(tmp_path, "other")
    one, other = (models_of(project, small_loop(task=task("a", last))) for last in ("b", "c"))
    assert project_digest(project, one) == project_digest(project, other)
    assert page_digest(project, one) != page_digest(project, other)


@pytest.mark.parametrize(
    "content",
    [b"models: []\nexposures: []", b"exposures: [", b"- exposures:", b"select 'unit_tests:'", b"sources: []"],
)
def test_a_file_that_says_more_counts(content: bytes) -> None:
    assert not builds_nothing(content)
