"""The `WebhookSender` port on the standard library: resolves once, judges every address, connects to what it judged.

No redirect is followed and no proxy used, so nothing but the judged address is ever spoken to. The answer's body is
not read.
"""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Final

from chalicelib.domain.webhook_addresses import (
    Address,
    address_refusal,
    endpoint_of,
    is_allowed_plainly,
    url_refusal,
)
from chalicelib.ports import Clock, WebhookSent

Resolver = Callable[[str, int], Sequence[str]]

_UNRESOLVED: Final = "The host can't be resolved."


def resolve(host: str, port: int) -> Sequence[str]:
    """Every address that the name stands for now; raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A link-local IPv6 address may come with its zone (`fe80::1%eth0`); it is refused without, too.
    return tuple(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))


class _RefusedError(Exception):
    """The URL stands for an address that is none to send to; the text says why."""


class HttpWebhookSender:
    """Sends over HTTPS to public addresses; with `local` to this machine, too."""

    def __init__(
        self,
        machine: Clock,
        *,
        local: bool,
        resolver: Resolver = resolve,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """No request is made. `trust` replaces the certificates that the machine trusts."""
        self._machine = machine
        self._local = local
        self._resolve = resolver
        self._given_trust = trust

    def now(self) -> datetime:
        """The machine's time, whatever a test clock says."""
        return self._machine.now()

    def refusal(self, url: str) -> str | None:
        """Why events can't be sent there now; None if they can."""
        try:
            self._addresses(url)
        except _RefusedError as error:
            return str(error)
        except (OSError, UnicodeError):
            return _UNRESOLVED
        return None

    def send(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_seconds: float
    ) -> WebhookSent:
        """What came of one POST."""
        began = time.monotonic()
        status: int | None = None
        error: str | None = None
        try:
            status = self._post(url, headers, body, began + timeout_seconds)
            error = None if 200 <= status < 300 else f"http_{status}"  # noqa: PLR2004 -- HTTP's 2xx
        except _RefusedError:
            error = "address_not_allowed"
        except ssl.SSLError:
            error = "tls_failed"
        except TimeoutError:
            error = "timeout"
        except (socket.gaierror, UnicodeError):
            error = "not_resolved"
        except (OSError, http.client.HTTPException, ValueError):
            # A connection that our own deadline has shut looks like a broken one.
            late = time.monotonic() - began >= timeout_seconds
            error = "timeout" if late else "connection_failed"
        return WebhookSent(
            status=status, error=error, duration_ms=round((time.monotonic() - began) * 1000)
        )

    def _post(self, url: str, headers: Mapping[str, str], body: bytes, deadline: float) -> int:
        address = self._addresses(url)[0]
        scheme, host, port, target = endpoint_of(url)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        trust = self._trust if scheme == "https" else None
        connection = _PinnedConnection(host, port, str(address), trust, timeout=left)
        # The socket's own timeout starts anew with every byte; this one does not.
        watch = threading.Timer(left, connection.shut)
        watch.daemon = True
        watch.start()
        try:
            connection.request("POST", target, body=body, headers=dict(headers))
            return connection.getresponse().status
        finally:
            watch.cancel()
            connection.close()

    def _addresses(self, url: str) -> list[Address]:
        """What the URL stands for now: every address is one to send to, or `_RefusedError` is raised."""
        refusal = url_refusal(url, local=self._local)
        if refusal is not None:
            raise _RefusedError(refusal)
        scheme, host, port, _ = endpoint_of(url)
        found = [ip_address(text) for text in self._resolve(host, port)]
        if not found:
            raise _RefusedError(_UNRESOLVED)
        for address in found:
            refusal = address_refusal(address, local=self._local)
            if refusal is not None:
                raise _RefusedError(refusal)
            if scheme == "http" and not is_allowed_plainly(address):
                raise _RefusedError("The URL has to begin with https://.")
        return found

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        return self._given_trust or ssl.create_default_context()


class _PinnedConnection(http.client.HTTPConnection):
    """A connection to this one address, whatever the host's name may stand for by now."""

    def __init__(
        self, host: str, port: int, address: str, trust: ssl.SSLContext | None, *, timeout: float
    ) -> None:
        super().__init__(host, port, timeout=timeout)
        # Also the port that is left out of the Host header.
        self.default_port = 443 if trust is not None else 80
        self._address = address
        self._trust = trust

    def connect(self) -> None:
        """The socket is open, and, with TLS, the other side has proved to be the host."""
        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = plain
        if self._trust is not None:
            self.sock = self._trust.wrap_socket(plain, server_hostname=self.host)

    def shut(self) -> None:
        """Whoever waits for the other side waits no more."""
        open_socket: socket.socket | None = self.sock
        if open_socket is not None:
            try:
                open_socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                return
