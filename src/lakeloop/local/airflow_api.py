"""The few calls to Airflow's REST API that driving a loop needs. Knows no loops and keeps no state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx
from tenacity import (
    retry,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    wait_fixed,
)

from lakeloop.errors import ServiceError

ACTIVE_STATES = frozenset({"queued", "running"})

_LONGEST_NOTE = 1000
_START_IT = "was it stopped? Start it: lakeloop up (or make up); else see the api-server's log"


class AirflowApi:
    """A client for one Airflow; times out, and repeats what failed for a moment: its database was busy.

    It asks for the token that an Airflow without log-in gives to everybody. With `session`, an HTTP client
    that carries the credentials of a person who is logged in, it acts as that person and asks for no token.
    Where people have to log in, `login` says as whom it asks: name and password, read when they are needed.

    Raises:
        ServiceError: in all methods, Airflow does not answer or refuses.
    """

    def __init__(
        self,
        url: str,
        session: httpx.Client | None = None,
        login: Callable[[], tuple[str, str] | None] | None = None,
    ) -> None:
        self.url = url
        self._client = session or httpx.Client(base_url=url, timeout=30.0)
        self._logs_in = session is None
        self._login = login or (lambda: None)
        self._token = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def health(self) -> dict[str, str]:
        """State of each component: metadatabase, scheduler, dag_processor, triggerer; asks once.

        Raises:
            ServiceError: nothing answers, or something that is no Airflow.
        """
        with self._answering():
            try:
                found = self._client.get("/api/v2/monitor/health").raise_for_status().json()
                return {name: part.get("status") or "absent" for name, part in found.items() if part}
            except (httpx.HTTPStatusError, ValueError, AttributeError) as error:
                raise ServiceError(
                    "what answers is no Airflow", where=self.url, found=str(error), remedy=_START_IT
                ) from error

    def dag_ids(self, tag: str) -> list[str]:
        """The ids of the DAGs that carry `tag`, sorted."""
        return sorted(self.paused_of(tag))

    def paused_of(self, tag: str) -> dict[str, bool]:
        """The id of each DAG that carries `tag` -> whether it is paused."""
        dags = self._get("/api/v2/dags", tags=tag, limit=200, exclude_stale=True)["dags"]
        return {dag["dag_id"]: dag["is_paused"] for dag in dags}

    def read_dag_files(self) -> None:
        """Have Airflow read the files of all DAGs that it knows at once, not when their turn comes."""
        dags = self._get("/api/v2/dags", limit=200)["dags"]
        for token in {dag["relative_fileloc"]: dag["file_token"] for dag in dags}.values():
            with self._answering():
                answer = self._change("PUT", f"/api/v2/parseDagFile/{token}", {})
            # It was asked for already, or is not for who asks: then its turn comes.
            if answer.status_code not in (httpx.codes.CONFLICT, httpx.codes.FORBIDDEN):
                _require_ok(answer)

    def import_errors(self) -> list[str]:
        """Of each DAG file that cannot be imported: its path, and the last line of the traceback."""
        found = self._get("/api/v2/importErrors", limit=50)["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in found]

    def set_paused(self, dag_id: str, paused: bool) -> None:
        self._send("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": paused})

    def set_pool(self, name: str, slots: int, description: str) -> None:
        """Create a pool; one that is there stays as it is."""
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        with self._answering():
            # Not to create it and see: Airflow's log has a page of traceback for each pool that is there.
            known = self._request("GET", f"/api/v2/pools/{name}")
            if known.status_code != httpx.codes.NOT_FOUND:
                _require_ok(known)
                return
            answer = self._request("POST", "/api/v2/pools", json=body)
        if answer.status_code != httpx.codes.CONFLICT:  # somebody was faster
            _require_ok(answer)

    def trigger(
        self,
        dag_id: str,
        partition: str | None = None,
        conf: dict[str, Any] | None = None,
        note: str = "",
    ) -> str:
        """Start a run (of `partition`) and return its id; people see `note` beside it."""
        body: dict[str, Any] = {"logical_date": None, "conf": conf or {}}
        if note:
            body["note"] = note[:_LONGEST_NOTE]
        if partition is not None:
            body["partition_key"] = partition
        run_id: str = self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"]
        return run_id

    def backfill_days(self, dag_id: str, first: str, last: str) -> list[str]:
        """The days that `backfill` would run, oldest first: by the DAG's schedule, and none that runs now."""
        found = self._send("POST", "/api/v2/backfills/dry_run", _backfill(dag_id, first, last))
        return [run["partition_key"] for run in found["backfills"]]

    def backfill(self, dag_id: str, first: str, last: str) -> None:
        """Run `dag_id` for each day from `first` to `last`, both included, one after the other.

        Days that had a run are run again.
        """
        self._send("POST", "/api/v2/backfills", _backfill(dag_id, first, last))

    def runs(self, dag_ids: Sequence[str]) -> list[dict[str, Any]]:
        """The newest runs of these DAGs, at most 100 of each, oldest first."""
        found: list[dict[str, Any]] = []
        for dag_id in dag_ids:
            found += self._get(f"/api/v2/dags/{dag_id}/dagRuns", limit=100, order_by="-run_after")["dag_runs"]
        return sorted(found, key=lambda run: run["queued_at"] or run["run_after"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of one run, at most 100."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        found: list[dict[str, Any]] = self._get(path, limit=100)["task_instances"]
        return found

    def log_text(self, dag_id: str, run_id: str, task_id: str, try_number: int) -> str:
        """The log of one try, one line an event."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        content = self._get(path, full_content=True)["content"]
        return "\n".join(_log_line(entry) for entry in content)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """What a task left under `key`; None when it left nothing."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        with self._answering():
            answer = self._read(path, {"deserialize": True})
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return _require_ok(answer).json()["value"]

    def _get(self, path: str, **params: Any) -> Any:
        with self._answering():
            return _require_ok(self._read(path, params)).json()

    @retry(
        retry=retry_if_exception_type(httpx.TransportError),
        stop=stop_after_delay(60),
        wait=wait_fixed(1),
        reraise=True,
    )
    def _read(self, path: str, params: dict[str, Any]) -> httpx.Response:
        return self._request("GET", path, params=params)

    def _send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        with self._answering():
            return _require_ok(self._change(method, path, body)).json()

    @retry(
        retry=retry_if_result(lambda answer: answer.is_server_error),
        stop=stop_after_attempt(3),
        wait=wait_fixed(1),
        retry_error_callback=lambda tries: tries.outcome.result() if tries.outcome else None,
    )
    def _change(self, method: str, path: str, body: dict[str, Any]) -> httpx.Response:
        return self._request(method, path, json=body)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except httpx.RequestError as error:
            raise ServiceError(
                "Airflow does not answer",
                where=self.url,
                found=str(error),
                remedy=_START_IT,
            ) from error

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        if not self._logs_in:
            return self._client.request(method, path, **options)
        for _ in range(2):
            if not self._token:
                self._token = self._new_token()
            headers = {"Authorization": f"Bearer {self._token}"}
            answer = self._client.request(method, path, headers=headers, **options)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                break
            self._token = ""  # It expired, or the server was restarted with another secret.
        return answer

    def _new_token(self) -> str:
        if login := self._login():
            named = {"username": login[0], "password": login[1]}
            answer = self._client.post("/auth/token", json=named)
        else:
            answer = self._client.get("/auth/token")
        if not answer.is_success:
            asker = f"of {login[0]}" if login else "without a name"
            raise ServiceError(
                "Airflow wants to know who asks",
                where=self.url,
                found=f"{answer.status_code} to a request for a token {asker}",
                remedy="log in to its web UI: the page Lakeloop does the same with your rights",
            )
        token: str = answer.json()["access_token"]
        return token


def _backfill(dag_id: str, first: str, last: str) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        # Airflow reads the wall clock of both in the time zone of the schedule: a day has one run in it.
        "from_date": f"{first}T00:00:00Z",
        "to_date": f"{last}T23:59:59Z",
        "reprocess_behavior": "completed",
        "max_active_runs": 1,
    }


def _log_line(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    return " ".join(str(entry[key]) for key in ("timestamp", "level", "event") if entry.get(key))


def _require_ok(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    raise ServiceError(
        f"Airflow answered {answer.status_code}",
        where=f"{answer.request.method} {answer.request.url}",
        found=answer.text[:500],
        remedy="see the api-server's log",
    )
