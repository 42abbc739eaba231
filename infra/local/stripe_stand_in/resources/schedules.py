"""Subscription schedules: phases that change a subscription at set times."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import invalid, malformed
from infra.local.stripe_stand_in.phases import apply_phase, entry_of, phase_of, phases_of
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import exclusive, matching, merge_metadata, page, refuse
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscribing import end as end_subscription
from infra.local.stripe_stand_in.subscribing import start

_OPEN = ("not_started", "active")


@route("POST", "/v1/subscription_schedules")
def create(acct: Account, params: Obj) -> Obj:
    """A schedule over an existing subscription, or one that starts its own."""
    exclusive(params, "from_subscription", "phases")
    made = _from_subscription if "from_subscription" in params else _from_phases
    schedule = made(acct, params)
    schedule["metadata"] = merge_metadata({}, params.get("metadata"))
    acct.add(schedule, "subscription_schedule.created")
    if schedule["status"] == "not_started" and schedule["phases"][0]["start_date"] <= acct.now():
        begin(acct, schedule["id"])
    return acct.get("subscription_schedule", schedule["id"])


def _new(acct: Account, customer: str, phases: list[Obj], end_behavior: str) -> Obj:
    kind = "subscription_schedule"
    settings = shape.new(
        f"{kind}:DefaultSettings",
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None},
        billing_cycle_anchor="automatic",
        collection_method="charge_automatically",
        invoice_settings=shape.new(
            f"{kind}:DefaultSettings.InvoiceSettings", issuer={"account": None, "type": "self"}
        ),
    )
    return acct.new(
        kind,
        billing_mode={
            "flexible": {"proration_discounts": "included"},
            "type": "flexible",
            "updated_at": None,
        },
        customer=customer,
        default_settings=settings,
        end_behavior=end_behavior,
        metadata={},
        pause_schedules=[],
        phases=phases,
        status="not_started",
    )


def _from_subscription(acct: Account, params: Obj) -> Obj:
    subscription = acct.get("subscription", params["from_subscription"], "from_subscription")
    refuse(
        subscription["schedule"] is not None,
        "You cannot migrate a subscription that is already attached to a schedule.",
        "from_subscription",
    )
    refuse(
        subscription["status"] in ("canceled", "incomplete", "incomplete_expired"),
        f"You cannot migrate a subscription that is {subscription['status']}.",
        "from_subscription",
    )
    items = subscription["items"]["data"]
    phase = phase_of(
        {
            "items": [
                {k: item[k] for k in ("price", "quantity", "metadata") if k in item}
                for item in items
            ],
            "metadata": subscription["metadata"],
            "discounts": [{"discount": one} for one in subscription["discounts"]],
        },
        subscription["currency"],
        min(item["current_period_start"] for item in items),
        min(item["current_period_end"] for item in items),
    )
    schedule = _new(acct, subscription["customer"], [phase], "release")
    dates = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
    schedule.update(status="active", subscription=subscription["id"], current_phase=dates)
    acct.save({**subscription, "schedule": schedule["id"]}, "customer.subscription.updated")
    return schedule


def _from_phases(acct: Account, params: Obj) -> Obj:
    if "phases" not in params or "customer" not in params:
        name = "customer" if "customer" not in params else "phases"
        raise malformed(f"Missing required param: {name}.", name, "parameter_missing")
    acct.get("customer", params["customer"], "customer")
    begin_at = params.get("start_date", "now")
    begin_at = acct.now() if begin_at == "now" else begin_at
    phases = phases_of(acct, params["phases"], begin_at)
    return _new(acct, params["customer"], phases, params.get("end_behavior", "release"))


@route("GET", "/v1/subscription_schedules/{id}")
def retrieve(acct: Account, _params: Obj, schedule_id: str) -> Obj:
    """The schedule."""
    return acct.get("subscription_schedule", schedule_id)


@route("POST", "/v1/subscription_schedules/{id}")
def update(acct: Account, params: Obj, schedule_id: str) -> Obj:
    """The schedule with other phases to come; phases that began cannot be left out."""
    schedule = acct.edit("subscription_schedule", schedule_id)
    refuse(
        schedule["status"] not in _OPEN,
        f"You cannot update a subscription schedule that is {schedule['status']}.",
        "id",
    )
    schedule["metadata"] = merge_metadata(schedule["metadata"], params.get("metadata"))
    schedule["end_behavior"] = params.get("end_behavior", schedule["end_behavior"])
    if "phases" in params:
        _replace_phases(acct, schedule, params)
    return acct.save(schedule, "subscription_schedule.updated")


def _replace_phases(acct: Account, schedule: Obj, params: Obj) -> None:
    current = schedule["current_phase"]
    begin_at = current["start_date"] if current else schedule["phases"][0]["start_date"]
    first = params["phases"][0]
    phases = phases_of(acct, params["phases"], first.get("start_date", begin_at))
    if current is not None:
        running = next((p for p in phases if p["start_date"] <= acct.now() < p["end_date"]), None)
        if running is None or phases[0]["start_date"] > current["start_date"]:
            raise invalid(
                "The subscription schedule update is missing at least one phase with a `start_date` "
                "to anchor end dates to.",
                "phases",
            )
        schedule["current_phase"] = {
            "start_date": running["start_date"],
            "end_date": running["end_date"],
        }
    old = _running_items(schedule)
    schedule["phases"] = phases
    if current is not None and _running_items(schedule) != old:
        acct.save(schedule)
        apply_phase(acct, schedule, _running(schedule), params.get("proration_behavior"))


def _running(schedule: Obj) -> Obj:
    start_date = (schedule["current_phase"] or {}).get("start_date")
    found: Obj = next((p for p in schedule["phases"] if p["start_date"] == start_date), {})
    return found


def _running_items(schedule: Obj) -> list[Any]:
    return [(i["price"], i["quantity"] or 1) for i in _running(schedule).get("items", [])]


@route("POST", "/v1/subscription_schedules/{id}/release")
def release(acct: Account, _params: Obj, schedule_id: str) -> Obj:
    """The subscription goes on as it is, without the schedule."""
    schedule = acct.edit("subscription_schedule", schedule_id)
    refuse(
        schedule["status"] not in _OPEN,
        f"You cannot release a subscription schedule that is {schedule['status']}.",
        "id",
    )
    return finish(acct, schedule, "released")


@route("POST", "/v1/subscription_schedules/{id}/cancel")
def cancel(acct: Account, _params: Obj, schedule_id: str) -> Obj:
    """The schedule and its subscription are canceled."""
    schedule = acct.edit("subscription_schedule", schedule_id)
    refuse(
        schedule["status"] not in _OPEN,
        f"You cannot cancel a subscription schedule that is {schedule['status']}.",
        "id",
    )
    if schedule["subscription"] is not None:
        end_subscription(acct, schedule["subscription"], "cancellation_requested")
        return acct.get("subscription_schedule", schedule_id)
    schedule.update(status="canceled", canceled_at=acct.now(), current_phase=None)
    acct.save(schedule)
    acct.emit("subscription_schedule.canceled", schedule)
    return schedule


@route("GET", "/v1/subscription_schedules")
def list_all(acct: Account, params: Obj) -> Obj:
    """Schedules, newest first."""
    found = matching(acct.all("subscription_schedule"), params, "customer")
    if params.get("scheduled"):
        found = [s for s in found if s["status"] == "not_started"]
    return page(acct, "subscription_schedule", found, params, "/v1/subscription_schedules")


def finish(acct: Account, schedule: Obj, status: str) -> Obj:
    """The schedule is `released` or `completed`; its subscription stands alone."""
    now = acct.now()
    subscription_id = schedule["subscription"]
    schedule.update(status=status, current_phase=None)
    if status == "released":
        schedule.update(released_at=now, released_subscription=subscription_id, subscription=None)
    else:
        schedule["completed_at"] = now
    acct.save(schedule)
    if subscription_id is not None:
        subscription = acct.edit("subscription", subscription_id)
        if subscription["schedule"] == schedule["id"]:
            acct.save({**subscription, "schedule": None}, "customer.subscription.updated")
    acct.emit(f"subscription_schedule.{status}", schedule)
    return schedule


def moment(schedule: Obj) -> int | None:
    """When the schedule next does something."""
    if schedule["status"] == "not_started":
        first: int = schedule["phases"][0]["start_date"]
        return first
    if schedule["status"] == "active":
        last: int = schedule["current_phase"]["end_date"]
        return last
    return None


def run(acct: Account, schedule_id: str) -> None:
    """The schedule starts, goes to its next phase, or ends as set."""
    schedule = acct.edit("subscription_schedule", schedule_id)
    if schedule["status"] == "not_started":
        begin(acct, schedule_id)
        return
    at = schedule["current_phase"]["end_date"]
    following = next((p for p in schedule["phases"] if p["start_date"] == at), None)
    if following is not None:
        dates = {"start_date": at, "end_date": following["end_date"]}
        schedule["current_phase"] = dates
        acct.save(schedule, "subscription_schedule.updated")
        apply_phase(acct, schedule, following, following["proration_behavior"])
    elif schedule["end_behavior"] == "cancel":
        subscription_id = schedule["subscription"]
        finish(acct, schedule, "completed")
        end_subscription(acct, subscription_id, "cancellation_requested")
    else:
        finish(acct, schedule, "released")


def begin(acct: Account, schedule_id: str) -> None:
    """The schedule's first phase has started its subscription."""
    schedule = acct.edit("subscription_schedule", schedule_id)
    phase = schedule["phases"][0]
    spec: Obj = {
        "customer": schedule["customer"],
        "items": [entry_of(item) for item in phase["items"]],
        "metadata": phase["metadata"],
        "trial_end": phase["trial_end"],
        "discounts": [{k: v for k, v in d.items() if v} for d in phase["discounts"]],
    }
    subscription = start(acct, spec)
    schedule["subscription"] = subscription["id"]
    schedule["status"] = "active"
    schedule["current_phase"] = {"start_date": phase["start_date"], "end_date": phase["end_date"]}
    acct.save(schedule, "subscription_schedule.updated")
    acct.save({**subscription, "schedule": schedule_id}, "customer.subscription.updated")
