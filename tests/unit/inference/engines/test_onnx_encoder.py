"""A network in ONNX answers, and tells nobody that it does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.artifacts import make_artifact
from tests.support.small_loop import LABELS

_ASK = """
import sys
from pathlib import Path
from lakeloop.inference.predictor import Predictor
print(Predictor(Path(sys.argv[1])).predict(["a text"])[0].label)
"""


def test_a_process_that_asks_a_network_keeps_nothing_to_tell_the_makers_of_its_runtime(
    tmp_path: Path,
) -> None:
    artifact = make_artifact(tmp_path / "artifact", LABELS)
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    environment |= {"HOME": str(home), "TMPDIR": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", _ASK, str(artifact.folder)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in LABELS
    assert [path for path in home.rglob("*") if path.is_file()] == []
