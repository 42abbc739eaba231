"""The fast reader on real sockets: one kept connection, and the ordinary reader for everything unexpected."""

import json
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chalicelib.adapters.dynamodb.hot_reader import HotSnapshotReader
from chalicelib.adapters.hot_client import HotClient
from chalicelib.adapters.sigv4 import Credentials
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import Counter, HotRead
from tests.fakes.system import FakeClock, RecordingMonitor
from tests.nobody import nobody

ACME = CustomerId("acme")
KEYS = Credentials("AKIDEXAMPLE", "secret", "token")
ANSWER: dict[str, Any] = {
    "Items": [
        {"pk": {"S": "CUST#acme"}, "sk": {"S": "HOT#ENT"}, "doc": {"S": "{}"}},
        {
            "pk": {"S": "CUST#acme"},
            "sk": {"S": "HOT#USE"},
            "u:seats": {"N": "3"},
            "p:seats": {"N": "7"},
        },
    ]
}
FOUND = HotRead("{}", {"seats": Counter(used=3, period_start_ms=7)})
SLOW = HotRead('{"from":"the ordinary reader"}', {})


class OrdinaryReader:
    """What stands behind the fast one."""

    def __init__(self) -> None:
        self.reads: list[bool] = []

    def read(self, customer_id: CustomerId, *, consistent: bool) -> HotRead | None:
        self.reads.append(consistent)
        return SLOW


class Engine:
    """A DynamoDB that answers what a test wants; counts connections and requests."""

    def __init__(self) -> None:
        self.status = 200
        self.answer: bytes = json.dumps(ANSWER).encode()
        self.requests: list[tuple[dict[str, str], Any]] = []
        self.connections = 0
        self.delay = 0.0
        self.close_after = False
        self.gone: set[int] = set()  # connections whose other end has vanished without a word
        self.stopping = threading.Event()
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                engine.connections += 1
                self.number = engine.connections
                super().setup()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.number in engine.gone:
                    engine.stopping.wait()
                    self.close_connection = True
                    return
                engine.requests.append((dict(self.headers), json.loads(body)))
                time.sleep(engine.delay)
                self.send_response(engine.status)
                self.send_header("Content-Length", str(len(engine.answer)))
                self.end_headers()
                self.wfile.write(engine.answer)
                self.close_connection = engine.close_after

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.stop()


class World:
    def __init__(
        self,
        url: str,
        credentials: Callable[[], Credentials | None],
        timeout_seconds: float = 30.0,
    ) -> None:
        self.ordinary = OrdinaryReader()
        self.monitor = RecordingMonitor()
        self.clock = FakeClock()
        self.client = HotClient(
            region="eu-central-1",
            endpoint_url=url,
            credentials=credentials,
            clock=self.clock,
            timeout_seconds=timeout_seconds,
        )
        self.reader = HotSnapshotReader(
            stage="t", client=self.client, fallback=self.ordinary, monitor=self.monitor
        )

    def read(self, *, consistent: bool = False) -> HotRead | None:
        return self.reader.read(ACME, consistent=consistent)

    def why(self) -> list[str]:
        return [fields["why"] for fields in self.monitor.named("hot_read_fell_back")]


@pytest.fixture
def it(engine: Engine) -> Iterator[World]:
    made = World(engine.url, lambda: KEYS)
    yield made
    made.client.close()


def test_read_is_one_signed_query_on_a_kept_connection(engine: Engine, it: World) -> None:
    assert [it.read(), it.read(consistent=True)] == [FOUND, FOUND]
    assert (engine.connections, len(engine.requests), it.ordinary.reads) == (1, 2, [])
    (headers, first), (_, second) = engine.requests
    assert headers["X-Amz-Target"] == "DynamoDB_20120810.Query"
    assert headers["X-Amz-Security-Token"] == "token"
    assert "Credential=AKIDEXAMPLE/20260115/eu-central-1/dynamodb" in headers["Authorization"]
    assert first["TableName"] == "paygrade-t-customers"
    assert first["ExpressionAttributeValues"] == {":pk": {"S": "CUST#acme"}, ":hot": {"S": "HOT#"}}
    assert [first["ConsistentRead"], second["ConsistentRead"]] == [False, True]


