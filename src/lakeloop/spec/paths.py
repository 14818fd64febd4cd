"""Which files a loop file may name: those below the project's root or an allowed data root, nothing else.

A path is judged after `..` and symbolic links are resolved, and judged again each time it is used: a link
can change after the loop file was checked. Reading the files is the business of `lakeloop.sources` and
`training`.
"""

from __future__ import annotations

import os
from pathlib import Path

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.models import PACKAGE_PREFIX, FilesSource, LoopSpec, Train
from lakeloop.spec.problems import quote

_ANY_DAY = "2000-01-01"


def confine(path: str, settings: Settings, where: str) -> Path:
    """The real, absolute path behind `path` (relative to the project's root when it is not absolute).

    Raises:
        ConfigurationError: it leads out of the allowed roots, or is an address and no path.
    """
    roots = allowed_roots(settings)
    if "://" in path or "\0" in path:
        raise ConfigurationError(
            "not a path", where=where, expected="a path of this machine", found=quote(path)
        )
    # Not Path.resolve: it raises RuntimeError on a loop of links.
    real = Path(os.path.realpath(settings.root / path))
    if any(real.is_relative_to(root) for root in roots):
        return real
    raise ConfigurationError(
        "the path leads out of the allowed folders",
        where=where,
        expected="a path below " + " or ".join(str(root) for root in roots),
        found=f"{quote(path)}, which is {quote(str(real), limit=200)}",
        remedy="move the file, or have its folder added to LAKELOOP_DATA_ROOTS",
    )


def allowed_roots(settings: Settings) -> tuple[Path, ...]:
    """The folders that loop files may name files in: the project, then the data roots; links resolved."""
    return tuple(Path(os.path.realpath(root)) for root in (settings.root, *settings.data_roots))


def day_file(source: FilesSource, partition: str, settings: Settings) -> Path:
    """The confined path of the file of one day ("YYYY-MM-DD"); it need not be there.

    Raises:
        ConfigurationError: the path leads out of the allowed roots.
    """
    return confine(source.path.replace("{partition}", partition), settings, "source.path")


def base_model_folder(train: Train, settings: Settings) -> Path | None:
    """The confined folder of the base model; None when an installed package carries it.

    Raises:
        ConfigurationError: the path leads out of the allowed roots.
    """
    if train.base_model.startswith(PACKAGE_PREFIX):
        return None
    return confine(train.base_model, settings, "train.base_model")


def confine_all(loop: LoopSpec, settings: Settings) -> list[ConfigurationError]:
    """One error for each path in `loop` that leads out of the allowed roots; nothing is opened."""
    errors = []
    try:
        base_model_folder(loop.train, settings)
    except ConfigurationError as error:
        errors.append(error)
    if isinstance(loop.source, FilesSource):
        try:
            day_file(loop.source, _ANY_DAY, settings)
        except ConfigurationError as error:
            errors.append(error)
    return errors
