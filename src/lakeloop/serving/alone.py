"""One model in one folder behind HTTP, without a lake: `python -m lakeloop.serving.alone`, as in exports.

It answers `POST /v1/predict` and `GET /healthz` as the model server does, without the bounds, the log and the
switching of versions of that one: put it behind something that authenticates and bounds slow clients.

MODEL is the folder of the artifact, HOST and PORT where it listens, TEXTS how many texts a request may have.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException

from lakeloop.artifact import MANIFEST
from lakeloop.errors import ConfigurationError, LakeloopError
from lakeloop.inference.predictor import Predictor
from lakeloop.serving.messages import PredictRequest


def app_of(predictor: Predictor, texts: int = 128) -> FastAPI:
    """The application that answers with `predictor`, at most so many `texts` a request."""
    app = FastAPI(title=predictor.description.loop)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok", "model_digest": predictor.digest}

    @app.post("/v1/predict")
    def predict(request: PredictRequest) -> dict[str, Any]:
        rows = request.rows
        if len(rows) > texts:
            raise HTTPException(413, f"expected at most {texts} texts, found {len(rows)}")
        for number, row in enumerate(rows):
            for name, expected, found in predictor.description.reads.faults(row):
                raise HTTPException(422, f"row {number}, {name}: expected {expected}, found {found}")
        answers = predictor.predict(rows)
        if request.top_k is not None:
            answers = [answer.cut(request.top_k) for answer in answers]
        told = [answer.model_dump(mode="json") for answer in answers]
        return {"model_digest": predictor.digest, "predictions": told}

    return app


def model_of(folder: Path) -> Predictor:
    """The model in `folder`.

    Raises:
        ConfigurationError: there is no such folder; names those beside it that have a model.
        ArtifactError: the folder has no whole model.
    """
    if not folder.is_dir():
        near = sorted(each.parent.name for each in folder.absolute().parent.glob(f"*/{MANIFEST}"))
        raise ConfigurationError(
            "no such folder",
            where=f"MODEL={folder}",
            expected=f"one of {', '.join(near)}" if near else "the folder of an artifact",
        )
    return Predictor(folder, threads=os.cpu_count() or 1)


def number_of(name: str, usual: int, least: int, most: int) -> int:
    """The whole number from `least` to `most` in the variable `name`; `usual` where it is not set.

    Raises:
        ConfigurationError: the variable has something else.
    """
    said = os.environ.get(name, str(usual))
    if not said.isascii() or not said.isdecimal() or not least <= int(said[:9]) <= most:
        wanted = f"a whole number from {least} to {most}"
        raise ConfigurationError("wrong value", where=f"{name}={said}", expected=wanted)
    return int(said)


def main() -> None:
    given = os.environ.get
    try:
        predictor = model_of(Path(given("MODEL", "artifact")))
        texts, port = number_of("TEXTS", 128, 1, 1_000_000), number_of("PORT", 8100, 0, 65_535)
    except LakeloopError as error:
        sys.stderr.write(f"{'; '.join(map(str.strip, str(error).splitlines()))}\n")
        sys.exit(error.exit_code)
    uvicorn.run(app_of(predictor, texts), host=given("HOST", "127.0.0.1"), port=port)


if __name__ == "__main__":
    main()
