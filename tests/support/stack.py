"""A real Airflow and a real model server on free ports, with the loop `news` made small."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lakeloop.attempt import Attempt
from lakeloop.local import stack as local_stack
from lakeloop.local.airflow_api import AirflowApi
from lakeloop.local.airflow_env import free_port
from lakeloop.local.state import Stack
from lakeloop.settings import Settings, get_settings
from lakeloop.spec.reading.load import load_loop
from lakeloop.stages.frame.session import StageContext
from tests.support.arriving import days as arriving_days
from tests.support.arriving import write_arriving
from tests.support.valence import far_from_now, write_valence

log = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
ARRIVING_DAYS = 4
"""Of the loop `arriving`: before trainings waited for days, a backfill of them started three or four."""


@dataclass(frozen=True)
class RunningStack:
    """What a test needs of it."""

    settings: Settings
    stack: Stack
    partitions: tuple[str, ...]

    @property
    def context(self) -> StageContext:
        return self.context_of("news")

    def context_of(self, loop: str) -> StageContext:
        return StageContext.open(loop, self.settings, Attempt.local())

    def api(self) -> AirflowApi:
        return AirflowApi(self.stack.airflow_url)


def small_news(folder: Path, **changes: dict[str, Any]) -> Path:
    """A folder of loop files with `news` cut to two days and a training of seconds; `changes` by section."""
    spec = yaml.safe_load((ROOT / "loops/news/loop.yaml").read_text())
    spec["source"].update(days=2, limit=400)
    spec["checks"].update(min_rows=20, max_quarantined_share=0.3)
    spec["train"].update(max_tokens=32, epochs=1, min_rows=200, min_new_rows=50)
    spec["gate"] = {"min_score": 0.6, "max_regression": 0.05}
    spec["schedule"] = {"cron": far_from_now()}
    for section, values in changes.items():
        spec.setdefault(section, {}).update(values)
    path = folder / "loops/news/loop.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder / "loops"


def own_dbt(folder: Path) -> Path:
    """The project's dbt folder, copied, so that loops of the test can have models of their own."""
    ignored = shutil.ignore_patterns("target", "logs")
    return Path(shutil.copytree(ROOT / "dbt", folder / "dbt", ignore=ignored, dirs_exist_ok=True))


@contextmanager
def running_stack(folder: Path) -> Iterator[RunningStack]:
    ports = free_port(), free_port()
    settings = get_settings(
        root=ROOT,
        home=folder / "home",
        loops=small_news(
            folder,
            score={
                "source": "mart",
                "when": ["champion"],
                "to": f"{folder}/data/answers/{{partition}}.parquet",
            },
        ),
        dbt=own_dbt(folder),
        data_roots=(folder / "data",),
        airflow_url=f"http://127.0.0.1:{ports[0]}",
        server_url=f"http://127.0.0.1:{ports[1]}",
        trial_look_seconds=2,
    )
    write_valence(settings, folder / "data")
    write_arriving(settings, folder / "data/arriving", arriving_days(ARRIVING_DAYS))
    loop = load_loop(settings.loop_file("news"), settings)
    stack = local_stack.start(settings, say=log.info, ports=ports)
    try:
        yield RunningStack(settings, stack, loop.source.partitions)  # type: ignore[union-attr]
    finally:
        local_stack.stop(settings)
