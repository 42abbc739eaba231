"""How a handler becomes an endpoint: one decorator that names everything the outside sees of it."""

import functools
from collections.abc import Callable, Mapping
from typing import Final, TypeVar, cast

from chalice.app import Blueprint, Response
from pydantic import BaseModel

from chalicelib.api.operations import A, Call, Method, Operation, Reply, Text
from chalicelib.api.serving import serve
from chalicelib.api.whose import Whose
from chalicelib.api.wire import NoBody, NoQuery
from chalicelib.domain.api_keys import Scope

__all__ = ["Call", "Reply", "Text", "endpoint"]

BASE_PATH: Final = "/v1"
B = TypeVar("B", bound=BaseModel)
Q = TypeVar("Q", bound=BaseModel)
Handler = Callable[[Call[B, Q]], A | Reply[A]]


def endpoint(  # noqa: PLR0913 -- an endpoint's whole description stands in one place
    bp: Blueprint,
    method: Method,
    path: str,
    *,
    scope: Scope | None,
    summary: str,
    answer: type[A],
    body: type[B] | None = None,
    query: type[Q] | None = None,
    status: int = 200,
    root: bool = False,
    etag: bool = False,
    raw: bool = False,
    secret_answer: bool = False,
    whose: Whose | None = None,
    also: Mapping[int, str] | None = None,
    name: str | None = None,
    media_type: str = "application/json",
) -> Callable[[Handler[B, Q, A]], Callable[..., Response]]:
    """The handler serves `method path`; its docstring's paragraphs describe the operation.

    Args:
        bp: The noun's blueprint.
        method: The HTTP method.
        path: Relative to `/v1`, unless `root`.
        scope: What the caller's key must be allowed; None: anybody may call.
        summary: The operation in a few words.
        answer: The model of a successful answer.
        body: The model of the request's body; None: it has none.
        query: The model of the query parameters; None: there are none.
        status: Of a successful answer.
        root: Whether `path` is absolute.
        etag: Answers carry an ETag, and `If-None-Match` is honoured.
        raw: The handler reads `call.raw` itself; the body is neither parsed nor its type looked at.
        secret_answer: The answer is never stored, so a repetition is not replayed.
        whose: How the customer of a request is found, if its customer token opens this; None: no such token does.
        also: Further successful statuses and what they mean.
        name: The operation's id, if the handler's own name is not unique.
        media_type: Of a successful answer that is no model.
    """

    def register(handler: Handler[B, Q, A]) -> Callable[..., Response]:
        operation = Operation(
            method=method,
            path=path if root else BASE_PATH + path,
            name=name or handler.__name__,
            tag=bp._import_name.rpartition(".")[2],  # noqa: SLF001 -- Chalice offers no other way to it
            summary=summary,
            description=_paragraphs(handler.__doc__),
            scope=scope,
            body=body or NoBody,
            query=query or NoQuery,
            answer=cast("type[BaseModel | Text]", answer),
            status=status,
            etag=etag,
            raw=raw,
            secret_answer=secret_answer,
            whose=whose,
            also=also or {},
            media_type=media_type,
        )

        @functools.wraps(handler)
        def view(**path_params: str) -> Response:
            return serve(operation, handler, bp.current_request, path_params)

        view.operation = operation  # type: ignore[attr-defined]
        # An empty list keeps Chalice from answering 415 in a shape of its own.
        bp.route(operation.path, methods=[method], content_types=[], name=operation.name)(view)
        return view

    return register


def _paragraphs(doc: str | None) -> str:
    lines = [line.strip() for line in (doc or "").strip().splitlines()]
    return "\n".join(lines)
