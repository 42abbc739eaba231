"""The plain check, answered without the models: nearly all requests are this one, and so are most cold starts.

Plain is: an API key that may check, ids as they are, and no parameter but those below. Whatever else a request has or
lacks goes the ordinary way (`api/entitlements.py`), which owns the rules; this is the same answer sooner. A test holds
the two equal, header by header, and another that nothing heavy is imported here.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from chalice.app import Response

from chalicelib.api import runtime
from chalicelib.api.browsers import cross_origin_headers
from chalicelib.api.key_check import verified_key
from chalicelib.api.rate_limits import count_request
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.decisions import Question
from chalicelib.domain.ids import CustomerId, is_chosen_id
from chalicelib.domain.snapshot_documents import SourceDocument
from chalicelib.ports import Ports
from chalicelib.services.check_access import Checked, check_access

ROUTE: Final = "/v1/customers/{customer_id}/entitlements/{feature_id}"
_UNITS: Final = re.compile(r"[0-9]{1,15}")
_EPOCH: Final = datetime.fromtimestamp(0, tz=UTC)
_Event = Mapping[str, Any]
_Failed = Callable[[Exception, str, Mapping[str, str], float], Response]


class _Asked(NamedTuple):
    customer_id: CustomerId
    feature_id: str
    units: int | None
    consistent: bool
    token: str
    request_id: str


def quick_answer(event: _Event, failed: _Failed) -> Response | None:
    """The answer to a plain check, or None. `failed` tells the client of an error, as the ordinary way does."""
    began = time.perf_counter()
    asked = _asked(event)
    if asked is None:
        return None
    try:
        ports = runtime.ports()
    except Exception:  # noqa: BLE001 -- not configured: the ordinary way says so
        return None
    path = {"customer_id": asked.customer_id, "feature_id": asked.feature_id}
    try:
        key = verified_key(ports, runtime.keys(), asked.token)
        if key is None or Scope.CHECK not in key.scopes:
            return None
        count_request(ports, runtime.buckets(), key.actor)
        checked = _checked(ports, asked)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the shell knows what to tell of it
        return failed(error, asked.request_id, path, time.perf_counter() - began)
    body = _text(asked, checked)
    ports.monitor.event(
        "api_request",
        method="GET",
        route=ROUTE,
        status=200,
        duration_ms=round((time.perf_counter() - began) * 1000, 1),
        request_id=asked.request_id,
        customer_id=asked.customer_id,
    )
    headers = {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Request-Id": asked.request_id,
        **cross_origin_headers(None, ()),
    }
    return Response(body=body, headers=dict(headers), status_code=200)


def _asked(event: _Event) -> _Asked | None:
    """What a plain check asks; None if it is none."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    path = event.get("pathParameters") or {}
    customer_id, feature_id = path.get("customer_id", ""), path.get("feature_id", "")
    request_id = event["requestContext"].get("requestId")
    if (
        scheme.lower() != "bearer"
        or not token.startswith("pg_")
        or "origin" in headers
        or not request_id
        or not is_chosen_id(customer_id)
        or not is_chosen_id(feature_id)
    ):
        return None
    given = event.get("multiValueQueryStringParameters") or {}
    if not given:
        return _Asked(
            CustomerId(customer_id),
            feature_id,
            None,
            consistent=False,
            token=token,
            request_id=str(request_id),
        )
    if given.keys() - {"consistent", "requested_usage"} or any(
        len(one) != 1 for one in given.values()
    ):
        return None
    (consistent,) = given.get("consistent", ("false",))
    (units,) = given.get("requested_usage", ("",))
    if consistent not in ("true", "false") or (
        "requested_usage" in given and not _UNITS.fullmatch(str(units))
    ):
        return None
    return _Asked(
        CustomerId(customer_id),
        feature_id,
        int(units) if units else None,
        consistent=consistent == "true",
        token=token,
        request_id=str(request_id),
    )


def _checked(ports: Ports, asked: _Asked) -> Checked:
    def type_of(feature_id: str) -> str | None:
        # Imported late: only a no that can't tell the feature's type needs it.
        from chalicelib.services.known_features import feature_types  # noqa: PLC0415

        return feature_types(ports).get(feature_id)

    return check_access(
        ports.snapshots,
        type_of,
        asked.customer_id,
        asked.feature_id,
        Question(asked.units),
        ports.clock.now(),
        consistent=asked.consistent,
    )


def _text(asked: _Asked, checked: Checked) -> str:
    """What the model of the ordinary way writes."""
    decision = checked.decision
    shown = {
        "object": "entitlement_check",
        "customer_id": asked.customer_id,
        "feature_id": asked.feature_id,
        "feature_type": decision.feature_type,
        "has_access": decision.has_access,
        "denied_reason": decision.denied_reason,
        "requested_usage": decision.requested_usage,
        "current_usage": decision.current_usage,
        "usage_limit": decision.usage_limit,
        "is_unlimited": decision.is_unlimited,
        "has_soft_limit": decision.has_soft_limit,
        "remaining": decision.remaining,
        "value": decision.value,
        "values": decision.values,
        "reset_period": decision.reset_period,
        "usage_period_start": _moment(decision.period_start_ms),
        "usage_period_end": _moment(decision.period_end_ms),
        "valid_until": _moment(decision.valid_until_ms),
        "sources": [_source(source) for source in decision.sources],
        "snapshot_version": checked.snapshot_version,
        "explanation": None,
    }
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def _source(source: SourceDocument) -> dict[str, Any]:
    return {
        "type": source["type"],
        "id": source["id"],
        "version": source.get("version"),
        "subscription_id": source.get("subscription_id"),
        "resource_id": source.get("resource"),
        "quantity": source.get("quantity", 1),
    }


def _moment(epoch_ms: int | None) -> str | None:
    if epoch_ms is None:
        return None
    moment = _EPOCH + timedelta(milliseconds=epoch_ms)
    return moment.isoformat().replace("+00:00", "Z")
