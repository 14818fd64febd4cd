"""What a training job is told: its config.json."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from lakeloop.errors import ConfigurationError
from lakeloop.records import Frozen, fingerprint
from lakeloop.spec.clean import Clean
from lakeloop.spec.origins import Origin
from lakeloop.spec.tasks import Task
from lakeloop.spec.train import Candidate, Train

_LIBRARIES = ("torch", "transformers", "peft")
"""Those that decide the bits of weights, and what is kept of a training under way."""


class JobConfig(Frozen):
    """What a job is told: all that the loop file says of training, and the folders that the job needs."""

    loop: str
    partition: str
    candidate: Candidate
    train: Train
    task: Task
    clean: Clean
    metric: str
    """Name of the metric that chooses among epochs."""
    origins: dict[str, Origin]
    """Setting of the candidate -> where its value is from."""
    dataset: Path
    """Folder with dataset.json, train.parquet and validation.parquet."""
    base_folder: Path | None
    """Where the base model lies; None when a package carries it."""
    beside: dict[str, Path] = Field(default_factory=dict)
    """What extras read: key below `train` -> its folder."""
    cache: Path
    """Folder for what other jobs can use again: embeddings, graphs of architectures."""
    journals: Path
    stage: str
    """Name of the job's runs in the journals."""
    key: str
    """Tells this work from others of the same stage and partition."""
    trial: bool = False
    """Whether it is a trial of a search: it tells its scores as they come, and may be ended early."""


def read_config(path: Path) -> JobConfig:
    """The config at `path`.

    Raises:
        ConfigurationError: it cannot be read, or a key of it is wrong; names the first.
    """
    try:
        return JobConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError("config cannot be read", where=str(path), found=str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigurationError(
            first["msg"], where=f"{path}: {key}", found=repr(first["input"])[:200]
        ) from None


def key_of(config: JobConfig) -> str:
    """Names the work of a job by what decides its weights, and by the libraries that go on with its state.

    What else the job is told, as its time limit, may be another when it goes on.
    """
    description = config.dataset / "dataset.json"
    return fingerprint(
        work=config.key,
        settings=config.train.settings_of(config.candidate),
        told=config.model_dump(mode="json", include={"task", "clean", "metric"}),
        dataset=description.read_text(errors="replace") if description.is_file() else "",
        libraries={name: importlib.metadata.version(name) for name in _LIBRARIES},
    )


def said_settings(config: JobConfig) -> dict[str, Any]:
    """Every setting that decides the weights -> its value and where that is from."""
    resolved = config.train.settings_of(config.candidate)
    return {key: {"value": value, "origin": config.origins[key]} for key, value in resolved.items()}
