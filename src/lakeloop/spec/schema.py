"""The JSON schema of a loop file, made from the models, for editors that complete and check YAML.

It is a copy: the models decide. Rules between fields are not in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec

SCHEMA_FILE = "loop.schema.json"


def schema_path(settings: Settings) -> Path:
    """Beside the loops, so that a loop file names it as ../loop.schema.json."""
    return settings.loops / SCHEMA_FILE


def loop_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**dialect, **LoopSpec.model_json_schema(), "title": "Lakeloop loop file"}


def schema_text() -> str:
    """The schema as it is written to the file: equal models give equal bytes."""
    return json.dumps(loop_schema(), indent=2, ensure_ascii=False) + "\n"
