"""A client that keeps its connection, repeats what had no definite answer, and remembers how each request went."""

import http.client
import json
import time
from dataclasses import dataclass, field
from typing import Any, Final

TIMEOUT_SECONDS: Final = 30.0
# An operation that got no definite answer for so long is told as lost.
PATIENCE_SECONDS: Final = 25.0
LATER: Final = (409, 429, 503)
NO_ANSWER: Final = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; the status is 0 if the connection broke before there was one."""

    status: int
    body: dict[str, Any]
    retry_after: float | None


@dataclass(slots=True)
class Client:
    """One caller: not for two threads."""

    host: str
    port: int
    token: str
    seconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    without_retry_after: list[str] = field(default_factory=list)
    _connection: http.client.HTTPConnection | None = None

    def settled(
        self, method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None
    ) -> Answer | None:
        """The definite answer, however often it had to be asked for; None if none came."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self.ask(method, path, body, key)
            is_definite = answer.status not in (NO_ANSWER, *LATER) or (
                answer.status == 409 and answer.retry_after is None
            )
            if is_definite:
                return answer
            pause = answer.retry_after or 0.05
            if time.monotonic() + pause > deadline:
                return None
            time.sleep(pause)

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, key: str | None = None
    ) -> Answer:
        """What came of one request."""
        headers = {"Authorization": f"Bearer {self.token}"}
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        began = time.perf_counter()
        try:
            answer = self._exchange(method, f"/v1{path}", data, headers)
        except (OSError, http.client.HTTPException):
            self.close()
            answer = Answer(NO_ANSWER, {}, None)
        self.seconds.append(time.perf_counter() - began)
        self.statuses.append(answer.status)
        if answer.status in (429, 503) and answer.retry_after is None:
            self.without_retry_after.append(f"{answer.status} {method} {path}")
        return answer

    def close(self) -> None:
        """The next request opens a connection of its own."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> Answer:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                self.host, self.port, timeout=TIMEOUT_SECONDS
            )
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        text = answer.read()
        later = answer.getheader("Retry-After")
        return Answer(
            answer.status, json.loads(text) if text else {}, None if later is None else float(later)
        )
