"""The model server as a process under real HTTP: swaps, kills and outages fail no request, lose no answer."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lakeloop.errors import ConfigurationError, ServiceError
from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.server import open_service, serve
from lakeloop.spec.reading.load import load_named
from lakeloop.stages.frame.session import StageContext
from tests.support.load import Load, logged
from tests.support.serving import ServerProcess, add_numbers, open_project, promote, register

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

FAST = {"poll_seconds": 0.05, "flush_seconds": 0.2}


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    return open_project(tmp_path / "project")


@pytest.fixture
def server(context: StageContext) -> Iterator[ServerProcess]:
    running = ServerProcess.start(context.settings, **FAST)
    yield running
    running.kill()


def test_no_request_fails_over_many_swaps_and_each_answer_is_logged_once(
    context: StageContext, server: ServerProcess
) -> None:
    promote(context, 1)
    server.await_answer("/readyz", model_version="v1")

    with Load(server.url) as load:
        for number in range(2, 7):
            version = promote(context, number)
            server.await_answer("/v1/model", version=version.name, digest=version.digest)
            time.sleep(0.1)
    server.terminate()

    assert load.failures == []
    assert len(load.answered) > 100
    assert set(load.answered.values()) == {f"v{number}" for number in range(1, 7)}
    assert load.slowest < 5
    assert logged(context) == Counter(dict.fromkeys(load.answered, 2))


def test_a_damaged_release_is_refused_and_clients_see_nothing_of_it(
    context: StageContext, server: ServerProcess
) -> None:
    promote(context, 1)
    server.await_answer("/readyz")
    damaged = register(context, 2)
    (Path(context.lake.files.uri(damaged.folder_name)) / "model.onnx").write_bytes(b"damaged")
    with Load(server.url, clients=2) as load:
        promote(context, 2)
        while not (refused := httpx.get(f"{server.url}/v1/model").json()["refused"]):
            time.sleep(0.05)

    assert (refused["version"], refused["digest"]) == (damaged.name, damaged.digest)
    assert "model.onnx" in refused["reason"]
    assert load.failures == []
    assert set(load.answered.values()) == {"v1"}
    assert "v2 is refused, v1 stays in use" in server.log.read_text()


def test_a_kill_loses_no_answer_and_doubles_none(context: StageContext, server: ServerProcess) -> None:
    promote(context, 1)
    server.await_answer("/readyz")
    with Load(server.url) as load:
        time.sleep(1)
        server.kill()

    restarted = ServerProcess.start(context.settings, **FAST)
    restarted.await_answer("/readyz")
    restarted.terminate()

    rows = logged(context)
    assert len(load.answered) > 10
    assert {name: rows[name] for name in load.answered} == dict.fromkeys(load.answered, 2)
    # A request that the kill cut off may be logged: it was answered, and the answer did not arrive.
    assert all(rows[name] in (0, 2) for name in load.sent - set(load.answered))


def test_requests_are_answered_while_the_lake_is_away_and_logged_when_it_is_back(
    context: StageContext, server: ServerProcess
) -> None:
    promote(context, 1)
    server.await_answer("/readyz")
    lake = Path(context.settings.lake)
    lake.rename(lake.with_name("away"))
    with Load(server.url, clients=1) as load:
        time.sleep(1)
    lake.with_name("away").rename(lake)
    server.terminate()

    assert "predictions wait, the lake did not take them" in server.log.read_text()
    assert load.failures == []
    assert len(load.answered) > 10
    assert logged(context) == Counter(dict.fromkeys(load.answered, 2))


def test_errors_have_one_shape_over_a_real_socket_and_texts_are_not_in_the_log(
    context: StageContext, server: ServerProcess
) -> None:
    no_model = httpx.post(f"{server.url}/v1/predict", json={"texts": ["a"]})
    promote(context, 1)
    server.await_answer("/readyz")
    private = httpx.post(f"{server.url}/v1/predict", json={"texts": ["a very private text about tech"]})
    too_large = httpx.post(f"{server.url}/v1/predict", json={"texts": ["a" * 5_000_000]})
    chunked = httpx.post(f"{server.url}/v1/predict", content=(b"a" * 65536 for _ in range(100)))
    missing = httpx.get(f"{server.url}/nothing/here")
    server.terminate()

    answers = [no_model, too_large, chunked, missing]
    assert [answer.status_code for answer in answers] == [503, 413, 413, 404]
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert all(answer.json()["error"]["code"] for answer in answers)
    assert "lakeloop run news" in no_model.json()["error"]["message"]
    assert private.status_code == 200
    assert "private" not in server.log.read_text()


def test_all_loops_are_served_by_one_process_each_from_its_own_lake_to_its_own_lake(
    context: StageContext,
) -> None:
    stars = add_numbers(context)
    (context.settings.root / "loops/broken").mkdir()
    (context.settings.root / "loops/broken/loop.yaml").write_text("name: broken\n")
    damaged = register(stars, 1)
    (Path(stars.lake.files.uri(damaged.folder_name)) / "model.onnx").write_bytes(b"damaged")
    promote(context, 1)
    promote(stars, 1)
    server = ServerProcess.start(context.settings, loops=(), **FAST)
    try:
        server.await_answer("/readyz")
        refused = httpx.post(f"{server.url}/v1/loops/stars/predict", json={"texts": ["good"]})
        promote(stars, 2)
        server.await_answer("/v1/loops/stars/model", version="v2")
        promote(context, 2)
        server.await_answer("/v1/loops/news/model", version="v2")
        answers = {
            loop: httpx.post(
                f"{server.url}/v1/loops/{loop}/predict", json={"texts": ["tech", "good"], "request_id": loop}
            ).json()
            for loop in ("news", "stars")
        }
        left_out = httpx.get(f"{server.url}/v1/loops/broken/model")
        server.terminate()
    finally:
        server.kill()

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_refused")
    assert answers["news"]["predictions"][0]["label"] == "tech"
    assert answers["stars"]["predictions"] == [{"value": 2.5}, {"value": 4.0}]
    assert {answer["model_version"] for answer in answers.values()} == {"v2"}
    assert (logged(context), logged(stars)) == (Counter(news=2), Counter(stars=2))
    stored = stars.lake.read("predictions", columns=["answer"])["answer"].to_pylist()
    assert stored == ['{"value":2.5}', '{"value":4.0}']
    assert left_out.json()["error"]["expected"] == "news, stars"
    assert "a loop is left out: " in server.log.read_text()


def test_loops_that_come_or_are_mended_later_are_served_without_a_restart(context: StageContext) -> None:
    broken = context.settings.root / "loops/stars/loop.yaml"
    broken.parent.mkdir()
    broken.write_text("name: stars\n")
    promote(context, 1)
    server = ServerProcess.start(context.settings, loops=(), **FAST)
    try:
        server.await_answer("/readyz", model_version="v1")
        before = httpx.get(f"{server.url}/openapi.json").json()
        missing = httpx.get(f"{server.url}/v1/loops/stars/model")
        promote(add_numbers(context), 2)
        server.await_answer("/v1/loops/stars/model", version="v1")
        found = httpx.post(f"{server.url}/v1/loops/stars/predict", json={"texts": ["good"]})
        short = httpx.post(f"{server.url}/v1/predict", json={"texts": ["good"]})
        after = httpx.get(f"{server.url}/openapi.json").json()
        counted = httpx.get(f"{server.url}/metrics").text
        server.terminate()
    finally:
        server.kill()
    assert missing.status_code == 404
    assert found.json()["predictions"] == [{"value": 4.0}]
    assert (short.status_code, short.json()["error"]["code"]) == (409, "several_loops")
    assert 'code="200",method="POST",path="/v1/loops/stars/predict"} 1.0' in counted
    assert [len(page["paths"]) for page in (before, after)] == [8, 6]
    parameter, *_ = after["paths"]["/v1/loops/{loop}/predict"]["post"]["parameters"]
    assert parameter["schema"]["enum"] == ["news", "stars"]
    log = server.log.read_text()
    assert log.count("loop stars cannot be served, and is tried again") == 1
    assert "stars: its file is new, or can be read now: it is served from here on" in log


def test_a_loop_whose_lake_is_damaged_is_left_out_and_the_others_are_served(
    context: StageContext, caplog: pytest.LogCaptureFixture
) -> None:
    damage(add_numbers(context))
    loops = [load_named(name, context.settings) for name in ("stars", "news")]
    service = open_service(loops, context.settings, Limits())

    assert list(service.loops) == ["news"]
    assert "a loop is left out: " in caplog.text
    assert "loop stars cannot be served" in caplog.text


def test_a_folder_that_cannot_be_made_leaves_its_loop_out(context: StageContext) -> None:
    add_numbers(context)
    (context.settings.home / "serving").mkdir()
    (context.settings.home / "serving/stars").write_text("a file in its place")
    loops = [load_named(name, context.settings) for name in ("stars", "news")]

    assert list(open_service(loops, context.settings, Limits()).loops) == ["news"]


def test_when_no_lake_can_be_opened_the_error_says_which_and_why(context: StageContext) -> None:
    damage(context)
    with pytest.raises(ServiceError, match=r"lake/news: loop news cannot be served[\s\S]*found: DeltaError"):
        serve(("news",), port=0, settings=context.settings)


def damage(context: StageContext) -> None:
    """Overwrite the log of one of the tables, as a bad disk would."""
    (entry,) = Path(context.lake.uri("registry")).glob("_delta_log/*.json")
    entry.write_bytes(b"\0" * entry.stat().st_size)


@pytest.mark.usefixtures("usual_umask")
def test_the_home_that_a_server_makes_is_closed_to_other_users(tmp_path: Path) -> None:
    context = open_project(tmp_path / "project")
    shutil.rmtree(context.settings.home)
    os.umask(0o022)  # opening the project set the other
    server = ServerProcess.start(context.settings, **FAST)
    server.kill()

    made = [context.settings.home, *context.settings.home.rglob("*")]
    assert len(made) > 10
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_a_loop_that_is_asked_for_by_name_must_be_there(context: StageContext) -> None:
    with pytest.raises(ConfigurationError, match=r"no such loop[\s\S]*did you mean news"):
        serve(("newz",), settings=context.settings)


def test_without_any_loop_it_says_how_to_make_one(context: StageContext) -> None:
    (context.settings.root / "loops/news/loop.yaml").unlink()
    with pytest.raises(ConfigurationError, match=r"no loop to serve[\s\S]*lakeloop new"):
        serve(settings=context.settings)


def test_an_address_in_use_is_said_before_anything_starts(context: StageContext) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(ConfigurationError, match=r"cannot listen there[\s\S]*--port"),
    ):
        serve(("news",), port=taken.getsockname()[1], settings=context.settings)


def test_a_page_of_another_site_gets_nothing_under_its_own_name(server: ServerProcess) -> None:
    """As after DNS rebinding: the right address, and the name of a hostile site."""
    for path in ("/healthz", "/v1/loops/news/model", "/metrics", "/docs"):
        answer = httpx.get(server.url + path, headers={"Host": "evil.example:8100"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (421, "unknown_host")
    asked = httpx.post(f"{server.url}/v1/predict", json={"texts": ["a"]}, headers={"Host": "evil.example"})
    assert asked.status_code == 421
    port = server.url.rsplit(":", 1)[1]
    for host in ("localhost", f"localhost:{port}", f"127.0.0.1:{port}", "[::1]"):
        assert httpx.get(f"{server.url}/healthz", headers={"Host": host}).status_code == 200
