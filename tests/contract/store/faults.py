"""Faults between a store and its database, put into botocore's last step before the wire."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import urllib3
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.client import ClientCreator
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

Handler = Callable[[Any], Any]


class _Raw:
    """What botocore reads a body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self._body


def answer(status: int, body: bytes, headers: dict[str, str]) -> AWSResponse:
    return AWSResponse(
        "http://fault",
        status,
        cast("Any", HeadersDict(headers)),
        _Raw(body),
    )


def delivered(request: Any) -> AWSResponse:
    """The request reached the database; its answer."""
    done = urllib3.request(
        request.method, request.url, body=request.body, headers=dict(request.headers.items())
    )
    return answer(done.status, done.data, dict(done.headers))


def lost_answer(request: Any) -> AWSResponse:
    delivered(request)
    raise ConnectionClosedError(endpoint_url=request.url)


def timed_out(request: Any) -> AWSResponse:
    delivered(request)
    raise ReadTimeoutError(endpoint_url=request.url)


@contextmanager
def faults(monkeypatch: Any, operation: str, script: list[Handler | None]) -> Iterator[list[str]]:
    """The script's faults befall the next requests of this operation, then all is well; lists the requests."""
    requests: list[str] = []
    remaining = list(script)
    original = ClientCreator.create_client

    def create_client(self: Any, *args: Any, **kwargs: Any) -> Any:
        client = original(self, *args, **kwargs)
        client.meta.events.register("before-send.dynamodb.*", before_send)
        return client

    def before_send(request: Any, event_name: str, **_: object) -> Any:
        requests.append(event_name.rpartition(".")[2])
        if event_name.endswith(operation) and remaining:
            handler = remaining.pop(0)
            return None if handler is None else handler(request)
        return None

    with monkeypatch.context() as patch:
        patch.setattr(ClientCreator, "create_client", create_client)
        yield requests
