"""Which files a loop file may name: those below the project's root or an allowed data root, nothing else.

Not what Lakeloop keeps in its own home, and no file or folder whose name begins with a dot: in such lie keys,
tokens and the history of a repository.

A path is judged after `..` and symbolic links are resolved, and judged again each time it is used: a link
can change after the loop file was checked. Reading the files is the business of `lakeloop.sources` and
`training`.
"""

from __future__ import annotations

import os
import re
from itertools import takewhile
from pathlib import Path, PurePosixPath

from lakeloop.errors import ConfigurationError
from lakeloop.hub import HUB
from lakeloop.settings import Settings
from lakeloop.spec.days import DAY_IN_PATH
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import quote
from lakeloop.spec.source import FilesSource
from lakeloop.spec.train import CHAMPION, PACKAGE_PREFIX, Train

SOURCE_PATH = "source.path"
SQLITE_PATH = "source.sqlite"
TABLE_PATH = "source.table"
DATASET_PATH = "source.dataset"
SCORE_SOURCE = "score.source"
SCORE_TO = "score.to"
_ANY_DAY = "2000-01-01"


def confine(path: str, settings: Settings, where: str) -> Path:
    """The real, absolute path behind `path` (relative to the project's root when it is not absolute).

    Raises:
        ConfigurationError: it leads out of the allowed roots, into Lakeloop's home or to hidden files, or is
            an address and no path.
    """
    roots = allowed_roots(settings)
    if "://" in path or "\0" in path:
        raise ConfigurationError(
            "not a path",
            where=where,
            expected="a path of this machine",
            found=quote(path),
            remedy="have the files copied to a folder of this machine",
        )
    # Not Path.resolve: it raises RuntimeError on a loop of links.
    real = Path(os.path.realpath(settings.root / path))
    around = [root for root in roots if real.is_relative_to(root)]
    if any(_open_to_loops(real, root, settings) for root in around):
        return real
    if around:
        raise ConfigurationError(
            "the path leads to files that are not for loops",
            where=where,
            expected="a path with no name that begins with a dot, and not in Lakeloop's home",
            found=f"{quote(path)}, which is {quote(str(real), limit=200)}",
            remedy="move the file, or have its folder itself added to LAKELOOP_DATA_ROOTS",
        )
    raise ConfigurationError(
        "the path leads out of the allowed folders",
        where=where,
        expected="a path below " + " or ".join(str(root) for root in roots),
        found=f"{quote(path)}, which is {quote(str(real), limit=200)}",
        remedy="move the file, or have its folder added to LAKELOOP_DATA_ROOTS",
    )


def _open_to_loops(real: Path, root: Path, settings: Settings) -> bool:
    """Whether `real`, below `root`, is neither hidden nor ours; what was allowed by name as a root, is."""
    if any(part.startswith(".") for part in real.relative_to(root).parts):
        return False
    home = Path(os.path.realpath(settings.home))
    return root.is_relative_to(home) or not real.is_relative_to(home)


def allowed_roots(settings: Settings) -> tuple[Path, ...]:
    """The folders that loop files may name files in: the project, then the data roots; links resolved."""
    return tuple(Path(os.path.realpath(root)) for root in (settings.root, *settings.data_roots))


def day_file(source: FilesSource, partition: str | None, settings: Settings) -> Path:
    """The confined path of the file of one day ("YYYY-MM-DD", None: of all days); it need not be there.

    Of a path with `*` or `?` it is the folder where these begin: each file is judged when it is found.

    Raises:
        ConfigurationError: the path leads out of the allowed roots.
    """
    path = source.path if partition is None else source.path.replace(DAY_IN_PATH, partition)
    return confine(fixed_part(path), settings, SOURCE_PATH)


def fixed_part(path: str) -> str:
    """`path` up to its first name with `*` or `?` in it; all of it when there is none."""
    names = PurePosixPath(path).parts
    fixed = list(takewhile(lambda name: not re.search(r"[*?]", name), names))
    return path if len(fixed) == len(names) else str(PurePosixPath(*fixed))


def base_model_folder(train: Train, settings: Settings) -> Path | None:
    """The confined folder of the base model; None when the loop file names no folder.

    The files in it may be links, as in a cache of models, to regular files that a loop file may name itself.

    Raises:
        ConfigurationError: its path, or that of a file in it, leads out of the allowed roots; or there is
            something else than files and folders in it.
    """
    if train.base_model == CHAMPION or train.base_model.startswith((PACKAGE_PREFIX, HUB)):
        return None
    where = "train.base_model"
    folder = confine(train.base_model, settings, where)
    try:
        _require_plain(folder, settings, where)
    except OSError as error:
        found = f"{quote(str(folder), limit=200)}: {error.strerror}"
        raise ConfigurationError(
            "cannot read it", where=where, expected="a folder that this user may read", found=found
        ) from None
    return folder


def beside_folder(key: str, path: str, settings: Settings) -> Path:
    """The confined folder that the key `key` of section `train` names.

    Raises:
        ConfigurationError: the path, or that of a file in it, leads out of the allowed roots; or it is none.
    """
    where = f"train.{key}"
    folder = confine(path, settings, where)
    if not folder.is_dir():
        raise ConfigurationError("no such folder", where=where, expected="a folder", found=str(folder))
    _require_plain(folder, settings, where)
    return folder


def _require_plain(folder: Path, settings: Settings, where: str) -> None:
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.name.startswith("."):  # nobody reads them
            continue
        real = confine(str(entry), settings, where) if entry.is_symlink() else entry
        if not real.is_file() and not real.is_dir():
            raise ConfigurationError(
                "not a file of a base model", where=where, expected="a regular file", found=str(entry)
            )


def confine_all(loop: LoopSpec, settings: Settings) -> list[ConfigurationError]:
    """One error for each path in `loop` that may not be read; no file is opened."""
    errors = []
    try:
        base_model_folder(loop.train, settings)
    except ConfigurationError as error:
        errors.append(error)
    beside: dict[str, str | None] = {
        f"train.{key}": path
        for candidate in loop.train.all_candidates
        for key, path in loop.train.folders_for(candidate.method).items()
        if path != CHAMPION
    }
    beside["evaluate.out_of_scope"] = loop.evaluate.out_of_scope
    beside["evaluate.synonyms"] = loop.evaluate.synonyms
    for key, path in beside.items():
        try:
            if path is not None:
                confine(path, settings, key)
        except ConfigurationError as error:
            errors.append(error)
    patterns = {SCORE_SOURCE: loop.score.path, SCORE_TO: loop.score.to}
    for section, source in (("source", loop.source), ("labels", loop.labels)):
        if source and (local := source.local_path):
            patterns[f"{section}.{local[0]}"] = local[1]
    for key, pattern in patterns.items():
        try:
            if pattern is not None:
                confine(fixed_part(pattern.replace(DAY_IN_PATH, _ANY_DAY)), settings, key)
        except ConfigurationError as error:
            errors.append(error)
    return errors
