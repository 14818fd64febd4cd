"""Lakeloop in dbt-duckdb: before a person's dbt opens its file, a day of the lake is put into it.

Named by profile `hand` in profiles.yml of the dbt project.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags
from dbt_common.exceptions import DbtRuntimeError

from lakeloop.errors import LakeloopError
from lakeloop.scratch.duckdb import spill_folder

BUILDS = frozenset({"build", "run", "retry", "clone", "debug"})
"""Commands of dbt that need no models that are built already."""


class Plugin(BasePlugin):  # type: ignore[misc] # dbt is not looked into
    """Says where the file is, and sees to it that the day is in it."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Keep what the profile says: `day`, empty for the newest of each loop."""
        self.day = str(plugin_config.get("day") or "")

    def update_connection_config(self, creds: Any, config: dict[str, Any]) -> None:
        """Called by dbt-duckdb right before it opens the file.

        Raises:
            DbtRuntimeError: there is no such day, or none at all.
        """
        from lakeloop.transform.by_hand import prepare

        flags: Any = get_flags()
        try:
            file = prepare(Path(flags.PROJECT_DIR or "."), self.day, build=flags.WHICH not in BUILDS)
        except LakeloopError as error:
            raise DbtRuntimeError(str(error)) from None
        creds.path = str(file)
        config["temp_directory"] = str(spill_folder(file))
