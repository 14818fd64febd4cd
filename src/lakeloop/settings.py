"""Where things are on this installation: paths, the lake's address, the model server, W&B mode.

What a loop does is in its loop file; what differs between a laptop and a cluster is here, and comes
from environment variables (`LAKELOOP_*`). Built where a process starts and passed down.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from pathlib import Path
from typing import Any, Literal, TypeVar, get_origin

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from lakeloop.errors import ConfigurationError
from lakeloop.ports import AIRFLOW_PORT, SERVER_PORT

Kind = TypeVar("Kind", bound=BaseSettings)
log = logging.getLogger(__name__)


def find_root(start: Path | None = None) -> Path:
    """The project's root: the nearest folder from `start` (default: the working folder) up with `loops/`.

    Raises:
        ConfigurationError: there is none.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "loops").is_dir() and (folder / "dbt").is_dir():
            return folder
    raise ConfigurationError(
        "not inside a Lakeloop project",
        where=str(here),
        expected="a folder with loops/ and dbt/, here or above",
        remedy="change into the project, or set LAKELOOP_ROOT",
    )


class Settings(BaseSettings):
    """Resolved settings; every field can be set by the variable LAKELOOP_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="LAKELOOP_", frozen=True, extra="ignore")

    root: Path = Field(default_factory=find_root)
    """Root of the project (holds loops/, dags/, dbt/, training/)."""
    home: Path = Path()
    """Everything made at run time (default: <root>/.lakeloop)."""
    lake: str = ""
    """Root of the lake, a path or `s3://BUCKET/PREFIX` (default: <home>/lake)."""
    cache: Path = Path()
    """What other runs find again: parsed dbt projects, embeddings of texts, graphs of architectures, unpacked
    base models (default: <home>/cache)."""
    loops: Path = Path()
    """Folder of the loop files (default: <root>/loops)."""
    dbt: Path = Path()
    """The dbt project (default: <root>/dbt)."""
    data_roots: tuple[Path, ...] = ()
    """Folders, besides the project's own, that a loop file may read from (JSON list)."""
    storage_options: dict[str, str] = Field(default_factory=dict)
    """Options for a lake on S3, by the names of delta-rs and obstore (JSON object); the variables AWS_* say
    what they do not."""
    server_url: str = f"http://127.0.0.1:{SERVER_PORT}"
    """Where the model server answers."""
    server_link: str = ""
    """Where a person's browser finds it, when that is another address; for links only."""
    serve_keys_file: Path | None = None
    """File with the keys of the model server, a line `NAME: KEY` for each (default: <home>/keys, where there
    is one; else the server has none). What asks the server from here shows the first."""
    airflow_url: str = f"http://127.0.0.1:{AIRFLOW_PORT}"
    """Where Airflow's web UI and API answer."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, besides those of loopback and of the addresses above, under which the servers answer (JSON
    list); "*" is any."""
    plain_http_hosts: tuple[str, ...] = ()
    """Hosts, besides this machine, that sources and the lake may ask over http (JSON list)."""
    training_threads: int = Field(default=0, ge=0)
    """CPU threads of a training process; 0 means all cores."""
    gpu_slots: int = Field(default=1, ge=1)
    """Slots of Airflow's pool `gpu`: how many devices trainings have together that Airflow orders at once."""
    trial_look_seconds: float = Field(default=30.0, ge=1)
    """Between two looks of Airflow's triggerer at a version that is tried, or a question that is open."""
    studies: SecretStr | None = None
    """Address of the PostgreSQL that keeps the trials of searches, for workers on several hosts (default:
    files below <home>/studies)."""
    tensorboard: bool = False
    """Whether the numbers of runs are also written as files of TensorBoard."""
    unpacked_bytes: int = Field(default=64 << 30, ge=1)
    """What a compressed drop may unpack to."""
    unpacked_ratio: int = Field(default=200, ge=1)
    """The same for each of its bytes, beyond the first 64 MB unpacked: text seldom packs 30 to 1."""

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = dict(values)
        root = Path(values.get("root") or find_root()).resolve()
        values["root"] = root
        values["home"] = home = _below(root, values.get("home") or ".lakeloop")
        values["cache"] = _below(root, values.get("cache") or home / "cache")
        lake = str(values.get("lake") or home / "lake")
        values["lake"] = lake if "://" in lake else str(_below(root, lake))
        values["loops"] = _below(root, values.get("loops") or "loops")
        values["dbt"] = _below(root, values.get("dbt") or "dbt")
        keys = values.get("serve_keys_file")
        # Found without a variable, else the next start in another shell would be open to everybody.
        usual = home / "keys"
        values["serve_keys_file"] = _below(root, keys) if keys else usual if usual.exists() else None
        if isinstance(roots := values.get("data_roots"), list | tuple):
            values["data_roots"] = tuple(_below(root, path) for path in roots)
        return values

    @property
    def wandb_mode(self) -> Literal["online", "offline", "disabled"]:
        """Online with an API key, offline without; WANDB_MODE overrides both."""
        mode = os.environ.get("WANDB_MODE", "")
        if mode == "disabled":
            return "disabled"
        if mode in ("online", "offline"):
            return "online" if mode == "online" else "offline"
        return "online" if os.environ.get("WANDB_API_KEY") else "offline"

    def loop_file(self, loop: str) -> Path:
        """Path of the loop file of the loop called `loop`."""
        return self.loops / loop / "loop.yaml"

    def work(self, loop: str, stage: str, partition: str) -> Path:
        """Local folder of one stage of one partition: its record.json, scratch files and job folders."""
        return self.home / "work" / loop / stage / partition

    def docs(self, loop: str) -> Path:
        """Data Docs of a loop."""
        return self.home / "docs" / loop

    def dbt_docs(self, loop: str) -> Path:
        """The page that dbt makes about the models of a loop."""
        return self.home / "dbt-docs" / loop

    def reports(self, loop: str) -> Path:
        """Evaluation reports of a loop."""
        return self.home / "reports" / loop

    @property
    def by_hand(self) -> Path:
        """What a person's dbt works on, who runs it in the dbt project: `lakeloop.transform.by_hand`."""
        return self.home / "dbt-by-hand"

    @property
    def journals(self) -> Path:
        return self.home / "journals"

    @property
    def boards(self) -> Path:
        """Files of TensorBoard, a folder for each loop."""
        return self.home / "tensorboard"

    @property
    def wandb_dir(self) -> Path:
        return self.home / "wandb"


