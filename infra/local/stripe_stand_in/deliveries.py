"""Events on their way to webhook endpoints: signed, retried, held, doubled or reversed."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.clock import DAY
from infra.local.stripe_stand_in.render import view
from infra.local.stripe_stand_in.store import Obj

# Short at first so that a local stack heals quickly, then as patient as Stripe.
BACKOFF_SECONDS = (1, 2, 5, 10, 30, 60, 300, 900, 3600)
GIVE_UP_SECONDS = 3 * DAY
TIMEOUT_SECONDS = 10.0
MODES = ("normal", "hold", "drop", "duplicate", "reverse")
# (url, headers, body) -> HTTP status; raises OSError when there was no answer.
Transport = Callable[[str, dict[str, str], bytes], int]


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt to make: what to send where."""

    delivery_id: str
    url: str
    headers: dict[str, str]
    body: bytes


def sign(payload: bytes, secrets: list[str], timestamp: int) -> str:
    """The `Stripe-Signature` header: one `v1` per active secret."""
    signed = str(timestamp).encode() + b"." + payload
    marks = [hmac.new(s.encode(), signed, hashlib.sha256).hexdigest() for s in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={mark}" for mark in marks)])


def post(url: str, headers: dict[str, str], body: bytes) -> int:
    """The endpoint's status; redirects are not followed, so they count as failures."""
    parts = urlsplit(url)
    connect = (
        http.client.HTTPSConnection if parts.scheme == "https" else (http.client.HTTPConnection)
    )
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        path = parts.path or "/"
        connection.request("POST", f"{path}?{parts.query}" if parts.query else path, body, headers)
        answer = connection.getresponse()
        answer.read()
    except http.client.HTTPException as broken:
        raise OSError(str(broken)) from broken
    else:
        return answer.status
    finally:
        connection.close()


def set_mode(acct: Account, mode: str) -> None:
    """New deliveries go this way; going back to normal lets everything held go."""
    acct.set_setting("delivery_mode", mode)
    if mode == "normal":
        for one in everyone(acct):
            release(one)


def everyone(acct: Account) -> tuple[Account, ...]:
    """The platform and every account that ever let it act for them."""
    return (acct, *acct.connected.values())


def release(acct: Account) -> int:
    """How many held deliveries may go now: oldest first, reversed ones newest first."""
    waiting = [d for d in acct.store.scan("_delivery") if d["state"] != "ready"]
    backwards = [d for d in waiting if d["state"] == "reversing"]
    orders = sorted(d["order"] for d in backwards)
    for delivery, order in zip(backwards, reversed(orders), strict=True):
        _let_go(acct, delivery, order)
    for delivery in waiting:
        if delivery["state"] == "held":
            _let_go(acct, delivery, delivery["order"])
    return len(waiting)


def _let_go(acct: Account, delivery: Obj, order: int) -> None:
    ready = {**delivery, "state": "ready", "due": acct.now(), "order": order}
    acct.store.put("_delivery", delivery["id"], ready)


def is_reversing(acct: Account) -> bool:
    """Whether deliveries wait to be turned round."""
    return any(d["state"] == "reversing" for d in acct.store.scan("_delivery"))


def due(acct: Account) -> list[Obj]:
    """The deliveries to try now, in order."""
    now = acct.now()
    ready = [d for d in acct.store.scan("_delivery") if d["state"] == "ready" and d["due"] <= now]
    return sorted(ready, key=lambda delivery: delivery["order"])


def next_due(acct: Account) -> int | None:
    """When the next retry is due."""
    waiting = [d["due"] for d in acct.store.scan("_delivery") if d["state"] == "ready"]
    return min(waiting, default=None)


def prepare(acct: Account, delivery: Obj) -> Job | None:
    """The signed attempt; None (and the delivery gone) when its endpoint is."""
    endpoint = acct.platform.find("webhook_endpoint", delivery["endpoint"])
    event = acct.find("event", delivery["event"])
    if endpoint is None or event is None or endpoint["status"] != "enabled":
        acct.store.delete("_delivery", delivery["id"])
        if event is not None:
            _settle(acct, event, delivery, arrived=False)
        return None
    body = json.dumps(view(acct, event), indent=2, ensure_ascii=False).encode()
    now = acct.now()
    secrets = [
        entry["secret"]
        for entry in endpoint["_secrets"]
        if entry["expires_at"] is None or entry["expires_at"] > now
    ]
    headers = {
        "Accept": "*/*; q=0.5, application/xml",
        "Cache-Control": "no-cache",
        "Content-Type": "application/json; charset=utf-8",
        # Receivers compare this with their own clock, which does not follow the stand-in's.
        "Stripe-Signature": sign(body, secrets, acct.clock.outside()),
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    return Job(delivery["id"], endpoint["url"], headers, body)


def record(acct: Account, delivery_id: str, status: int | None, error: str | None) -> None:
    """The attempt's outcome: done, to be tried again, or given up after three days."""
    delivery = acct.store.get("_delivery", delivery_id)
    if delivery is None:
        return
    event = acct.find("event", delivery["event"])
    arrived = status is not None and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
    tries = delivery["attempts"] + 1
    over = acct.now() - delivery["created"] >= GIVE_UP_SECONDS
    acct.store.put(
        "_attempt",
        acct.ids.new("delivery"),
        {
            "event": delivery["event"],
            "endpoint": delivery["endpoint"],
            "type": event["type"] if event else None,
            "attempt": tries,
            "status": status,
            "error": error,
            "time": acct.now(),
        },
    )
    if arrived or over:
        acct.store.delete("_delivery", delivery_id)
        if event is not None:
            _settle(acct, event, delivery, arrived=arrived)
        return
    wait = BACKOFF_SECONDS[min(tries, len(BACKOFF_SECONDS)) - 1]
    later = {**delivery, "attempts": tries, "due": acct.now() + wait}
    acct.store.put("_delivery", delivery_id, later)


def _settle(acct: Account, event: Obj, delivery: Obj, *, arrived: bool) -> None:
    endpoint_id = delivery["endpoint"]
    twin = any(
        d["event"] == event["id"] and d["endpoint"] == endpoint_id and d["id"] != delivery["id"]
        for d in acct.store.scan("_delivery")
    )
    if twin:
        return
    waiting = [name for name in event["_waiting"] if name != endpoint_id]
    failed = [name for name in event["_failed"] if name != endpoint_id]
    if not arrived:
        failed.append(endpoint_id)
    acct.store.put("event", event["id"], {**event, "_waiting": waiting, "_failed": failed})
