"""One signed HTTP call to a service of AWS on a kept connection, at a fraction of the SDK's cost.

PynamoDB and botocore take a tenth of a second to import and most of a millisecond of CPU for each call; signing by
hand and parsing with the standard library takes a fifth of that. It is an optimisation and nothing else: on anything
but success (an error answer, expired credentials, a broken connection twice, a body that reads oddly) whoever calls
has the SDK do the same, with its retries and credential refresh. So only calls that may be done twice come here: reads,
and writes that carry a token by which the service knows a repetition.
"""

import contextlib
import json
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from chalicelib.adapters.kept_connection import KeptConnection, OddAnswerError
from chalicelib.adapters.sigv4 import DYNAMODB, Credentials, Service, Signer
from chalicelib.ports import Clock

TIMEOUT_SECONDS: Final = 1.0
# An idle connection may vanish without a word: a NAT gateway forgets it after 350 seconds, a frozen container misses
# its end. Whoever sends on such a one hears nothing until the time-out, so it is given up long before.
IDLE_FOR: Final = timedelta(seconds=50)
_PORTS: Final = {"http": 80, "https": 443}
# What Python raises at an answer that is JSON, but of another form than was asked for.
ODD: Final = (ValueError, KeyError, TypeError, AttributeError)
CredentialsSource = Callable[[], Credentials | None]


class UnexpectedError(Exception):
    """The fast way did not work out; the message says where, for the log."""


class HotClient:
    """The operations of one service at one endpoint."""

    def __init__(
        self,
        *,
        region: str,
        endpoint_url: str | None,
        credentials: CredentialsSource,
        clock: Clock,
        timeout_seconds: float = TIMEOUT_SECONDS,
        service: Service = DYNAMODB,
    ) -> None:
        """No request is made. `credentials` gives None when only the SDK knows where to find some."""
        endpoint = urlsplit(endpoint_url or default_endpoint(region, service))
        self._is_tls = endpoint.scheme == "https"
        self._host = endpoint.hostname or ""
        self._port = endpoint.port or _PORTS[endpoint.scheme]
        self._new_signer = partial(Signer, host=endpoint.netloc, region=region, service=service)
        self._signers: dict[str, Signer] = {}
        self._credentials = credentials
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        # The one used last stands last.
        self._idle: deque[tuple[KeptConnection, datetime]] = deque()
        self._tls: ssl.SSLContext | None = None

    def call(self, operation: str, body: bytes) -> Any:  # noqa: ANN401 -- JSON
        """The answer.

        Raises:
            UnexpectedError: There is none, or it is no success.
        """
        credentials = self._credentials()
        if credentials is None:
            raise UnexpectedError("no_credentials")
        headers = self._signer(operation).headers(body, credentials, self._clock.now())
        status, text = self._send(body, headers)
        if status != 200:  # noqa: PLR2004 -- the SDK knows what to do about every other one
            raise UnexpectedError(f"status_{status}")
        try:
            return json.loads(text)
        except ValueError as error:
            raise UnexpectedError("odd_answer") from error

    def _signer(self, operation: str) -> Signer:
        if operation not in self._signers:
            self._signers[operation] = self._new_signer(operation=operation)
        return self._signers[operation]

    def _send(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        # The other side may have closed a kept connection since it was used last, or may be gone; that shows only in
        # use. The call may be done twice, so sending it again on a fresh connection is safe.
        why = "no_connection"
        for connection in self._candidates():
            try:
                answer = connection.post(headers, body)
            except OddAnswerError as error:
                connection.close()
                raise UnexpectedError("odd_answer") from error
            except OSError as error:
                connection.close()
                why = "timeout" if isinstance(error, TimeoutError) else "no_connection"
                continue
            if connection.is_reusable:
                self._idle.append((connection, self._clock.now()))
            else:
                connection.close()
            return answer
        raise UnexpectedError(why)

    def _candidates(self) -> Iterator[KeptConnection]:
        """An idle connection if there is one, then a fresh one."""
        # Taking from a deque is atomic: no two threads get the same connection.
        with contextlib.suppress(IndexError):
            connection, used_at = self._idle.pop()
            # By the time of day, which a container knows when it thaws: the time since it started may have stood still.
            if timedelta() <= self._clock.now() - used_at < IDLE_FOR:
                yield connection
            else:
                connection.close()
                self.close()  # the others were used even earlier
        yield KeptConnection(self._connected)

    def _connected(self) -> socket.socket:
        """A socket to the endpoint; over TLS the other side has proved to be it."""
        plain = socket.create_connection((self._host, self._port), self._timeout_seconds)
        # A request is one packet, and nobody waits for a second one to come along.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self._is_tls:
            return plain
        try:
            return self._tls_context().wrap_socket(plain, server_hostname=self._host)
        except BaseException:
            plain.close()
            raise

    def close(self) -> None:
        """No connection is kept open."""
        while self._idle:
            self._idle.pop()[0].close()

    # Connections are kept for the client's sake alone.
    __del__ = close

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def default_endpoint(region: str, service: Service = DYNAMODB) -> str:
    """Where the service is in that region (https://docs.aws.amazon.com/general/latest/gr/ddb.html, and sqs-service)."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{service.name}.{region}.{suffix}"
