"""Webhook endpoints and the list of events."""

from __future__ import annotations

import typing
from typing import Any
from urllib.parse import urlsplit

import stripe
import typing_extensions as te

from infra.local.stripe_stand_in.account import CLIENT_ID, Account
from infra.local.stripe_stand_in.errors import invalid, malformed
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import matching, merge_metadata, page, refuse, unset
from infra.local.stripe_stand_in.store import Obj

_KNOWN_EVENTS: frozenset[str] = frozenset(typing.get_args(stripe.Event.__annotations__["type"]))
_MAX_TYPES = 20
EVENT_LIFETIME_SECONDS = 30 * 86_400


def _check(params: Obj) -> None:
    for i, name in enumerate(params.get("enabled_events") or []):
        if name != "*" and name not in _KNOWN_EVENTS:
            raise malformed(
                f"Invalid enabled_events[{i}]: must be one of the known event types",
                f"enabled_events[{i}]",
            )
    url = params.get("url")
    if url is not None and (
        urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc
    ):
        raise malformed(
            "Invalid URL: An explicit scheme (such as https) must be provided.",
            "url",
            "url_invalid",
        )


@route("POST", "/v1/webhook_endpoints")
def create(acct: Account, params: Obj, *, secret: str | None = None) -> Obj:
    """An endpoint that gets every event from now on; only this answer shows its secret."""
    _check(params)
    refuse(
        bool(params.get("connect")) and acct.platform is not acct,
        "Only a platform has webhook endpoints for connected accounts.",
        "connect",
    )
    endpoint = acct.new(
        "webhook_endpoint",
        api_version=params.get("api_version"),
        application=CLIENT_ID if params.get("connect") else None,
        description=params.get("description"),
        enabled_events=params["enabled_events"],
        metadata=merge_metadata({}, params.get("metadata")),
        status="enabled",
        url=params["url"],
    )
    secret = secret or acct.ids.new("secret")
    endpoint["_secrets"] = [{"secret": secret, "expires_at": None}]
    acct.add(endpoint)
    return {**endpoint, "secret": secret}


@route("GET", "/v1/webhook_endpoints/{id}")
def retrieve(acct: Account, _params: Obj, endpoint_id: str) -> Obj:
    """The endpoint, without its secret."""
    return acct.get("webhook_endpoint", endpoint_id)


@route("POST", "/v1/webhook_endpoints/{id}")
def update(acct: Account, params: Obj, endpoint_id: str) -> Obj:
    """The endpoint with what was given changed."""
    _check(params)
    endpoint = acct.edit("webhook_endpoint", endpoint_id)
    for name in ("description", "enabled_events", "url"):
        if name in params:
            endpoint[name] = unset(params[name])
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    endpoint["metadata"] = merge_metadata(endpoint["metadata"], params.get("metadata"))
    return acct.save(endpoint)


@route("DELETE", "/v1/webhook_endpoints/{id}")
def delete(acct: Account, _params: Obj, endpoint_id: str) -> Obj:
    """The endpoint gets nothing any more, pending deliveries included."""
    endpoint = acct.get("webhook_endpoint", endpoint_id)
    acct.store.delete("webhook_endpoint", endpoint["id"])
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}


@route("GET", "/v1/webhook_endpoints")
def list_all(acct: Account, params: Obj) -> Obj:
    """Endpoints, newest first."""
    found = acct.all("webhook_endpoint")
    return page(acct, "webhook_endpoint", found, params, "/v1/webhook_endpoints")


def roll_secret(acct: Account, endpoint_id: str, overlap_seconds: int) -> str:
    """A new secret; the old ones keep signing until the overlap has passed."""
    endpoint = acct.edit("webhook_endpoint", endpoint_id)
    until = acct.now() + overlap_seconds
    for entry in endpoint["_secrets"]:
        if entry["expires_at"] is None:
            entry["expires_at"] = until
    secret = acct.ids.new("secret")
    endpoint["_secrets"].insert(0, {"secret": secret, "expires_at": None})
    acct.save(endpoint)
    return secret


@route("GET", "/v1/events/{id}")
def retrieve_event(acct: Account, _params: Obj, event_id: str) -> Obj:
    """The event."""
    return acct.get("event", event_id)


@route("GET", "/v1/events")
def list_events(acct: Account, params: Obj) -> Obj:
    """Events of the last 30 days, newest first."""
    types: Any = params.get("types")
    if types is not None and "type" in params:
        raise malformed("You may only specify one of these parameters: type, types.", "types")
    refuse(types is not None and len(types) > _MAX_TYPES, "You may pass at most 20 types.", "types")
    oldest = acct.now() - EVENT_LIFETIME_SECONDS
    found = [e for e in matching(acct.all("event"), params) if e["created"] >= oldest]
    if types is not None:
        found = [e for e in found if e["type"] in types]
    if "type" in params:
        found = [e for e in found if _fits(params["type"], e["type"])]
    if "delivery_success" in params:
        wanted = params["delivery_success"]
        found = [e for e in found if (not e["_waiting"] and not e["_failed"]) is wanted]
    return page(acct, "event", found, params, "/v1/events")


def _fits(pattern: str, event_type: str) -> bool:
    if pattern.endswith("*"):
        return event_type.startswith(pattern[:-1])
    return event_type == pattern


class RetryParams(te.TypedDict):
    """What the CLI's `events resend` sends; the SDK has no such operation."""

    account: te.NotRequired[str]
    expand: te.NotRequired[list[str]]
    webhook_endpoint: te.NotRequired[str]


@route("POST", "/v1/events/{id}/retry", params=RetryParams)
def retry(acct: Account, params: Obj, event_id: str) -> Obj:
    """The event is queued once more for one endpoint, or for all it went to."""
    event = acct.edit("event", event_id)
    given = params.get("webhook_endpoint")
    if given is not None:
        targets = [acct.platform.get("webhook_endpoint", given, "webhook_endpoint")]
    else:
        targets = acct.endpoints(connect="account" in event)
    if not targets:
        raise invalid("There is no webhook endpoint to send this event to.", "webhook_endpoint")
    for endpoint in targets:
        if endpoint["id"] not in event["_waiting"]:
            event["_waiting"].append(endpoint["id"])
        event["_failed"] = [name for name in event["_failed"] if name != endpoint["id"]]
        acct.add_delivery(event_id, endpoint["id"], acct.setting("delivery_mode"))
    return acct.save(event)
