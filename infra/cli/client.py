"""The API as the commands use it: JSON in and out, refusals as errors, writes that may be repeated."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from infra.cli.errors import ApiError, CliError

TIMEOUT_SECONDS: Final = 30.0
TRIES: Final = 3
LONGEST_PAUSE_SECONDS: Final = 10.0
PAGE_SIZE: Final = 100
TRY_AGAIN: Final = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class ApiClient:
    """One API with one key.

    A busy API (429, 503) is asked again after as long as it says; writes carry an Idempotency-Key,
    so that this never does anything twice.
    """

    def __init__(
        self,
        api_url: str,
        api_key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=self.api_url,
            headers={"Authorization": f"Bearer {api_key}", "User-Agent": "paygrade-cli"},
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            # A proxy of the environment does not know this machine's own ports.
            trust_env=urlsplit(self.api_url).hostname not in LOOPBACK,
        )

    def get(self, where: str, **query: str | int | None) -> dict[str, Any]:
        """The object there."""
        return self._ask("GET", where, params={k: v for k, v in query.items() if v is not None})

    def post(self, where: str, body: Any = None) -> dict[str, Any]:
        """What became of the write."""
        return self._write("POST", where, json={} if body is None else body)

    def delete(self, where: str) -> dict[str, Any]:
        """What became of the object."""
        return self._write("DELETE", where)

    def items(self, where: str, limit: int, **query: str | None) -> Iterator[dict[str, Any]]:
        """Up to `limit` objects of a list, over as many pages as it takes."""
        cursor: str | None = None
        while limit > 0:
            page = self.get(where, limit=min(limit, PAGE_SIZE), cursor=cursor, **query)
            yield from page["data"][:limit]
            limit -= len(page["data"])
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def close(self) -> None:
        """No connection is open any more."""
        self._http.close()

    def _write(self, method: str, where: str, **arguments: Any) -> dict[str, Any]:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._ask(method, where, headers=headers, **arguments)

    def _ask(self, method: str, where: str, **arguments: Any) -> dict[str, Any]:
        tries = 0
        while True:
            answer = self._send(method, where, **arguments)
            tries += 1
            if answer.status_code not in TRY_AGAIN or tries == TRIES:
                return self._read(answer)
            self._sleep(_pause(answer))

    def _send(self, method: str, where: str, **arguments: Any) -> httpx.Response:
        try:
            return self._http.request(method, where, **arguments)
        except httpx.TimeoutException as error:
            raise CliError(
                f"{self.api_url} gave no answer in {TIMEOUT_SECONDS:g} s.", code="timeout"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CliError(
                f"Could not reach {self.api_url}: {error}. Is it running, and is the URL right?",
                code="unreachable",
            ) from error

    def _read(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            content = answer.json()
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise CliError(
                f"{self.api_url} answered {answer.status_code} without a JSON object:"
                " is it a Paygrade API?",
                code="not_an_api",
            )
        if not answer.is_success:
            raise ApiError({"status": answer.status_code, **content})
        return content


def _pause(answer: httpx.Response) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(float(text) if text.isdecimal() else 1.0, LONGEST_PAUSE_SECONDS)
