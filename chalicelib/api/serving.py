"""The shell around every handler: who calls, is the request well formed, what is answered.

Chalice turns a route's exceptions into its own answers before any middleware sees them, so all of
it happens in a decorator under `@bp.route`.
"""

import hashlib
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final

from chalice.app import Request, Response
from pydantic import BaseModel

from chalicelib.api import auth, requests, runtime
from chalicelib.api.browsers import cross_origin_headers
from chalicelib.api.operations import Call, Operation, Reply, Text
from chalicelib.api.problems import problem_of
from chalicelib.api.rate_limits import count_request
from chalicelib.api.wire import NoBody
from chalicelib.domain.api_keys import ApiKey
from chalicelib.domain.audit_log import Cause
from chalicelib.domain.customer_tokens import CustomerToken
from chalicelib.ports import Ports
from chalicelib.services.idempotency import Answer, execute_once

ANONYMOUS: Final = "anonymous"


def serve(
    operation: Operation,
    handler: Callable[[Call[Any, Any]], Any],
    request: Request,
    path_params: Mapping[str, str],
) -> Response:
    """What the client is sent, whatever happens inside."""
    request_id = _request_id(request)
    began = time.perf_counter()
    ports: Ports | None = None
    try:
        ports = runtime.ports()
        answer = _execute(operation, handler, request, path_params, ports, request_id)
    except Exception as error:  # noqa: BLE001 -- the last line: nothing escapes to Chalice's own answers
        answer = _failure(error, request_id, operation, ports)
    seconds = time.perf_counter() - began
    return _response(ports, operation, answer, request.headers, request_id, path_params, seconds)


def failed(
    operation: Operation,
    error: Exception,
    request_id: str,
    path_params: Mapping[str, str],
    seconds: float,
) -> Response:
    """What the client is sent when a quicker way to serve the operation met an error."""
    ports = runtime.ports()
    answer = _failure(error, request_id, operation, ports)
    return _response(ports, operation, answer, {}, request_id, path_params, seconds)


def _response(
    ports: Ports | None,
    operation: Operation,
    answer: Answer,
    sent: Mapping[str, str],
    request_id: str,
    path_params: Mapping[str, str],
    seconds: float,
) -> Response:
    if operation.etag and answer.status == operation.status:
        answer = _with_etag(answer, sent)
    _log(ports, operation, answer, request_id, path_params, seconds)
    headers: dict[str, Any] = {
        "Content-Type": "application/json",
        "Cache-Control": "no-store" if not operation.etag else "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        **answer.headers,
        "Request-Id": request_id,
    }
    if operation.for_browsers and ports is not None:
        origins = ports.environment.browser_origins
        headers |= cross_origin_headers(sent.get("origin"), origins)
    return Response(body=answer.body, headers=headers, status_code=answer.status)


def _execute(
    operation: Operation,
    handler: Callable[[Call[Any, Any]], Any],
    request: Request,
    path_params: Mapping[str, str],
    ports: Ports,
    request_id: str,
) -> Answer:
    raw = requests.body_bytes(request) if operation.method != "GET" else b""
    headers = request.headers
    caller: auth.Caller | None = None
    if operation.scope is not None:
        caller = auth.authenticate(ports, runtime.keys(), headers)
        count_request(ports, runtime.buckets(), _actor(caller))
        auth.admit(caller, operation)
    token = caller if isinstance(caller, CustomerToken) else None
    path = requests.path_values(path_params)
    query = requests.parse_query(operation.query, request)
    body: BaseModel = NoBody()
    if raw and not operation.raw:
        requests.require_json(headers)
    if not operation.raw and operation.method != "GET":
        body = requests.parse_body(operation.body, raw)
    idempotency_key = requests.idempotency_key(headers) if operation.takes_idempotency_key else None
    actor = _actor(caller)
    claim_key = digest(actor, idempotency_key) if idempotency_key is not None else None
    call: Call[Any, Any] = Call(
        body=body,
        query=query,
        path=path,
        ports=ports,
        cause=Cause(actor=actor, request_id=request_id, operation_id=claim_key or request_id),
        key=caller if isinstance(caller, ApiKey) else None,
        headers=headers,
        raw=raw,
        token=token,
    )
    if token is not None and operation.whose is not None:
        operation.whose.require(call, token)

    def run() -> Answer:
        try:
            return _answer(operation, handler(call))
        except Exception as error:  # noqa: BLE001 -- refusals are answers, too, and may be replayed
            return _failure(error, request_id, operation, ports)

    if claim_key is None:
        return run()
    fingerprint = digest(
        operation.method,
        operation.path.format(**path),
        repr(sorted(requests.query_values(request).items())),
        raw.hex(),
    )
    return execute_once(ports, claim_key, fingerprint, run, keep=not operation.secret_answer)


