"""The stand-in over HTTP on this machine only, with the worker that delivers webhooks."""

from __future__ import annotations

import logging
import socket
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from infra.local.stripe_stand_in import deliveries
from infra.local.stripe_stand_in.core import StandIn
from infra.local.stripe_stand_in.wire import Request, Response

_HOST = "127.0.0.1"
_MAX_BODY_BYTES = 4 * 1024 * 1024
_SETTLE_SECONDS = 0.3
_TICK_SECONDS = 1.0
log = logging.getLogger("paygrade.stripe_stand_in")


class PortInUseError(RuntimeError):
    """Something else listens on the wanted port."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY_BYTES:
            self.close_connection = True
            self._send(Response(413, {}, b""))
            return
        parts = urlsplit(self.path)
        request = Request(
            self.command,
            parts.path,
            parts.query,
            dict(self.headers.items()),
            self.rfile.read(length) if length else b"",
        )
        try:
            answer = self.server.stand_in.handle(request)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            answer = Response(500, {"Content-Type": "application/json"}, _CRASH)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("%s %s -> %s", request.method, request.path, answer.status)
        if answer.delay_seconds:
            self.server.closing.wait(answer.delay_seconds)
        if answer.delivery == "send":
            self._send(answer)
        else:
            self._drop(answer)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = _serve  # noqa: N815

    def _send(self, answer: Response) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def _drop(self, answer: Response) -> None:
        """The connection ends without an answer; a reset ends it rudely."""
        self.close_connection = True
        if answer.delivery == "reset":
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        log.debug(format, *args)


_CRASH = b'{"error":{"type":"api_error","message":"The stand-in itself failed; see its log."}}'


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int, stand_in: StandIn, closing: threading.Event) -> None:
        super().__init__((_HOST, port), _Handler)
        self.stand_in = stand_in
        self.closing = closing

    def handle_error(self, _request: Any, client_address: Any) -> None:
        """A client that went away is no error."""
        log.debug("connection from %s ended early", client_address)


class StandInServer:
    """A stand-in that listens; use it as a context manager or call `start` and `stop`."""

    def __init__(
        self,
        stand_in: StandIn | None = None,
        *,
        port: int = 0,
        transport: deliveries.Transport = deliveries.post,
    ) -> None:
        self.stand_in = stand_in or StandIn()
        self._port = port
        self._transport = transport
        self._closing = threading.Event()
        self._server: _Server | None = None
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("The stand-in has not been started.")
        return f"http://{_HOST}:{self._server.server_address[1]}"

    def start(self) -> Self:
        """It listens and delivers; raises PortInUseError when the port is taken."""
        self._closing.clear()
        try:
            self._server = _Server(self._port, self.stand_in, self._closing)
        except OSError as taken:
            raise PortInUseError(
                f"port {self._port} on {_HOST} is in use; choose another port"
            ) from taken
        for one in self.stand_in.everyone():
            one.account.base_url = self.url
        self._threads = [
            threading.Thread(
                target=self._server.serve_forever, args=(0.05,), name="stand-in", daemon=True
            ),
            threading.Thread(target=self._work, name="stand-in-deliveries", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """It neither listens nor delivers; its state stays readable until closed."""
        self._closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        with self.stand_in.changed:
            self.stand_in.changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=deliveries.TIMEOUT_SECONDS + 1)
        self._threads = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _work(self) -> None:
        stand_in = self.stand_in
        while not self._closing.is_set():
            try:
                self._settle_reversed()
                made = stand_in.deliver_due(self._transport, limit=1, turn_round=False)
            except Exception:
                log.exception("a delivery failed in the stand-in itself")
                made = 0
                self._closing.wait(_TICK_SECONDS)
            if made:
                continue
            with stand_in.changed:
                stand_in.changed.wait(timeout=self._idle_seconds())

    def _idle_seconds(self) -> float:
        accounts = deliveries.everyone(self.stand_in.account)
        if any(map(deliveries.is_reversing, accounts)):
            return _SETTLE_SECONDS
        if any(map(deliveries.due, accounts)):
            return 0.0
        return _TICK_SECONDS

    def _settle_reversed(self) -> None:
        """Reversed deliveries go once no new one has come for a moment."""
        stand_in = self.stand_in
        with stand_in.lock:
            turning = [
                (one, one.ids.counter)
                for one in deliveries.everyone(stand_in.account)
                if deliveries.is_reversing(one)
            ]
        if not turning:
            return
        time.sleep(_SETTLE_SECONDS)
        with stand_in.lock:
            for one, before in turning:
                if one.ids.counter == before:
                    deliveries.release(one)
            stand_in.commit()
