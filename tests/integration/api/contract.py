"""The OpenAPI document as a judge: is this answer one that the document describes?"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

import app
from chalicelib.api import openapi
from tests.unit.api.world import Answer


@dataclass(frozen=True)
class Described:
    """One operation of the document."""

    method: str
    path: str
    operation: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def scope(self) -> str | None:
        security = self.operation["security"]
        return security[0]["api_key"][0] if security else None

    @property
    def body_schema(self) -> dict[str, Any] | None:
        content = self.operation.get("requestBody", {}).get("content", {})
        schema: dict[str, Any] | None = content.get("application/json", {}).get("schema")
        return schema


@cache
def document() -> dict[str, Any]:
    made = openapi.document(app.app.routes, "https://api.example.test")
    as_sent: dict[str, Any] = json.loads(json.dumps(made))
    return as_sent


def operations() -> Iterator[Described]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield Described(method.upper(), path, operation)


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": document()["components"]})


def faults(schema: dict[str, Any], value: object) -> list[str]:
    """What the schema says against the value."""
    found = _validator(json.dumps(schema)).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]


def assert_described(described: Described, answer: Answer) -> None:
    """The document has this status for the operation, this type for the status, and this shape for the type."""
    responses = described.operation["responses"]
    assert str(answer.status) in responses, f"{described.name} answered {answer.status}"
    response = responses[str(answer.status)]
    if "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    assert answer.headers["Request-Id"]
    content = response.get("content")
    if content is None:
        assert answer.body == b""
        return
    media_type = answer.headers["Content-Type"]
    assert media_type in content, f"{described.name} answered {media_type}"
    schema = content[media_type].get("schema")
    if schema is not None:
        assert faults(schema, answer.json) == [], described.name


def assert_problem(answer: Answer, status: int, code: str) -> None:
    """The answer is this problem, in the documented shape, and tells the request's id."""
    problem = answer.json
    assert (answer.status, problem["code"]) == (status, code), problem
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert faults({"$ref": "#/components/schemas/Problem"}, problem) == []
    assert problem["status"] == status
    assert problem["type"] == f"/docs/problems#{code}"
    if (
        "Idempotent-Replayed" not in answer.headers
    ):  # then it is the first answer, and tells the first id
        assert problem["request_id"] == answer.headers["Request-Id"]
