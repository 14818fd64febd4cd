"""Repositories of the Hugging Face hub: in the cache of huggingface_hub, or fetched into it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lakeloop.errors import ConfigurationError, ServiceError
from lakeloop.extras import not_installed

HUB = "hub:"
"""Begins what a loop file names of the hub: hub:OWNER/NAME@REVISION."""


ON_THE_HUB = re.compile(r"hub:([\w.-]+/)?[\w.-]+@[\w./-]+")


@dataclass(frozen=True)
class Kind:
    """What a repository holds."""

    repo_type: str
    title: str
    folder: str
    """Where a person would put it by hand."""
    key: str
    """What names it in the loop file, with its section."""
    option: str = ""
    """What `hf download` must be told."""


DATASETS = Kind("dataset", "data set", "data", "source.dataset", " --repo-type dataset")
MODELS = Kind("model", "base model", "models", "train.base_model")


def offline() -> bool:
    """Whether the environment forbids to ask the hub (HF_HUB_OFFLINE)."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return True
    return bool(constants.HF_HUB_OFFLINE)


def snapshot(address: str, kind: Kind, *, fetch: bool, patterns: Sequence[str] | None = None) -> Path:
    """The folder of what is at `address` on this machine; with `fetch` it is fetched where it is not here.

    Of its files, those that match `patterns` (all).

    Raises:
        ConfigurationError: it is not here, and may not or cannot be fetched; says the command that would.
        ServiceError: the hub does not answer.
    """
    name, _, revision = address.removeprefix(HUB).partition("@")
    try:
        from huggingface_hub import constants, errors, snapshot_download
    except ImportError as error:
        raise not_installed("the hub", "huggingface-hub", "hub", where=kind.key, error=error) from error
    try:
        return Path(
            snapshot_download(
                name,
                repo_type=kind.repo_type,
                revision=revision,
                local_files_only=offline() or not fetch,
                allow_patterns=None if patterns is None else list(patterns),
                # Of a model, what lies in folders is for other engines.
                ignore_patterns=None if patterns is None else ["*/*"],
            )
        )
    except errors.LocalEntryNotFoundError as error:
        absent = "the hub cannot be reached" if fetch else "not fetched yet"
        why = "HF_HUB_OFFLINE is set" if offline() else absent
        raise missing(address, kind, f"not in {constants.HF_HUB_CACHE}; {why}") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.GatedRepoError) as error:
        raise missing(address, kind, f"the hub says {type(error).__name__}") from None
    except (errors.HfHubHTTPError, OSError) as error:
        raise ServiceError(
            "the hub does not answer",
            where=address,
            expected="a hub that answers until all files are here",
            found=type(error).__name__,
            remedy="nothing was published; it is tried again",
        ) from None


def missing(address: str, kind: Kind, found: str) -> ConfigurationError:
    """The error that what is at `address` is not here, or not all of it."""
    name, _, revision = address.removeprefix(HUB).partition("@")
    folder = f"{kind.folder}/{name.rpartition('/')[2]}"
    return ConfigurationError(
        f"the {kind.title} is not here",
        where=address,
        expected="one in the cache of huggingface_hub, or a hub that lets us in (HF_TOKEN for private ones)",
        found=found,
        remedy=f"where there is a network: hf download {name}{kind.option} --revision {revision}"
        f" --local-dir {folder}; bring the folder here, and say {kind.key.partition('.')[2]}: {folder}",
    )