def _actor(caller: auth.Caller | None) -> str:
    if caller is None:
        return ANONYMOUS
    if isinstance(caller, CustomerToken):
        return f"customer:{caller.customer_id}"
    return caller.actor


def digest(*parts: str) -> str:
    """One hexadecimal SHA-256 of the parts, unambiguous about where each ends."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(f"{len(data)}:".encode() + data)
    return state.hexdigest()


def _answer(operation: Operation, result: Any) -> Answer:  # noqa: ANN401 -- any model
    reply = result if isinstance(result, Reply) else Reply(result)
    status = reply.status or operation.status
    if isinstance(reply.model, Text):
        headers = {"Content-Type": reply.model.media_type, **reply.headers}
        return Answer(status=status, body=reply.model.body, headers=headers)
    return Answer(status=status, body=reply.model.model_dump_json(), headers=dict(reply.headers))


def _with_etag(answer: Answer, headers: Mapping[str, str]) -> Answer:
    etag = f'"{hashlib.sha256(answer.body.encode()).hexdigest()[:32]}"'
    wanted = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    if etag in wanted or "*" in wanted:
        kept = {name: value for name, value in answer.headers.items() if name != "Content-Type"}
        return Answer(status=304, body="", headers={**kept, "ETag": etag})
    return Answer(status=answer.status, body=answer.body, headers={**answer.headers, "ETag": etag})


def _request_id(request: Request) -> str:
    of_gateway = request.context.get("requestId")
    return str(of_gateway or getattr(request.lambda_context, "aws_request_id", "") or "unknown")


def _failure(
    error: Exception, request_id: str, operation: Operation, ports: Ports | None
) -> Answer:
    problem, headers = problem_of(error, request_id)
    if problem.status == 500:  # noqa: PLR2004
        _log_crash(error, request_id, operation, ports)
    return Answer(status=problem.status, body=problem.text(), headers=headers)


def _log_crash(
    error: Exception, request_id: str, operation: Operation, ports: Ports | None
) -> None:
    frames = "".join(traceback.format_tb(error.__traceback__))
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    if ports is None:
        # No ports, no monitor. What the settings lack stands in the message and is no secret.
        logging.getLogger(__name__).error("no ports: %s: %s\n%s", kind, error, frames)
        return
    # Without its message: it may quote what a customer sent.
    ports.monitor.event(
        "api_crash", route=operation.path, request_id=request_id, error=kind, frames=frames
    )


def _log(
    ports: Ports | None,
    operation: Operation,
    answer: Answer,
    request_id: str,
    path_params: Mapping[str, str],
    seconds: float,
) -> None:
    if ports is not None:
        ports.monitor.event(
            "api_request",
            method=operation.method,
            route=operation.path,
            status=answer.status,
            duration_ms=round(seconds * 1000, 1),
            request_id=request_id,
            **_whom(path_params, answer),
        )


def _whom(path_params: Mapping[str, str], answer: Answer) -> dict[str, str]:
    """The customer it was about, once found: before, it is whatever a caller wrote there."""
    if "customer_id" not in path_params or answer.status >= 400:  # noqa: PLR2004
        return {}
    return {"customer_id": path_params["customer_id"]}
