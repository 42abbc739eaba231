"""One signed HTTP call to DynamoDB on a kept connection, at a fraction of the SDK's cost.

PynamoDB and botocore take a tenth of a second to import and most of a millisecond of CPU for each read; signing by
hand and parsing with the standard library takes a fifth of that. It is an optimisation of reads and nothing else: on
anything unexpected (an error answer, expired credentials, a broken connection twice, a body that reads oddly) whoever
calls has the SDK do the same read, with its retries and credential refresh.
"""

import contextlib
import json
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlsplit

from chalicelib.adapters.dynamodb.kept_connection import KeptConnection, OddAnswerError
from chalicelib.adapters.dynamodb.sigv4 import Credentials, Signer
from chalicelib.ports import Clock

TIMEOUT_SECONDS: Final = 1.0
CredentialsSource = Callable[[], Credentials | None]


class UnexpectedError(Exception):
    """The fast way did not work out; the message says where, for the log."""


class HotClient:
    """DynamoDB's reading operations at one endpoint."""

    def __init__(
        self,
        *,
        region: str,
        endpoint_url: str | None,
        credentials: CredentialsSource,
        clock: Clock,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """No request is made. `credentials` gives None when only the SDK knows where to find some."""
        endpoint = urlsplit(endpoint_url or default_endpoint(region))
        self._is_tls = endpoint.scheme == "https"
        self._host = endpoint.hostname or ""
        self._port = endpoint.port
        self._signers = {
            operation: Signer(host=endpoint.netloc, region=region, operation=operation)
            for operation in ("GetItem", "Query")
        }
        self._credentials = credentials
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._idle: deque[KeptConnection] = deque()
        self._tls: ssl.SSLContext | None = None

    def call(self, operation: str, body: bytes) -> Any:  # noqa: ANN401 -- JSON
        """The answer.

        Raises:
            UnexpectedError: There is none, or it is no success.
        """
        credentials = self._credentials()
        if credentials is None:
            raise UnexpectedError("no_credentials")
        headers = self._signers[operation].headers(body, credentials, self._clock.now())
        status, text = self._send(body, headers)
        if status != 200:  # noqa: PLR2004 -- the SDK knows what to do about every other one
            raise UnexpectedError(f"status_{status}")
        try:
            return json.loads(text)
        except ValueError as error:
            raise UnexpectedError("odd_answer") from error

    def _send(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        # A kept connection may have been closed by the other side since it was used last; that shows only in
        # use. The call reads, so sending it again on a fresh connection is safe.
        for connection in self._candidates():
            try:
                answer = connection.post(headers, body)
            except TimeoutError as error:
                connection.close()
                raise UnexpectedError("timeout") from error
            except OddAnswerError as error:
                connection.close()
                raise UnexpectedError("odd_answer") from error
            except (OSError, HTTPException):
                connection.close()
                continue
            if connection.is_reusable:
                self._idle.append(connection)
            else:
                connection.close()
            return answer
        raise UnexpectedError("no_connection")

    def _candidates(self) -> Iterator[KeptConnection]:
        """An idle connection if there is one, then a fresh one."""
        # Taking from a deque is atomic: no two threads get the same connection.
        with contextlib.suppress(IndexError):
            yield self._idle.pop()
        yield KeptConnection(self._opened())

    def _opened(self) -> HTTPConnection:
        if self._is_tls:
            return HTTPSConnection(
                self._host, self._port, timeout=self._timeout_seconds, context=self._tls_context()
            )
        return HTTPConnection(self._host, self._port, timeout=self._timeout_seconds)

    def close(self) -> None:
        """No connection is kept open."""
        while self._idle:
            self._idle.pop().close()

    # Connections are kept for the client's sake alone.
    __del__ = close

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def default_endpoint(region: str) -> str:
    """Where DynamoDB is in that region (https://docs.aws.amazon.com/general/latest/gr/ddb.html)."""
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://dynamodb.{region}.{suffix}"
