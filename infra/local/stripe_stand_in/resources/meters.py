"""Meters and the usage reported to them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.clock import DAY, HOUR
from infra.local.stripe_stand_in.errors import invalid, malformed
from infra.local.stripe_stand_in.render import listing
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import decimal_text, limit_lengths, matching, page, refuse
from infra.local.stripe_stand_in.store import Obj

_OLDEST_SECONDS, _NEWEST_SECONDS = 35 * DAY, 5 * 60
_MINUTE = 60


@route("POST", "/v1/billing/meters")
def create(acct: Account, params: Obj) -> Obj:
    """A meter; its event name is unique among the active ones."""
    limit_lengths(params, display_name=250, event_name=100)
    refuse(
        _active(acct, params["event_name"]) is not None,
        f"There is already an active meter with event_name: {params['event_name']}.",
        "event_name",
        "resource_already_exists",
    )
    mapping = params.get("customer_mapping") or {
        "event_payload_key": "stripe_customer_id",
        "type": "by_id",
    }
    meter = acct.new(
        "billing.meter",
        customer_mapping=mapping,
        default_aggregation=params["default_aggregation"],
        display_name=params["display_name"],
        event_name=params["event_name"],
        event_time_window=params.get("event_time_window"),
        status="active",
        status_transitions={"deactivated_at": None},
        updated=acct.now(),
        value_settings=params.get("value_settings") or {"event_payload_key": "value"},
    )
    return acct.add(meter, "billing.meter.created")


def _active(acct: Account, event_name: str) -> Obj | None:
    return next(
        (
            meter
            for meter in acct.all("billing.meter")
            if meter["event_name"] == event_name and meter["status"] == "active"
        ),
        None,
    )


@route("GET", "/v1/billing/meters/{id}")
def retrieve(acct: Account, _params: Obj, meter_id: str) -> Obj:
    """The meter."""
    return acct.get("billing.meter", meter_id)


@route("POST", "/v1/billing/meters/{id}")
def update(acct: Account, params: Obj, meter_id: str) -> Obj:
    """The meter with another display name."""
    limit_lengths(params, display_name=250)
    meter = acct.edit("billing.meter", meter_id)
    meter["display_name"] = params.get("display_name", meter["display_name"])
    meter["updated"] = acct.now()
    return acct.save(meter, "billing.meter.updated")


@route("POST", "/v1/billing/meters/{id}/deactivate")
def deactivate(acct: Account, _params: Obj, meter_id: str) -> Obj:
    """The meter takes no more events."""
    meter = acct.edit("billing.meter", meter_id)
    refuse(meter["status"] != "active", "This meter is already deactivated.", "id")
    meter.update(status="inactive", updated=acct.now())
    meter["status_transitions"]["deactivated_at"] = acct.now()
    acct.save(meter)
    acct.emit("billing.meter.deactivated", meter)
    return meter


@route("POST", "/v1/billing/meters/{id}/reactivate")
def reactivate(acct: Account, _params: Obj, meter_id: str) -> Obj:
    """The meter takes events again."""
    meter = acct.edit("billing.meter", meter_id)
    refuse(meter["status"] == "active", "This meter is already active.", "id")
    refuse(
        _active(acct, meter["event_name"]) is not None,
        f"There is already an active meter with event_name: {meter['event_name']}.",
        "id",
    )
    meter.update(status="active", updated=acct.now())
    meter["status_transitions"]["deactivated_at"] = None
    acct.save(meter)
    acct.emit("billing.meter.reactivated", meter)
    return meter


@route("GET", "/v1/billing/meters")
def list_all(acct: Account, params: Obj) -> Obj:
    """Meters, newest first."""
    found = matching(acct.all("billing.meter"), params, "status")
    return page(acct, "billing.meter", found, params, "/v1/billing/meters")


@route("POST", "/v1/billing/meter_events")
def report(acct: Account, params: Obj) -> Obj:
    """The usage counts; an identifier counts once within a day."""
    limit_lengths(params, identifier=100, event_name=100)
    name, now = params["event_name"], acct.now()
    meter = _active(acct, name)
    if meter is None:
        known = any(m["event_name"] == name for m in acct.all("billing.meter"))
        raise invalid(
            f"No active meter found matching event_name: {name}",
            "event_name",
            "archived_meter" if known else "no_meter",
        )
    moment = params.get("timestamp", now)
    refuse(
        moment < now - _OLDEST_SECONDS,
        "The timestamp must be within the past 35 days.",
        "timestamp",
        "timestamp_too_far_in_past",
    )
    refuse(
        moment > now + _NEWEST_SECONDS,
        "The timestamp must be at most 5 minutes in the future.",
        "timestamp",
        "timestamp_too_far_in_future",
    )
    customer = _customer(acct, meter, params["payload"])
    value = _value(meter, params["payload"])
    identifier = params.get("identifier") or acct.ids.new("meter_event")
    kept = acct.store.get("_meter_event", identifier)
    refuse(
        kept is not None and kept["created"] > now - DAY,
        f"An event already exists with identifier {identifier}.",
        "identifier",
        "duplicate_meter_event",
    )
    # The same identifier may come again a day later without wiping the first.
    key = identifier if kept is None else f"{identifier}#{acct.ids.new('meter_event')}"
    event = acct.new(
        "billing.meter_event",
        event_name=name,
        identifier=identifier,
        payload=params["payload"],
        timestamp=moment,
    )
    stored = {**event, "_customer": customer, "_value": decimal_text(value), "_meter": meter["id"]}
    acct.store.put("_meter_event", key, stored)
    return event


def _customer(acct: Account, meter: Obj, payload: Obj) -> str:
    key = meter["customer_mapping"]["event_payload_key"]
    given = payload.get(key)
    if given is None:
        raise malformed(
            f"The payload must have the key `{key}`.", f"payload[{key}]", "parameter_missing"
        )
    found = acct.find("customer", given)
    refuse(
        found is None or bool(found.get("_deleted")),
        f"No such customer: '{given}'",
        f"payload[{key}]",
        "resource_missing",
    )
    return str(given)


def _value(meter: Obj, payload: Obj) -> Decimal:
    key = meter["value_settings"]["event_payload_key"]
    if meter["default_aggregation"]["formula"] == "count":
        return Decimal(1)
    given = payload.get(key)
    if given is None:
        raise malformed(
            f"The payload must have the key `{key}`.", f"payload[{key}]", "parameter_missing"
        )
    try:
        value = Decimal(given)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise malformed(f"Invalid number: {given}", f"payload[{key}]")
    return value


@route("POST", "/v1/billing/meter_event_adjustments")
def adjust(acct: Account, params: Obj) -> Obj:
    """The named usage event counts no more."""
    identifier = (params.get("cancel") or {}).get("identifier")
    kept = acct.store.get("_meter_event", identifier or "")
    if kept is None:
        raise invalid(
            f"No meter event found with identifier {identifier}.",
            "cancel[identifier]",
            "resource_missing",
        )
    refuse(
        kept["created"] <= acct.now() - DAY,
        "Events can be canceled within 24 hours of being received.",
        "cancel[identifier]",
    )
    acct.store.put("_meter_event", str(identifier), {**kept, "_value": "0", "_canceled": True})
    return acct.new(
        "billing.meter_event_adjustment",
        cancel={"identifier": identifier},
        event_name=params["event_name"],
        status="complete",
        type="cancel",
    )


def usage(acct: Account, meter_id: str, customer: str, start: int, end: int) -> Decimal:
    """What a customer used in the half-open time span, by the meter's formula."""
    events = [
        event
        for event in acct.store.scan("_meter_event")
        if event["_meter"] == meter_id
        and event["_customer"] == customer
        and start <= event["timestamp"] < end
        and not event.get("_canceled")
    ]
    formula = acct.get("billing.meter", meter_id)["default_aggregation"]["formula"]
    if formula == "last":
        latest = max(events, key=lambda event: event["timestamp"], default=None)
        return Decimal(latest["_value"]) if latest else Decimal(0)
    return sum((Decimal(event["_value"]) for event in events), Decimal(0))


