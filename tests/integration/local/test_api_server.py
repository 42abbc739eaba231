"""The app over HTTP: exact bytes, fast keep-alive, requests that do not mix, a clean stop."""

import hashlib
import http.client
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest
from chalice.app import Chalice, Request, Response

from infra.local.api_server import MAX_BODY_BYTES, ApiServer
from infra.local.ports import PortBusyError, require_free

# Somebody has asked for what takes a while.
SLOW_BEGAN = threading.Event()


def toy_app() -> Chalice:
    app = Chalice(app_name="toy")

    def request() -> Request:
        assert app.current_request is not None
        return app.current_request

    @app.route("/things/{thing_id}", methods=["GET"])
    def show(thing_id: str) -> dict[str, str]:
        return {"id": thing_id}

    @app.route("/digest", methods=["POST"], content_types=["application/json", "text/plain"])
    def digest() -> dict[str, str]:
        raw = request().raw_body
        assert isinstance(raw, bytes)
        return {"sha256": hashlib.sha256(raw).hexdigest()}

    @app.route("/echo", methods=["GET"])
    def echo() -> dict[str, str]:
        before = request().headers["x-mark"]
        time.sleep(0.005)
        return {"before": before, "after": request().headers["x-mark"]}

    @app.route("/slow", methods=["GET"])
    def slow() -> dict[str, bool]:
        SLOW_BEGAN.set()
        time.sleep(0.5)
        return {"done": True}

    @app.route("/nothing", methods=["DELETE"])
    def nothing() -> Response:
        return Response(body="", status_code=204)

    return app


@pytest.fixture
def server() -> Iterator[ApiServer]:
    running = ApiServer(toy_app(), port=0)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(server: ApiServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as made:
        yield made


def test_path_parameter_reaches_the_view_as_sent(client: httpx.Client) -> None:
    # As through API Gateway's REST flavour: decoding is the application's.
    assert client.get("/things/a%40b%3Ac").json() == {"id": "a%40b%3Ac"}
    assert client.get("/things/a@b:c+d").json() == {"id": "a@b:c+d"}


def test_body_of_any_bytes_reaches_the_view_exactly(client: httpx.Client) -> None:
    body = bytes(range(256)) * 64 + "žluť €".encode()
    answer = client.post("/digest", content=body, headers={"content-type": "application/json"})
    assert answer.json() == {"sha256": hashlib.sha256(body).hexdigest()}


def test_body_of_ten_megabytes_passes_and_one_byte_more_is_413(client: httpx.Client) -> None:
    body = b"x" * MAX_BODY_BYTES
    headers = {"content-type": "text/plain"}
    answer = client.post("/digest", content=body, headers=headers)
    assert answer.json() == {"sha256": hashlib.sha256(body).hexdigest()}

    refused = client.post("/digest", content=body + b"x", headers=headers)
    assert refused.status_code == 413
    assert refused.json() == {"message": "Request Entity Too Large"}


def test_chunked_body_is_refused_rather_than_lost(client: httpx.Client) -> None:
    refused = client.post("/digest", content=iter([b"a", b"b"]))
    assert refused.status_code == 411


def test_unknown_route_and_method_are_answered_as_by_chalice(client: httpx.Client) -> None:
    unknown = client.get("/nowhere")
    assert (unknown.status_code, unknown.json()) == (
        403,
        {"message": "Missing Authentication Token"},
    )
    assert client.post("/echo").status_code == 405


def test_connection_survives_head_and_no_content(server: ApiServer) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    for method, path, status in [
        ("HEAD", "/things/a", 405),
        ("DELETE", "/nothing", 204),
        ("GET", "/things/a", 200),
    ]:
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_concurrent_requests_do_not_see_each_other(server: ApiServer) -> None:
    def call(number: int) -> bool:
        mark = str(number)
        answer = httpx.get(f"{server.url}/echo", headers={"x-mark": mark}, timeout=30).json()
        return bool(answer == {"before": mark, "after": mark})

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(80)))


def test_kept_alive_requests_take_milliseconds(server: ApiServer) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    seconds = []
    for _ in range(50):
        started = time.perf_counter()
        connection.request("GET", "/things/a")
        connection.getresponse().read()
        seconds.append(time.perf_counter() - started)
    connection.close()
    # Delayed acknowledgements would make all but the first take 0.044 s; a busy machine only some.
    assert sorted(seconds)[5] < 0.02


def test_busy_port_fails_naming_the_port_and_the_option(server: ApiServer) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(PortBusyError, match=f"Port {port} is in use.*--port") as caught:
        ApiServer(toy_app(), port).start()
    assert (caught.value.port, caught.value.option) == (port, "--port")
    with pytest.raises(PortBusyError, match="--stripe-port"):
        require_free(port, "--stripe-port")


def test_stop_lets_a_request_end_closes_idle_connections_and_leaves_no_thread() -> None:
    threads = set(threading.enumerate())
    server = ApiServer(toy_app(), port=0)
    server.start()
    idle = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    idle.request("GET", "/things/a")
    idle.getresponse().read()
    with ThreadPoolExecutor(1) as pool:
        SLOW_BEGAN.clear()
        running = pool.submit(httpx.get, f"{server.url}/slow", timeout=30)
        assert SLOW_BEGAN.wait(30)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 20
        assert running.result().json() == {"done": True}
    idle.close()
    deadline = time.monotonic() + 30
    while not set(threading.enumerate()) <= threads:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    require_free(int(server.url.rpartition(":")[2]), "--port")
