"""Lakeloop in dbt itself: before dbt reads the project by hand, generated models are put into it.

dbt asks each installed module whose name begins with `dbt_` for its plugins, in any project; in one that is
not Lakeloop's this does nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dbt.flags import get_flags
from dbt.plugins.manager import dbtPlugin

PROJECT = "lakeloop"
"""Name of the dbt project."""


class GeneratedModels(dbtPlugin):  # type: ignore[misc] # dbt is not looked into
    """Puts them there when a person runs dbt in the project; in a stage they are where they belong."""

    def initialize(self) -> None:
        """Called by dbt between reading dbt_project.yml and the models."""
        if self.project_name != PROJECT or os.environ.get("LAKELOOP_DUCKDB"):
            return
        from lakeloop.transform.by_hand import put_generated

        flags: Any = get_flags()
        put_generated(Path(flags.PROJECT_DIR or "."))


plugins = [GeneratedModels]
