"""The OpenAPI 3.1 document, made of the routes being served and the models that serve them."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from chalice.app import RouteEntry
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from chalicelib.api import problems
from chalicelib.api.operations import Operation, Text
from chalicelib.api.problems import Problem
from chalicelib.api.requests import MAX_BODY_BYTES, MAX_IDEMPOTENCY_KEY_LENGTH
from chalicelib.api.wire import NoBody
from chalicelib.domain.idempotency import REPLAYED
from chalicelib.domain.ids import CHOSEN_ID_PATTERN
from chalicelib.services.idempotency import KEPT_HOURS

Document = dict[str, Any]
Routes = Mapping[str, Mapping[str, RouteEntry]]

_REF: Final = "#/components/schemas/{model}"
_PROBLEM: Final = 400
# What pydantic leaves of bounds behind a validator of ours (`QueryInt`).
_BOUNDS: Final = {"ge": "minimum", "le": "maximum"}
_LIST_NAME: Final = re.compile(r"ListOut_(\w+?)(?:Out)?_(?=\")")
_PARAMS: Final = re.compile(r"{(\w+)}")
_DESCRIPTION: Final = f"""Monetization control plane: catalog, entitlements, usage and billing.

Errors are `application/problem+json` (RFC 9457) with a stable `code`. Money is in integer minor units. Every
answer has a `Request-Id`. A request body has at most {MAX_BODY_BYTES} bytes; fields that are not described are
refused."""
_KEY_HEADER: Final[Document] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": (
        f"The same key and request get the first answer again for {KEPT_HOURS} hours, marked "
        f"`{REPLAYED}: true`; the same key with another request is refused."
    ),
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_IDEMPOTENCY_KEY_LENGTH,
        "pattern": "^[ -~]+$",
    },
}
_ETAG_HEADER: Final[Document] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` of an earlier answer: if nothing changed, the answer is an empty 304.",
    "schema": {"type": "string"},
}
_PROBLEMS: Final = {
    400: "The request is malformed.",
    401: "There is no valid API key or customer token.",
    403: "The key lacks the scope, or the token is for another customer or another use.",
    404: "There is no such object.",
    409: "The state of things is in the way.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "The input is invalid.",
    429: "Too often; try again after `Retry-After` seconds.",
    500: "Something went wrong on our side.",
    503: "Something we need is unavailable; try again after `Retry-After` seconds.",
}


def operations_of(routes: Routes) -> list[Operation]:
    """Everything that is served, in the order of registration."""
    return [
        entry.view_function.operation
        for methods in routes.values()
        for entry in methods.values()
        if hasattr(entry.view_function, "operation")
    ]


def document(routes: Routes, server_url: str) -> Document:
    """The description of all these routes, served under this URL."""
    operations = operations_of(routes)
    refs, schemas = _schemas(operations)
    paths: dict[str, Document] = {}
    for operation in operations:
        method = operation.method.lower()
        paths.setdefault(operation.path, {})[method] = _operation(operation, refs, schemas)
    for operation in operations:
        schemas.pop(_name(refs[operation.query, "validation"]), None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Paygrade", "version": "1", "description": _DESCRIPTION},
        "servers": [{"url": server_url}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in operations)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {
                f"Problem{status}": _problem_response(status, text)
                for status, text in _PROBLEMS.items()
            },
            "headers": {
                "Request-Id": {
                    "description": "Names this request in our logs.",
                    "schema": {"type": "string"},
                }
            },
            "securitySchemes": {
                "api_key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A secret key: `Authorization: Bearer pg_sk_...`. An operation's "
                    "scope stands beside it.",
                },
                "customer_token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of `POST /v1/customer_tokens`: opens what is of its own customer.",
                },
            },
        },
    }


Refs = dict[tuple[type[BaseModel], JsonSchemaMode], str]


def _schemas(operations: Iterable[Operation]) -> tuple[Refs, dict[str, Document]]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(Problem, "serialization"): None}
    for operation in operations:
        wanted[operation.body, "validation"] = None
        wanted[operation.query, "validation"] = None
        if not issubclass(operation.answer, Text):
            wanted[operation.answer, "serialization"] = None
    schema = models_json_schema(list(wanted), ref_template=_REF)
    refs = {key: _LIST_NAME.sub(r"\1List", f'{schema[0][key]["$ref"]}"')[:-1] for key in wanted}
    definitions = json.loads(_LIST_NAME.sub(r"\1List", json.dumps(schema[1])))
    schemas: dict[str, Document] = definitions["$defs"]
    schemas.pop(_name(refs.get((NoBody, "validation"), "")), None)
    return refs, schemas


def _name(ref: str) -> str:
    return ref.rpartition("/")[2]


def _operation(operation: Operation, refs: Refs, schemas: Mapping[str, Document]) -> Document:
    described: Document = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [
            *_parameters(operation, schemas[_name(refs[operation.query, "validation"])])
        ],
        "responses": _responses(operation, refs),
        "security": _security(operation),
    }
    if operation.raw:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    elif operation.body is not NoBody:
        ref = refs[operation.body, "validation"]
        described["requestBody"] = {
            "required": bool(schemas[_name(ref)].get("required")),
            "content": {"application/json": {"schema": {"$ref": ref}}},
        }
    return described


def _security(operation: Operation) -> list[Document]:
    if operation.scope is None:
        return []
    by_token: list[Document] = [{"customer_token": []}] if operation.whose is not None else []
    return [{"api_key": [operation.scope.value]}, *by_token]


def _parameters(operation: Operation, query: Document) -> Iterable[Document]:
    for name in _PARAMS.findall(operation.path):
        schema = {"type": "string", "pattern": CHOSEN_ID_PATTERN}
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    required = query.get("required", ())
    for name, schema in query.get("properties", {}).items():
        parameter = {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _query_schema(schema),
        }
        if "description" in schema:
            parameter["description"] = schema["description"]
        yield parameter
    if operation.takes_idempotency_key:
        yield _KEY_HEADER
    if operation.etag:
        yield _ETAG_HEADER


def _query_schema(schema: Document) -> Document:
    """The schema without null, which no query parameter can be."""
    shown = {
        _BOUNDS.get(key, key): value
        for key, value in schema.items()
        if key not in ("description", "title")
    }
    options: list[Document] = [one for one in shown.pop("anyOf", ()) if one != {"type": "null"}]
    if shown.get("default", "") is None:
        del shown["default"]
    if len(options) == 1:
        return {**options[0], **shown}
    return {"anyOf": options} | shown if options else shown


def _responses(operation: Operation, refs: Refs) -> Document:
    headers: Document = {"Request-Id": {"$ref": "#/components/headers/Request-Id"}}
    if operation.etag:
        headers["ETag"] = {"schema": {"type": "string"}}
    if operation.takes_idempotency_key and not operation.secret_answer:
        headers[REPLAYED] = {"schema": {"const": "true"}}
    if issubclass(operation.answer, Text):
        content: Document = {operation.media_type: {}}
    else:
        ref = refs[operation.answer, "serialization"]
        content = {"application/json": {"schema": {"$ref": ref}}}
    meanings = {operation.status: "Done." if operation.method != "GET" else "As asked for."}
    found = {
        str(status): {"description": meaning, "headers": headers, "content": content}
        for status, meaning in (meanings | dict(operation.also)).items()
        if status < _PROBLEM
    }
    if operation.etag:
        found["304"] = {"description": "Nothing changed.", "headers": headers}
    for status in _problem_statuses(operation):
        found[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    return dict(sorted(found.items()))


def _problem_statuses(operation: Operation) -> set[int]:
    statuses = {422, 500, 503, *(status for status in operation.also if status >= _PROBLEM)}
    if operation.scope is not None:
        statuses |= {401, 403, 429}
    named = (*operation.body.model_fields, *operation.query.model_fields)
    names_others = any(name.endswith("_id") for name in named)
    if "{" in operation.path or names_others:
        statuses |= {404}
    if operation.method == "GET":
        return statuses
    return statuses | {400, 409, 413} | (set() if operation.raw else {415})


def _problem_response(status: int, text: str) -> Document:
    headers: Document = {"Request-Id": {"$ref": "#/components/headers/Request-Id"}}
    if status in (409, 429, 503):
        headers["Retry-After"] = {"schema": {"type": "integer", "minimum": 1}}
    if status == 401:  # noqa: PLR2004
        headers["WWW-Authenticate"] = {
            "schema": {"type": "string"},
            "description": "API Gateway sends it under the name `x-amzn-Remapped-WWW-Authenticate`.",
        }
    ref = {"$ref": _REF.format(model=Problem.__name__)}
    return {
        "description": text,
        "headers": headers,
        "content": {problems.MEDIA_TYPE: {"schema": ref}},
    }