def _below(root: Path, path: str | Path) -> Path:
    """`path`, taken from the root when it is relative: it means the same from every working folder."""
    return (root / Path(path).expanduser()).resolve()


PRIVATE_UMASK = 0o077
"""What is made is for its user alone: the lake, journals, logs, Airflow's database and keys."""


def protect_home(settings: Settings) -> None:
    """Make the home, or close one that others can read; what this process makes after that is private too.

    The mode of the folder itself closes all that is in it. A folder that is not only ours is left as it is:
    one of another user, one that all may write, one that the project lies in.
    """
    os.umask(PRIVATE_UMASK)
    home = settings.home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = home.stat()
    shared = found.st_mode & stat.S_ISVTX or found.st_uid != os.geteuid()
    if found.st_mode & PRIVATE_UMASK and not shared and not settings.root.is_relative_to(home):
        home.chmod(0o700)
        log.info("%s: closed to other users of this machine", home)


def get_settings(**overrides: Any) -> Settings:
    """Settings from the environment, with `overrides` on top.

    Raises:
        ConfigurationError: as `read_settings` does; or the working folder is in no project.
    """
    return read_settings(Settings, **overrides)


def read_settings(kind: type[Kind], **overrides: Any) -> Kind:
    """Settings of a kind from its variables, with `overrides` on top.

    Raises:
        ConfigurationError: a variable has a value that its field does not take; the first such is told.
    """
    try:
        return kind(**overrides)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        name, *inner = (str(part) for part in wrong["loc"])
        expected = wrong["msg"].removeprefix("Input should be ")
        if inner:
            expected = f"{'.'.join(inner)}: {expected}"
        # What stands in JSON may be a key of the storage: of that only its kind is told.
        annotation = kind.model_fields[name].annotation
        plain = annotation in (int, float, str, Path) or get_origin(annotation) is Literal
        found = repr(wrong["input"]) if plain else f"a JSON value of type {type(wrong['input']).__name__}"
        raise _wrong_setting(kind, name, expected, found) from None
    except SettingsError as error:
        # Its words are all it has: `error parsing value for field "data_roots" from source ...`.
        named = re.search(r'field "(\w+)"', str(error))
        field = named[1] if named else "*"
        raise _wrong_setting(kind, field, _json_of(kind, field), str(error.__cause__)) from None


def _json_of(kind: type[BaseSettings], field: str) -> str:
    """What the setting `field` expects, with an example: people write `a:b` where a list is meant."""
    known = kind.model_fields.get(field)
    listed = known is not None and get_origin(known.annotation) is tuple
    return 'a JSON list, such as ["one", "two"]' if listed else 'a JSON object, such as {"name": "value"}'


def _wrong_setting(kind: type[BaseSettings], field: str, expected: str, found: str) -> ConfigurationError:
    variable = f"{kind.model_config['env_prefix']}{field}".upper()
    return ConfigurationError(
        "not a value for this setting",
        where=variable,
        expected=expected,
        found=found,
        remedy=f"set {variable} to one, or unset it",
    )
