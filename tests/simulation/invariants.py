"""What must hold in a simulated world: after every step, and once nothing fails any more and all have had their time.

The numbers are those of the list that the project keeps: V are about safety, L about liveness.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from chalicelib.domain.audit_log import AuditEntry, broken_links
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.outbound_events import OutboundEvent, OutboundType
from chalicelib.domain.plain import plain
from chalicelib.domain.reconciliations import DriftKind
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Subscription
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.domain.webhook_endpoints import Delivery, DeliveryStatus
from tests.simulation.world import CUSTOMERS, SimulatedWorld

LIVE_AT_STRIPE: Final = ("trialing", "active", "past_due")
ENDED_AT_STRIPE: Final = ("canceled", "incomplete_expired")
_SECRETS: Final = re.compile(r"\b(sk|rk|whsec|pg_sk|pg_pk)_[A-Za-z0-9]{6,}|Bearer ")
# Before an event is given up by its delivery.
_TRIED_FOR: Final = timedelta(days=2)
# Why an event may be given up for good; anything else would be a loss.
_REASONS_TO_FAIL: Final = ("unknown_customer",)


class BrokenError(AssertionError):
    """An invariant does not hold."""


def require(holds: bool, name: str, what: object) -> None:
    """Raises `BrokenError` unless it holds."""
    if not holds:
        raise BrokenError(f"{name}: {what}")


def after_every_step(world: SimulatedWorld) -> None:
    """What holds whatever has just failed."""
    store = world.life.deployment.store
    crashes = world.life.deployment.monitor.named("api_crash")
    require(not crashes, "no crash of the API", crashes)
    require(set(world.statuses) <= _ALLOWED, "V0 no 5xx but 503", sorted(set(world.statuses)))
    for snapshot in store.all(Snapshot):
        before = world.snapshots.get(snapshot.customer_id, 0)
        require(snapshot.version >= before, "V7 versions never fall", snapshot.customer_id)
        world.snapshots[snapshot.customer_id] = snapshot.version
    for drift in world.life.deployment.monitor.named("drift"):
        is_double = drift["kind"] == DriftKind.SUBSCRIPTION_DUPLICATE
        require(not is_double, "V12 nobody pays twice", drift)
    for event in store.all(BillingEvent):
        is_lost = event.status is BillingEventStatus.FAILED
        require(not is_lost or event.reason in _REASONS_TO_FAIL, "V1 nothing is dropped", event)
    require(not world.broken, "V13 what was answered is so", world.broken)
    _nothing_secret(world)
    _audited(store.all(Subscription), store.all(AuditEntry))
    _counters(world)


_ALLOWED: Final = {200, 201, 202, 204, 400, 404, 409, 422, 429, 503}


def _nothing_secret(world: SimulatedWorld) -> None:
    deployment = world.life.deployment
    for text in map(str, deployment.monitor.events[-20:]):
        require(not _SECRETS.search(text), "V9 nothing secret in the log", text)
    for entry in deployment.store.all(AuditEntry)[-5:]:
        text = str(plain(entry))
        require(not _SECRETS.search(text), "V9 nothing secret in the audit log", text)


def _audited(subscriptions: Iterable[Subscription], entries: Iterable[AuditEntry]) -> None:
    rows = Counter(entry.entity for entry in entries)
    for held in subscriptions:
        found = rows[f"subscription:{held.id}"]
        require(found >= 1, "V5 every subscription has its history", held.id)


def _counters(world: SimulatedWorld) -> None:
    for number in range(CUSTOMERS):
        answer = world.life.deployment.send(
            "GET", f"/v1/customers/c{number}/entitlements/calls?requested_usage=0"
        )
        if answer.status != 200 or answer.json["current_usage"] is None:
            continue
        most = max([5000, *(limit for known in world.limits.values() for limit in known.values())])
        require(answer.json["current_usage"] <= most, "V4 never over a hard limit", answer.json)
        used = world.used.get(f"c{number}")
        is_known = used is not None and used.period == answer.json["usage_period_start"]
        wanted = used.amount if used is not None and is_known else 0
        require(
            answer.json["current_usage"] == wanted, "V4 each use counts once", (used, answer.json)
        )


def at_rest(world: SimulatedWorld) -> None:
    """What holds when nothing fails, everything was delivered, and a reconciliation is over."""
    life, store = world.life, world.life.deployment.store
    require(
        not life.deployment.queue.messages and not life.hidden, "L1 the queue is empty", life.hidden
    )
    require(not life.dead, "V11 no dead letters", life.dead)
    tasks = [
        one
        for one in life.deployment.store.all(SyncTask)
        if one.status is not SyncTaskStatus.SUCCEEDED
    ]
    require(not tasks, "V6 everything in the outbox was sent", tasks)
    pending = [
        one
        for one in life.deployment.store.all(BillingEvent)
        if one.status is BillingEventStatus.PENDING
    ]
    require(not pending, "V1 every event was taken in", pending)
    for number in range(CUSTOMERS):
        customer = f"c{number}"
        _one_of_each(world, customer)
        _entitled(world, customer)
        _kept(world, customer)
        _told(world, customer)
    _mirrored(world)
    _delivered(world)
    _chained(store.all(AuditEntry))


def _kept(world: SimulatedWorld, customer: str) -> None:
    """Who was promised the free plan with the next period, and did nothing about it since, has it."""
    since = world.promised.get(customer)
    if since is None or since > world.life.clock.now():
        return
    held = world.subscriptions(customer)
    plans = [one["plan_id"] for one in held if one["status"] not in ("canceled", "expired")]
    require(plans == ["free"], "V13 what was answered comes about", (customer, since, held))


def _delivered(world: SimulatedWorld) -> None:
    """Every event has reached the application, or is on its way, or was refused for about three days."""
    webhooks = world.life.deployment.webhooks
    got = {one.headers["webhook-id"] for one in webhooks.received if one.answer == HTTPStatus.OK}
    pending = {
        one.event_id
        for one in world.life.deployment.store.all(Delivery)
        if one.status is DeliveryStatus.PENDING
    }
    tries: dict[str, list[int]] = {}
    for one in webhooks.received:
        stamp = int(one.headers["webhook-timestamp"])
        tries.setdefault(one.headers["webhook-id"], []).append(stamp)
    for event in world.life.deployment.store.all(OutboundEvent):
        tried = tries.get(event.id, [0])
        is_given_up = max(tried) - min(tried) > _TRIED_FOR.total_seconds()
        is_safe = event.id in got or event.id in pending or is_given_up
        require(is_safe, "V6 every event is delivered", event)


def _told(world: SimulatedWorld, customer: str) -> None:
    """Who keeps the newest `customer.state_changed` knows what a check would answer; none was left out."""
    events = sorted(world.life.deployment.store.all(OutboundEvent), key=lambda one: one.id)
    states = [
        event.data
        for event in events
        if event.type is OutboundType.CUSTOMER_STATE_CHANGED and event.customer_id == customer
    ]
    versions = [state["version"] for state in states]
    known = list(range(2, world.snapshots[customer] + 1))  # the first one holds nothing
    require(versions == known, "V7 states rise by one", (customer, versions, known))
    got = [
        state["data"]
        for state in map(json.loads, (one.body for one in world.life.deployment.webhooks.received))
        if state["type"] == "customer.state_changed" and state["data"]["customer_id"] == customer
    ]
    if not got:
        return
    newest = max(got, key=lambda data: int(data["version"]))
    limits = [
        one["usage_limit"]
        for one in newest["entitlements"]
        if one["feature_id"] == "calls" and one["has_access"]
    ]
    wanted = [max(_granted_limits(world, customer), default=None)]
    require(
        limits == [one for one in wanted if one], "V3 what is told follows from the truth", newest
    )


def _chained(entries: Iterable[AuditEntry]) -> None:
    chains: dict[str, list[AuditEntry]] = {}
    for entry in entries:
        chains.setdefault(entry.entity, []).append(entry)
    for entity, chain in chains.items():
        broken = list(broken_links(entity, chain))
        require(not broken, "V5 the history is a chain", (entity, broken))


def _theirs(world: SimulatedWorld, customer: str) -> list[dict[str, Any]]:
    """The subscriptions at Stripe of all that Stripe knows as this customer of ours."""
    account = world.life.deployment.stand_in.account
    ids = {
        one["id"]
        for one in account.all("customer")
        if (one.get("metadata") or {}).get("paygrade_entity_id") == customer
    }
    return [one for one in account.all("subscription") if one["customer"] in ids]


def _one_of_each(world: SimulatedWorld, customer: str) -> None:
    live = [one for one in _theirs(world, customer) if one["status"] not in ENDED_AT_STRIPE]
    require(len(live) <= 1, "V2 at most one live subscription of a product at Stripe", live)
    names = Counter(one["metadata"].get("paygrade_entity_id") for one in _theirs(world, customer))
    require(all(count == 1 for count in names.values()), "V10 nothing is made twice", names)
    ours = [
        one for one in world.subscriptions(customer) if one["status"] not in ("canceled", "expired")
    ]
    require(len(ours) <= 1, "V2 at most one live subscription of a product", ours)


def _entitled(world: SimulatedWorld, customer: str) -> None:
    """V3 and L2: what the check says is what follows from Stripe's truth, the catalog, grants and the time."""
    wanted = max(_granted_limits(world, customer), default=None)
    path = f"/v1/customers/{customer}/entitlements/calls?requested_usage=0"
    answer = world.life.deployment.send("GET", path).json
    # What was used before may be more than what is left to be granted: that is no question of the truth.
    is_granted = answer["denied_reason"] in (None, "requested_usage_exceeding_limit")
    found = answer["usage_limit"] if is_granted else None
    require(
        found == wanted, "V3 entitlements follow from the truth", (customer, found, wanted, answer)
    )


