"""The network behind LitServe (https://lightning.ai/docs/litserve): `python lit_server.py MODEL PORT`.

One worker on the CPU, as ours has one lane; its batches on, of at most 32, for which it waits 5 ms.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from network import BATCH, Network  # type: ignore[import-not-found]  # beside this file

litserve: Any = import_module("litserve")


class Api(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:  # noqa: ARG002
        self.network = Network(Path(sys.argv[1]))

    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return str(request["texts"][0])

    def batch(self, inputs: list[str]) -> list[str]:
        return list(inputs)

    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        return list(self.network.answers(texts))

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return {"predictions": [output]}


if __name__ == "__main__":
    api = Api(max_batch_size=BATCH, batch_timeout=0.005)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
