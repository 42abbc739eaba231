"""DynamoDB's answers as scripted bytes, handed to botocore where it would open a connection."""

import json
from dataclasses import dataclass, field
from typing import Any, cast

from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

URL = "http://database.test"
CONNECTION_REFUSED = EndpointConnectionError(endpoint_url=URL)
CONNECT_TIMEOUT = ConnectTimeoutError(endpoint_url=URL)
READ_TIMEOUT = ReadTimeoutError(endpoint_url=URL)


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> list[bytes]:
        return [self._body]


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: dict[str, Any] | bytes = field(default_factory=dict)

    def response(self) -> AWSResponse:
        text = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        headers = HeadersDict({"content-type": "application/x-amz-json-1.0"})
        return AWSResponse(URL, self.status, cast("Any", headers), _Raw(text))


def error(code: str, message: str = "No.", status: int = 400, **more: Any) -> Answer:
    prefix = "com.amazonaws.dynamodb.v20120810#"
    return Answer(status, {"__type": prefix + code, "message": message, "Message": message, **more})


def cancelled(*codes: str) -> Answer:
    """A cancelled transaction, as DynamoDB tells of it: a reason for each of its actions, in order."""
    reasons = [
        {"Code": code, "Message": "why"} if code != "None" else {"Code": code} for code in codes
    ]
    message = (
        "Transaction cancelled, please refer cancellation reasons for specific reasons "
        f"[{', '.join(codes)}]"
    )
    return error("TransactionCanceledException", message, CancellationReasons=reasons)


Scripted = Answer | Exception


@dataclass
class Wire:
    """Answers each request with the next of the script, then with the last of it for ever."""

    script: list[Scripted]
    requests: list[dict[str, Any]] = field(default_factory=list)

    def attach(self, client: Any) -> None:
        """The client's requests come here, unless an older wire takes them."""
        client.meta.events.register_first("before-send", self._send)

    @property
    def tokens(self) -> list[str]:
        return [request["ClientRequestToken"] for request in self.requests]

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        self.requests.append(json.loads(request.body))
        scripted = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(scripted, Exception):
            raise scripted
        return scripted.response()
