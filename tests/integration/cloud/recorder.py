"""What AWS is asked for: a proxy before the emulator that writes down each action, its resource and its function.

It stands on the wire, so that no client escapes it: botocore, PynamoDB, or the check's own signed requests.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Use(NamedTuple):
    """One function needs one action on one resource, as IAM calls them."""

    function: str
    action: str
    resource: str


NOBODY = "nobody"
# What a transaction needs is a permission for each of its parts.
PARTS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


class Recorder:
    """Forwards to the emulator; `uses` grows."""

    def __init__(self, endpoint_url: str) -> None:
        self.uses: set[Use] = set()
        self.function = NOBODY
        target = urlsplit(endpoint_url)
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                recorder.write_down(self.headers.get("X-Amz-Target", ""), body)
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in ("connection", "expect")
                }
                link = http.client.HTTPConnection(str(target.hostname), target.port, timeout=30)
                link.request("POST", self.path, body, headers)
                answer = link.getresponse()
                content = answer.read()
                self.send_response_only(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                link.close()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def acting_as(self, function: str) -> Iterator[None]:
        """Until its end, whatever AWS is asked for, this function asked for."""
        before, self.function = self.function, function
        try:
            yield
        finally:
            self.function = before

    def write_down(self, target: str, body: bytes) -> None:
        service, _, operation = target.rpartition(".")
        asked = json.loads(body)
        for action, resource in _needed(service, operation, asked):
            self.uses.add(Use(self.function, action, resource))


def _needed(service: str, operation: str, asked: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if service.startswith("DynamoDB"):
        if operation == "TransactWriteItems":
            for item in asked["TransactItems"]:
                ((part, details),) = item.items()
                yield f"dynamodb:{PARTS[part]}", f"table/{details['TableName']}"
            return
        table = f"table/{asked['TableName']}"
        index = f"/index/{asked['IndexName']}" if "IndexName" in asked else ""
        yield f"dynamodb:{operation}", table + index
    elif service == "AmazonSQS":
        yield f"sqs:{operation}", asked.get("QueueName") or asked["QueueUrl"].rpartition("/")[2]
    elif service == "AmazonSSM":
        yield f"ssm:{operation}", f"parameter{asked['Name']}"
    elif service == "secretsmanager":
        yield f"secretsmanager:{operation}", f"secret:{asked['SecretId']}"
    else:
        raise AssertionError(f"a service that no policy knows: {service}.{operation}")
