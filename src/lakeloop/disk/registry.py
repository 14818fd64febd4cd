"""The one list of kinds of things on the disk."""

from __future__ import annotations

from lakeloop.disk.base import Kind
from lakeloop.disk.kinds import (
    cache,
    checkpoints,
    days,
    jobs,
    logs,
    models,
    notes,
    pieces,
    scratch,
    served,
    staying,
    temporary,
    wandb,
)

KINDS: tuple[Kind, ...] = (
    models.KIND,
    models.VERSIONS,
    jobs.KIND,
    checkpoints.KIND,
    days.KIND,
    notes.KIND,
    pieces.KIND,
    served.KIND,
    cache.KIND,
    wandb.KIND,
    logs.KIND,
    scratch.KIND,
    temporary.KIND,
    staying.TABLES,
    staying.SPOOLS,
    staying.JOURNALS,
    staying.PAGES,
    staying.DROPS,
    staying.BOARDS,
    staying.STUDIES,
    staying.AIRFLOW,
)
