"""The Runtime API that Lambda serves to a function's process: the next event, its answer, its error.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from typing import Any, Final

PREFIX: Final = "/2018-06-01/runtime/"


@dataclass
class Invocation:
    """One event on its way; `answered` is a moment of `time.perf_counter`."""

    id: str
    event: bytes
    deadline_ms: int
    function_arn: str
    done: threading.Event = field(default_factory=threading.Event)
    payload: bytes = b""
    is_error: bool = False
    answered: float = 0.0

    def json(self) -> Any:
        return json.loads(self.payload)


class RuntimeApi:
    """Serves one function's process between `start` and `stop`."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Invocation | None] = SimpleQueue()
        self._given: dict[str, Invocation] = {}
        self.asked = threading.Event()
        self.first_asked = 0.0
        self.init_error: str | None = None
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def give(self, invocation: Invocation) -> None:
        """The process gets it with its next question."""
        self._given[invocation.id] = invocation
        self._waiting.put(invocation)

    def next(self) -> Invocation | None:
        if not self.asked.is_set():
            self.first_asked = time.perf_counter()
            self.asked.set()
        try:
            return self._waiting.get(timeout=300)
        except Empty:
            return None

    def answer(self, invocation_id: str, payload: bytes, *, is_error: bool) -> None:
        invocation = self._given.pop(invocation_id)
        invocation.answered = time.perf_counter()
        invocation.payload, invocation.is_error = payload, is_error
        invocation.done.set()

    def fail(self, payload: bytes) -> None:
        self.init_error = payload.decode(errors="replace")
        self.asked.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A process that is killed leaves its connection as it likes."""


def _handler(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Unbuffered writes against delayed acknowledgements would be measured with the function.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            assert self.path == f"{PREFIX}invocation/next", self.path
            invocation = api.next()
            if invocation is None:
                self._send(410, b"")
                return
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
                "Content-Type": "application/json",
            }
            self._send(200, invocation.event, headers)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            kind, _, rest = self.path.removeprefix(PREFIX).partition("/")
            if kind == "init":
                api.fail(body)
            else:
                invocation_id, _, outcome = rest.partition("/")
                api.answer(invocation_id, body, is_error=outcome == "error")
            self._send(202, b"{}")

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
            """Nobody reads it."""

    return Handler
