"""What an exported folder needs to answer by itself: a Dockerfile, pinned requirements, and the code.

The package is copied: what answers is what was tried with the model, whatever an index has. The server is
`lakeloop.serving.alone`.
"""

from __future__ import annotations

import platform
import re
import shutil
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

import lakeloop
from lakeloop.artifact import WRITER, open_artifact
from lakeloop.durable import write_atomically

PACKAGE = "package"

_DOCKERFILE = """\
# docker build --tag {name} .  &&  docker run --publish 8100:8100 {name}
# Another folder with a model: docker run --env MODEL=int8 ...
FROM python:{python}-slim
WORKDIR /srv
COPY requirements.txt .
RUN pip install --no-cache-dir --requirement requirements.txt
COPY . .
ENV PYTHONPATH=/srv/package PYTHONUNBUFFERED=1 MODEL=artifact HOST=0.0.0.0
USER 10001
EXPOSE 8100
HEALTHCHECK CMD python -c "from urllib import request; request.urlopen('http://127.0.0.1:8100/healthz')"
CMD ["python", "-m", "lakeloop.serving.alone"]
"""
_RUN = """\
# Answering with this model

Without an image, with Python {python}:

```sh
python -m venv .venv && .venv/bin/pip install --requirement requirements.txt
PYTHONPATH=package MODEL=artifact PORT=8100 .venv/bin/python -m lakeloop.serving.alone
curl http://127.0.0.1:8100/v1/predict --json '{{"texts": ["…"]}}'
```

As an image: `docker build --tag {name} . && docker run --publish 8100:8100 {name}`.

`MODEL` is the folder of the model: `artifact`, or `int8` where there is one (its `check.json` says how
alike it answers). `HOST` and `PORT` are where it listens, `TEXTS` how many texts a request may have.
`GET /healthz` says that it lives. It has none of the bounds, keys and logs of Lakeloop's model server, and
holds nothing back: put it behind something that authenticates.

README.md is the model's card; `transformers/`, where it is there, is the encoder for that library;
`package/` is the code.
"""
_IGNORED = """\
**/__pycache__
transformers
"""


def write_image(folder: Path, artifact: Path) -> None:
    """Write into `folder`, which has `artifact`, what an image is built from that answers with it."""
    description = open_artifact(artifact).description
    extras = ("serve", "generate") if description.engine == WRITER else ("serve",)
    name = f"{description.loop}-model".replace("_", "-")
    python = ".".join(platform.python_version_tuple()[:2])
    write_atomically(folder / "Dockerfile", _DOCKERFILE.format(name=name, python=python))
    write_atomically(folder / "RUN.md", _RUN.format(name=name, python=python))
    write_atomically(folder / ".dockerignore", _IGNORED)
    write_atomically(folder / "requirements.txt", "\n".join(requirements(extras)) + "\n")
    shutil.copytree(
        Path(lakeloop.__file__).parent,
        folder / PACKAGE / "lakeloop",
        ignore=shutil.ignore_patterns("__pycache__"),
    )


def requirements(extras: tuple[str, ...]) -> list[str]:
    """What Lakeloop needs with `extras`, each package with the version that is installed here."""
    found = {}
    for line in requires("lakeloop") or ():
        wanted, _, marker = line.partition(";")
        if not (match := re.match(r"[A-Za-z0-9._-]+", wanted)) or match[0] == "lakeloop":
            continue
        extra = re.search(r"extra == ['\"]([^'\"]+)", marker)
        if extra and extra[1] not in extras:
            continue
        try:
            found[match[0].lower()] = f"{match[0]}=={distribution(match[0]).version}"
        except PackageNotFoundError:  # another machine has to have it: by what is allowed
            found[match[0].lower()] = wanted.strip()
    return sorted(found.values(), key=str.lower)
