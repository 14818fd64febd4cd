"""One model in one folder behind HTTP, without a lake: `python -m lakeloop.serving.alone`, as in exports.

It answers `POST /v1/predict` and `GET /healthz` as the model server does, without the bounds, the log and the
switching of versions of that one: put it behind something that authenticates and bounds slow clients.

MODEL is the folder of the artifact, HOST and PORT where it listens, TEXTS how many texts a request may have.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException

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


def main() -> None:
    given = os.environ.get
    predictor = Predictor(Path(given("MODEL", "artifact")), threads=os.cpu_count() or 1)
    app = app_of(predictor, int(given("TEXTS", "128")))
    uvicorn.run(app, host=given("HOST", "127.0.0.1"), port=int(given("PORT", "8100")))


if __name__ == "__main__":
    main()
