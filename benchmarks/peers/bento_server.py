"""The network behind BentoML (https://docs.bentoml.com): `bentoml serve bento_server:Served`, PEER_MODEL set.

One worker; its adaptive batches on, of at most 32, with its own default for how long they may wait.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from network import BATCH, Network  # type: ignore[import-not-found]  # beside this file

bentoml: Any = import_module("bentoml")


@bentoml.service(workers=1, traffic={"timeout": 60})
class Served:
    def __init__(self) -> None:
        self.network = Network(Path(os.environ["PEER_MODEL"]))

    @bentoml.api(batchable=True, max_batch_size=BATCH)  # type: ignore[untyped-decorator]
    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        return list(self.network.answers(texts))
