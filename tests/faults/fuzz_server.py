"""Requests made from the server's own OpenAPI document, right and wrong ones: none may be a server error.

    python -m tests.faults.fuzz_server [--examples 300] [--seed 17]

schemathesis asks a real server of two loops. Each answer is below 500 and as the document says. Checks of
which requests are refused are left out: our 413, 415 and 422 say more than a schema can (the texts of a loop,
limits that are settings). Prints what schemathesis says, and how many requests the server counted by status;
ends with 1 when something was found.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import httpx

from tests.support.serving import ServerProcess, add_numbers, open_project, promote

CHECKS = "not_a_server_error,response_schema_conformance"


def fuzz(root: Path, examples: int, seed: int) -> tuple[int, str, Counter[int]]:
    """Exit status and words of schemathesis, and how many requests had each status.

    A project is made in `root`; `examples` are those of each operation.
    """
    context = open_project(root)
    promote(context, 1)
    promote(add_numbers(context), 1)
    server = ServerProcess.start(context.settings, loops=())
    try:
        server.await_answer("/readyz")
        server.await_answer("/v1/loops/stars/model")
        server.await_answer("/v1/loops/news/model")
        before = statuses(server)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json"),
                *("--checks", CHECKS, "--max-examples", str(examples), "--seed", str(seed)),
                *("--no-color", "--generation-database", "none", "--request-timeout", "20"),
            ],
            check=False,
            cwd=root,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr, statuses(server) - before
    finally:
        server.kill()


def statuses(server: ServerProcess) -> Counter[int]:
    """How many requests the server has answered with each status."""
    found: Counter[int] = Counter()
    line = r'^lakeloop_requests_total\{code="(\d+)".*\} (\S+)$'
    for code, count in re.findall(line, httpx.get(f"{server.url}/metrics").text, re.MULTILINE):
        found[int(code)] += int(float(count))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--examples", type=int, default=300, help="of each operation")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lakeloop-fuzz-") as work:
        status, said, counts = fuzz(Path(work) / "project", options.examples, options.seed)
    errors = sum(count for code, count in counts.items() if code >= 500)
    by_status = ", ".join(f"{count} x {code}" for code, count in sorted(counts.items()))
    sys.stdout.write(f"{said}\n{counts.total()} requests, {errors} server errors: {by_status}\n")
    return int(status != 0 or errors > 0)


if __name__ == "__main__":
    raise SystemExit(main())
