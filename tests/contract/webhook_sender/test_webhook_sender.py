"""The sender against real servers on this machine: what is sent, what an answer means, and whom it never speaks to."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.adapters.system import SystemClock
from chalicelib.adapters.webhook_sender import HttpWebhookSender
from chalicelib.ports import WebhookSender
from tests.nobody import nobody

pytestmark = pytest.mark.integration

HOST = "hooks.example.com"
PUBLIC = "93.184.216.34"


@dataclass
class Application:
    """The operator's application. `status` is what it answers, `delay` how long that takes."""

    status: int = 200
    delay: float = 0
    drip: bool = False
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    def url(self, path: str = "/hook?a=b") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def handler_of(application: Application) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            application.requests.append((self.path, headers, body))
            try:
                if application.drip:
                    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
                        self.wfile.write(bytes([byte]))
                        self.wfile.flush()
                        time.sleep(0.05)
                time.sleep(application.delay)
                self.send_response(application.status)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
            except OSError:
                return  # the sender has gone away

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name in the base class
            pass

    return Handler


@pytest.fixture
def application() -> Iterator[Application]:
    made = Application()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(made))
    made.port = server.server_address[1]
    yield from _served(server, made)


def _served(server: HTTPServer, made: Application) -> Iterator[Application]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def a_sender(**options: object) -> WebhookSender:
    return HttpWebhookSender(SystemClock(), local=True, **options)  # type: ignore[arg-type]  # whatever a test replaces


def sent_to(sender: WebhookSender, url: str, timeout_seconds: float = 5) -> tuple[object, object]:
    sent = sender.send(url, {"webhook-id": "m"}, b"{}", timeout_seconds=timeout_seconds)
    return sent.status, sent.error


def test_request_arrives_as_it_was_given(application: Application) -> None:
    sent = a_sender().send(
        application.url(),
        {"webhook-id": "event_1", "content-type": "application/json"},
        b'{"a":"\xc3\xbc"}',
        timeout_seconds=5,
    )
    assert (sent.status, sent.error) == (200, None)
    [(path, headers, body)] = application.requests
    assert (path, body) == ("/hook?a=b", b'{"a":"\xc3\xbc"}')
    assert headers["webhook-id"] == "event_1"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"127.0.0.1:{application.port}"


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_answer_of_success_is_one(application: Application, status: int) -> None:
    application.status = status
    assert sent_to(a_sender(), application.url()) == (status, None)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
def test_other_answer_is_told_and_not_followed(application: Application, status: int) -> None:
    application.status = status
    assert sent_to(a_sender(), application.url()) == (status, f"http_{status}")
    assert len(application.requests) == 1


def test_answer_that_takes_too_long_is_a_timeout(application: Application) -> None:
    application.delay = 60
    began = time.monotonic()
    assert sent_to(a_sender(), application.url(), 0.2) == (None, "timeout")
    assert time.monotonic() - began < 30


def test_answer_that_comes_byte_by_byte_is_a_timeout_too(application: Application) -> None:
    application.drip = True
    began = time.monotonic()
    assert sent_to(a_sender(), application.url(), 0.4) == (None, "timeout")
    assert time.monotonic() - began < 30  # all of it takes minutes


def test_nobody_there_is_a_failed_connection() -> None:
    with nobody() as port:
        assert sent_to(a_sender(), f"http://127.0.0.1:{port}/") == (None, "connection_failed")


def test_answer_that_is_no_http_is_a_failed_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as peer:
                peer.recv(65536)
                peer.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert sent_to(a_sender(), url) == (None, "connection_failed")
        thread.join()


def test_name_without_address_is_not_resolved() -> None:
    def nowhere(host: str, port: int) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    sender = HttpWebhookSender(SystemClock(), local=False, resolver=nowhere)
    assert sent_to(sender, f"https://{HOST}/") == (None, "not_resolved")
    assert sender.refusal(f"https://{HOST}/") == "The host can't be resolved."


# --- Whom it never speaks to ---------------------------------------------------------------------------------------

INNER = [
    "127.0.0.1",
    "10.0.0.1",
    "172.31.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.1.1",
    "::1",
    "::ffff:127.0.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "64:ff9b::a9fe:a9fe",
]


@pytest.mark.parametrize("address", INNER)
def test_name_of_an_inner_address_is_refused_when_registered_and_when_sent_to(
    address: str,
) -> None:
    sender = HttpWebhookSender(SystemClock(), local=False, resolver=lambda host, port: (address,))
    assert sender.refusal(f"https://{HOST}/")
    assert sent_to(sender, f"https://{HOST}/") == (None, "address_not_allowed")


@pytest.mark.parametrize("address", INNER)
def test_one_inner_address_among_public_ones_is_enough_to_refuse(address: str) -> None:
    sender = HttpWebhookSender(
        SystemClock(), local=False, resolver=lambda host, port: (PUBLIC, address)
    )
    assert sender.refusal(f"https://{HOST}/")


def test_name_that_turns_inner_after_registration_is_refused(application: Application) -> None:
    answers = iter([(PUBLIC,), ("127.0.0.1",)])
    sender = HttpWebhookSender(
        SystemClock(), local=False, resolver=lambda host, port: next(answers)
    )
    url = f"https://{HOST}:8443/"
    assert sender.refusal(url) is None
    assert sent_to(sender, url) == (None, "address_not_allowed")
    assert application.requests == []


def test_name_is_resolved_once_for_a_request(application: Application) -> None:
    asked: list[str] = []

    def once(host: str, port: int) -> tuple[str, ...]:
        asked.append(host)
        # A second look would find another address; there is none.
        return ("127.0.0.1",) if len(asked) == 1 else (PUBLIC,)

    url = f"http://localhost:{application.port}/"
    assert sent_to(a_sender(resolver=once), url) == (200, None)
    assert asked == ["localhost"]
    assert application.requests[0][1]["host"] == f"localhost:{application.port}"


def test_plain_http_is_for_this_machine_alone() -> None:
    sender = a_sender(resolver=lambda host, port: (PUBLIC,))
    assert sender.refusal(f"http://{HOST}/") == "The URL has to begin with https://."
    assert sent_to(sender, f"http://{HOST}/") == (None, "address_not_allowed")


# --- TLS -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificate:
    path: Path

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.path))


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """Of `hooks.example.com`, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Certificate(path)


@pytest.fixture
def secured(certificate: Certificate) -> Iterator[Application]:
    made = Application()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(made))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    made.port = server.server_address[1]
    yield from _served(server, made)


def to_loopback(host: str, port: int) -> tuple[str, ...]:
    return (str(ip_address("127.0.0.1")),)


def test_tls_proves_the_name_and_not_the_address(
    secured: Application, certificate: Certificate
) -> None:
    sender = a_sender(resolver=to_loopback, trust=certificate.trust())
    assert sent_to(sender, f"https://{HOST}:{secured.port}/") == (200, None)
    assert secured.requests[0][1]["host"] == f"{HOST}:{secured.port}"
    for other in ("other.example.com", "127.0.0.1"):
        assert sent_to(sender, f"https://{other}:{secured.port}/") == (None, "tls_failed")


def test_tls_without_trust_fails(secured: Application) -> None:
    sender = a_sender(resolver=to_loopback)
    assert sent_to(sender, f"https://{HOST}:{secured.port}/") == (None, "tls_failed")
    assert secured.requests == []
