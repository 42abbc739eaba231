"""The API's description and the API are the same thing."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

import app
from chalicelib.api import openapi, problems
from chalicelib.domain.api_keys import Scope
from chalicelib.web import reference


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(json.dumps(openapi.document(app.app.routes, "https://api.example.test")))  # type: ignore[no-any-return]


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)


def test_routes_and_document_name_the_same_paths_and_methods(document: dict[str, Any]) -> None:
    served = {
        (path, method.lower())
        for path, methods in app.app.routes.items()
        for method in methods
        if method != "OPTIONS"  # preflights are the browser's own affair
    }
    assert served == {(path, method) for path, method, _ in operations(document)}


def test_operation_ids_are_unique(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_operation_says_what_it_is(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert operation["summary"], (path, method)
        assert operation["description"], (path, method)


def test_only_known_operations_are_open_to_anybody(document: dict[str, Any]) -> None:
    open_paths = {path for path, _, operation in operations(document) if not operation["security"]}
    assert open_paths <= {
        "/openapi.json",
        "/docs",
        "/docs/problems",
        "/checkout/canceled",
        "/checkout/success",
        "/v1/.well-known/jwks.json",
        "/v1/health",
        "/v1/integrations/stripe/callback",  # by a secret state that is good once
        "/v1/webhooks/stripe",
    }


def test_every_secured_operation_names_a_scope_and_401_and_403(document: dict[str, Any]) -> None:
    scopes = {scope.value for scope in Scope}
    for path, method, operation in operations(document):
        if operation["security"]:
            [needed] = operation["security"][0]["api_key"]
            assert needed in scopes, (path, method)
            assert {"401", "403"} <= operation["responses"].keys(), (path, method)


def test_every_secured_write_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        names = {parameter["name"] for parameter in operation["parameters"]}
        expected = method != "get" and bool(operation["security"])
        assert ("Idempotency-Key" in names) is expected, (path, method)


def test_path_parameters_are_those_of_the_path(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        described = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
        assert described == re.findall(r"{(\w+)}", path)


def test_every_schema_is_used(document: dict[str, Any]) -> None:
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert used == document["components"]["schemas"].keys()


def test_request_objects_take_no_unknown_fields(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "$ref" in body.get("schema", {}):
            name = body["schema"]["$ref"].rpartition("/")[2]
            schema = document["components"]["schemas"][name]
            assert schema["additionalProperties"] is False, (path, method)


def test_page_shows_every_operation_and_schema_without_scripts(document: dict[str, Any]) -> None:
    page = reference.api_page(document)
    for path, _, operation in operations(document):
        assert f"<code>{path}</code>" in page
        assert f'id="{operation["operationId"].replace("_", "-")}"' in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))
    for forbidden in ("<script", "javascript:", "style=", "http://", "onload"):
        assert forbidden not in page
    assert "script-src" not in reference.CONTENT_SECURITY_POLICY
    assert "unsafe" not in reference.CONTENT_SECURITY_POLICY


def test_problem_page_has_every_code() -> None:
    page = reference.problems_page(problems.described())
    for code, *_ in problems.described():
        assert f'id="{code}"' in page
