"""The JSON schema beside the loops says what the models say."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from lakeloop.settings import get_settings
from lakeloop.spec.reading.document import parse
from lakeloop.spec.schema import loop_schema, schema_path, schema_text


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(loop_schema())
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(loop_schema(), format_checker=checker)


def test_the_committed_schema_is_in_step_with_the_models(root: Path) -> None:
    path = schema_path(get_settings(root=root))
    assert path.read_text() == schema_text(), "the models changed: run `lakeloop schema` and commit the file"


def test_every_loop_file_is_valid_by_the_schema_and_points_at_it(
    root: Path, validator: jsonschema.Draft202012Validator
) -> None:
    files = sorted((root / "loops").glob("*/loop.yaml"))
    assert files
    for file in files:
        text = file.read_text()
        validator.validate(parse(text, str(file)).content)
        directive = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        assert (file.parent / directive).resolve() == schema_path(get_settings(root=root))


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("source", "kind", "packge"),
        ("source", "start", "2026-11-31"),
        ("source", "days", "5"),
        ("task", "labels", ["only one"]),
        ("train", "methd", "lora"),
        ("gate", "max_regression", -1),
    ],
)
def test_the_schema_refuses_what_the_models_refuse(
    root: Path, validator: jsonschema.Draft202012Validator, section: str, key: str, value: object
) -> None:
    content = parse((root / "loops/news/loop.yaml").read_text(), "news").content
    content[section][key] = value
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(content)


def test_the_schema_explains_the_keys_to_editors() -> None:
    schema = loop_schema()
    assert "Texts are cut there" in schema["$defs"]["Train"]["properties"]["max_tokens"]["description"]