def _granted_limits(world: SimulatedWorld, customer: str) -> Iterable[int]:
    account = world.life.deployment.stand_in.account
    now = world.life.clock.now()
    for held in _theirs(world, customer):
        if held["status"] not in LIVE_AT_STRIPE:
            continue
        for item in held["items"]["data"]:
            price = account.get("price", item["price"])
            plan = account.get("product", price["product"])["metadata"]["paygrade_entity_id"]
            yield world.limits[plan][price["unit_amount"]]
    for held in world.subscriptions(customer):
        if not held["billing"] and held["status"] in ("active", "in_trial"):
            yield world.versions[held["plan_id"]][held["plan_version"]]
    grants = world.life.deployment.send("GET", f"/v1/customers/{customer}/grants?limit=100").json
    for grant in grants["data"]:
        ends = grant["expires_at"]
        if grant.get("revoked_at") is None and (ends is None or _instant(ends) > now):
            yield grant["usage_limit"]


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _mirrored(world: SimulatedWorld) -> None:
    """Stripe sells exactly what is published."""
    account = world.life.deployment.stand_in.account
    for plan in world.versions:
        shown = world.life.deployment.send("GET", f"/v1/plans/{plan}").json
        if shown["pricing_type"] == "free":
            continue
        (product,) = (
            one
            for one in account.all("product")
            if one["metadata"].get("paygrade_entity_id") == plan
        )
        sold = shown["status"] == "published"
        require(product["active"] is sold, "V6 what is archived is not sold", product)
        active = [
            one["unit_amount"]
            for one in account.all("price")
            if one["product"] == product["id"] and one["active"]
        ]
        wanted = [price["amount"] for price in shown["prices"]] if sold else []
        require(
            sorted(active) == sorted(wanted), "V6 Stripe sells what is published", (active, wanted)
        )
