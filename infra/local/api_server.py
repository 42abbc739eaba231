"""Serves a Chalice app over HTTP from a thread of this process.

Chalice's own development server, with what a client of the real gateway may rely on: fast
keep-alive, requests that do not see each other's, a body limit; and a stop that leaves nothing.
"""

import functools
import json
import logging
import socket
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from typing import Any, Final

from chalice.app import Chalice
from chalice.config import Config
from chalice.local import ChaliceRequestHandler, ThreadedHTTPServer

from infra.local.ports import HOST, PortBusyError

MAX_BODY_BYTES: Final = 10 * 1024 * 1024  # API Gateway's
MAX_DISCARDED_BYTES: Final = 10 * MAX_BODY_BYTES
CHUNK_BYTES: Final = 64 * 1024
# In words of our own: Python 3.13 has others for these than those before it.
_PHRASES: Final = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Request Entity Too Large",
    HTTPStatus.REQUEST_URI_TOO_LONG: "Request-URI Too Long",
}
FUNCTION_TIMEOUT_SECONDS: Final = 29  # as long as API Gateway waits
STOP_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


class _PerRequest:
    """An attribute whose value belongs to the thread that set it."""

    def __init__(self) -> None:
        self._local = threading.local()

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return getattr(self._local, "value", None)

    def __set__(self, instance: object, value: Any) -> None:
        self._local.value = value


def isolate_requests(app: Chalice) -> None:
    """Threads may serve requests of the app at once, which in a Lambda never happens.

    Chalice keeps the request being served in attributes of the app; they become each thread's own.
    """
    if isinstance(vars(type(app)).get("current_request"), _PerRequest):
        return
    own = {"current_request": _PerRequest(), "lambda_context": _PerRequest()}
    for name in own:
        vars(app).pop(name, None)
    app.__class__ = type("ThreadSafe" + type(app).__name__, (type(app),), own)


class _Handler(ChaliceRequestHandler):
    # Unbuffered writes against delayed acknowledgements cost 44 ms for each kept-alive request.
    wbufsize = -1
    disable_nagle_algorithm = True

    def parse_request(self) -> bool:
        """The request is one to serve; another was answered with its refusal."""
        if not super().parse_request():
            return False
        length = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers:
            return self._refuse(HTTPStatus.LENGTH_REQUIRED)
        if not length.isdecimal():
            return self._refuse(HTTPStatus.BAD_REQUEST)
        if int(length) > MAX_BODY_BYTES:
            # Read, or the client sees a broken connection instead of the answer.
            left = min(int(length), MAX_DISCARDED_BYTES)
            while left > 0 and (chunk := self.rfile.read(min(left, CHUNK_BYTES))):
                left -= len(chunk)
            return self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return True

    def _refuse(self, status: HTTPStatus) -> bool:
        self.close_connection = True
        self.send_error(status)
        return False

    def send_error(self, code: int, *_: Any) -> None:
        """A refusal is answered in JSON, as by the gateway."""
        status = HTTPStatus(code)
        body = json.dumps({"message": _PHRASES.get(status, status.phrase)})
        self._send_http_response(code, {"Connection": "close"}, body)

    def _send_http_response(
        self, code: int, headers: dict[str, Any], body: bytes | str | None
    ) -> None:
        # Bytes after the answer to a HEAD would be taken for the next answer.
        super()._send_http_response(code, headers, None if self.command == "HEAD" else body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        log.debug(format, *args)


class _Server(ThreadedHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # Not HTTPServer's, which looks our own name up: seconds, on some machines.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        error = sys.exception()
        if not isinstance(error, ConnectionError):  # clients may leave as they like
            log.error("request from %s failed", client_address, exc_info=error)

    def drain(self, seconds: float) -> None:
        """Idle connections are closed; running requests were given some time to end."""
        deadline = time.monotonic() + seconds
        while self._open and time.monotonic() < deadline:
            for connection in list(self._open):
                try:
                    connection.shutdown(socket.SHUT_RD)
                except OSError:
                    self._open.discard(connection)
            time.sleep(0.01)


class ApiServer:
    """The app at `url` between `start` and `stop`."""

    def __init__(self, app: Chalice, port: int, *, port_option: str = "--port") -> None:
        self._app = app
        self._port = port
        self._port_option = port_option
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where the API answers, without a trailing slash."""
        return f"http://{HOST}:{self._port}"

    def start(self) -> None:
        """Requests are being answered.

        Raises:
            PortBusyError: Somebody else listens on the port.
        """
        isolate_requests(self._app)
        config = Config.create(app_name=self._app.app_name, lambda_timeout=FUNCTION_TIMEOUT_SECONDS)
        handler = functools.partial(_Handler, app_object=self._app, config=config)
        try:
            self._server = _Server((HOST, self._port), handler)
        except OSError as error:
            raise PortBusyError(self._port, self._port_option) from error
        self._port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="api-server", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """The port is free and no thread is left, save of a request that would not end."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.shutdown()
        self._thread.join()
        server.server_close()
        server.drain(STOP_SECONDS)
