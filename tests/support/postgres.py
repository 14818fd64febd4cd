"""A real PostgreSQL on loopback, for the time of a test session; `psql` runs statements in it."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lakeloop.local.airflow_env import free_port

PASSWORD = "s3cret/word"
ENCODED = "s3cret%2Fword"


def binaries() -> Path | None:
    """The folder of initdb and postgres, as Debian installs them; None where they are not."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@dataclass(frozen=True)
class Server:
    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    def url(self, password: str = ENCODED, database: str = "postgres") -> str:
        return f"postgresql://loop:{password}@127.0.0.1:{self.port}/{database}"

    def psql(self, statements: str) -> str:
        """What psql prints."""
        bins = binaries()
        assert bins is not None
        env = {**os.environ, "PGPASSWORD": PASSWORD}
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "loop", "-d", "postgres"]
        command = [str(bins / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *where]
        done = subprocess.run(
            command, input=statements, env=env, text=True, capture_output=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextlib.contextmanager
def postgres() -> Iterator[Server]:
    """A new server with an empty database; it is another user's than root's, who may not run one."""
    bins = binaries()
    assert bins is not None
    folder = Path(tempfile.mkdtemp(prefix="lakeloop-pg-"))
    as_user = _as_user(folder)
    try:
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        init = [*as_user, str(bins / "initdb"), "-D", str(folder / "data"), "-U", "loop", "-E", "UTF8"]
        init += ["--locale=C", "-A", "scram-sha-256", "--no-sync", "--pwfile", str(folder / "password")]
        subprocess.run(init, check=True, capture_output=True, cwd=folder)
        port = free_port()
        command = [*as_user, str(bins / "postgres"), "-D", str(folder / "data"), "-p", str(port)]
        command += ["-h", "127.0.0.1", "-k", str(folder), "-F"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            _await(folder / "log", process)
            yield Server(folder, port, process)
        finally:
            process.send_signal(signal.SIGINT)  # fast shutdown: sessions are ended
            process.wait(timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_user(folder: Path) -> list[str]:
    if os.geteuid() != 0:
        return []
    user = next(each for name in ("postgres", "nobody") for each in pwd.getpwall() if each.pw_name == name)
    os.chown(folder, user.pw_uid, user.pw_gid)
    folder.chmod(0o755)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _await(log: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if re.search("ready to accept connections", log.read_text(errors="replace")):
            return
        assert process.poll() is None, log.read_text(errors="replace")
        time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace"))