def test_read_of_unknown_customer_is_none(engine: Engine, it: World) -> None:
    engine.answer = b'{"Items": []}'
    assert it.read() is None
    assert it.ordinary.reads == []


def test_read_on_connection_closed_meanwhile_uses_a_fresh_one(engine: Engine, it: World) -> None:
    engine.close_after = True
    assert [it.read() for _ in range(3)] == [FOUND] * 3
    assert (engine.connections, it.ordinary.reads) == (3, [])


def test_read_on_connection_that_vanished_meanwhile_uses_a_fresh_one(engine: Engine) -> None:
    it = World(engine.url, lambda: KEYS, timeout_seconds=3)
    assert it.read() == FOUND
    engine.gone = {1}
    assert [it.read(), it.read()] == [FOUND, FOUND]
    assert (engine.connections, it.ordinary.reads, it.why()) == (2, [], [])
    it.client.close()


def test_read_after_a_minute_of_silence_trusts_no_kept_connection(
    engine: Engine, it: World
) -> None:
    it.read()
    it.clock.advance(seconds=49)
    it.read()
    assert engine.connections == 1
    # Were it used, the test would wait for its time-out.
    engine.gone = {1}
    it.clock.advance(seconds=50)
    assert it.read() == FOUND
    assert (engine.connections, it.ordinary.reads) == (2, [])


def test_read_by_a_clock_that_was_set_back_trusts_no_kept_connection(
    engine: Engine, it: World
) -> None:
    it.read()
    it.clock.advance(seconds=-1)
    assert it.read() == FOUND
    assert engine.connections == 2


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (400, b'{"__type":"com.amazon.coral.service#ExpiredTokenException"}', "status_400"),
        (400, b'{"__type":"ProvisionedThroughputExceededException"}', "status_400"),
        (500, b"", "status_500"),
        (200, b"<html>", "odd_answer"),
        (200, b'{"Items": [{"sk": {"S": "HOT#ENT"}}]}', "odd_answer"),
        (200, b'{"Items": [], "LastEvaluatedKey": {}}', "odd_answer"),
        (200, b"[]", "odd_answer"),
    ],
)
def test_read_with_unexpected_answer_is_done_by_the_ordinary_reader(
    engine: Engine, it: World, status: int, answer: bytes, why: str
) -> None:
    engine.status, engine.answer = status, answer
    assert it.read(consistent=True) == SLOW
    assert (it.ordinary.reads, it.why()) == ([True], [why])


def test_read_that_takes_too_long_is_done_by_the_ordinary_reader(engine: Engine) -> None:
    it = World(engine.url, lambda: KEYS, timeout_seconds=0.5)
    engine.delay = 1.5
    assert it.read() == SLOW
    assert it.why() == ["timeout"]
    engine.delay = 0
    assert it.read() == FOUND
    # On a kept connection, too: a fresh one is tried once, and not for ever.
    engine.delay = 1.5
    assert it.read() == SLOW
    assert it.why() == ["timeout"] * 2


def test_read_with_nobody_listening_is_done_by_the_ordinary_reader() -> None:
    with nobody() as port:
        it = World(f"http://127.0.0.1:{port}", lambda: KEYS)
        assert it.read() == SLOW
    assert it.why() == ["no_connection"]


def test_read_without_credentials_at_hand_is_done_by_the_ordinary_reader(engine: Engine) -> None:
    it = World(engine.url, lambda: None)
    assert it.read() == SLOW
    assert (engine.requests, it.why()) == ([], ["no_credentials"])


def test_read_over_tls_with_unknown_certificate_is_not_believed(
    engine: Engine, tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    engine.server.socket = context.wrap_socket(engine.server.socket, server_side=True)
    engine.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the refusal is the point
    it = World(engine.url.replace("http:", "https:"), lambda: KEYS)
    assert it.read() == SLOW
    assert (engine.requests, it.why()) == ([], ["no_connection"])


def test_reads_in_threads_never_share_a_connection(engine: Engine, it: World) -> None:
    found: list[HotRead | None] = []

    def work() -> None:
        found.extend(it.read() for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [FOUND] * 160
    assert 1 <= engine.connections <= 8