@route("GET", "/v1/billing/meters/{id}/event_summaries")
def summaries(acct: Account, params: Obj, meter_id: str) -> Obj:
    """Usage sums of the whole span, or of each hour or day in it, newest first."""
    acct.get("billing.meter", meter_id)
    start, end = params["start_time"], params["end_time"]
    window = params.get("value_grouping_window")
    step = {"hour": HOUR, "day": DAY}.get(window or "", end - start)
    grain = _MINUTE if window is None else step
    for name in ("start_time", "end_time"):
        refuse(
            params[name] % grain != 0,
            f"`{name}` must be aligned with {window or 'minute'} boundaries.",
            name,
        )
    refuse(end <= start, "`end_time` must be after `start_time`.", "end_time")
    found = []
    for begin in range(start, end, step):
        value = usage(acct, meter_id, params["customer"], begin, begin + step)
        if window is not None and value == 0:
            continue
        found.append(
            acct.new(
                "billing.meter_event_summary",
                # Stripe's own field is a number; nothing here is money.
                aggregated_value=float(value),
                end_time=begin + step,
                meter=meter_id,
                start_time=begin,
            )
        )
    found.reverse()
    limit = params.get("limit", 10)
    url = f"/v1/billing/meters/{meter_id}/event_summaries"
    return listing(url, found[:limit], has_more=len(found) > limit)
