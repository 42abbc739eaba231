"""The routes beside Stripe's own: pay, clock, deliveries, faults, the request log, reset."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from infra.local.stripe_stand_in import connections, deliveries, faults, paying, request_log
from infra.local.stripe_stand_in.errors import StripeError, invalid
from infra.local.stripe_stand_in.render import view
from infra.local.stripe_stand_in.resources import checkout, payment_methods, webhooks
from infra.local.stripe_stand_in.router import pattern_of
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.wire import Request, Response, json_response

if TYPE_CHECKING:
    from infra.local.stripe_stand_in.core import StandIn

_LONGEST_STEP_SECONDS = 10 * 366 * 86_400
_MAX_WAIT_SECONDS = 30.0
_DECLINES = {"declined": "generic_decline"}
Control = Callable[..., Any]


def handle(stand_in: StandIn, request: Request) -> Response:
    """The answer of a control route; these need no key, the server is local only."""
    for method, pattern, control in _TABLE:
        hit = pattern.match(request.path)
        if hit is None or method != request.method:
            continue
        try:
            body = _body(request)
            with stand_in.change():
                answer = control(stand_in, body, request, *hit.groups())
        except (StripeError, TypeError, ValueError) as failure:
            refused = failure if isinstance(failure, StripeError) else invalid(str(failure))
            return json_response(refused.status, refused.body("req_stand_in"))
        if control in {_pay, _release}:
            _wait_until_sent(stand_in, body)
        return json_response(200, answer)
    refused = StripeError(f"Unknown control route {request.method} {request.path}.", status=404)
    return json_response(404, refused.body("req_stand_in"))


def _body(request: Request) -> Obj:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    return body


def _pay(stand_in: StandIn, body: Obj, _request: Request, session_id: str) -> Obj:
    acct = stand_in.account
    outcome = body.get("outcome", "paid")
    if outcome == "paid":
        card = str(body.get("card") or paying.GOOD_CARD).replace(" ", "")
        if not payment_methods.known_card(card):
            raise invalid("The card must be one of the test cards.", "card")
        if body.get("promotion_code"):
            apply_promotion_code(stand_in, session_id, str(body["promotion_code"]))
        session = paying.pay(acct, session_id, card=card, email=body.get("email"))
    elif outcome == "declined":
        code = str(body.get("decline_code") or _DECLINES["declined"])
        session = paying.decline(acct, session_id, code)
    elif outcome == "abandoned":
        # Somebody closed the page: the session stays open until it expires by itself.
        session = acct.get("checkout.session", session_id)
        paying.require_open(session)
    else:
        raise invalid("Invalid outcome: must be one of paid, declined, or abandoned", "outcome")
    return view(acct, session)


def apply_promotion_code(stand_in: StandIn, session_id: str, text: str) -> None:
    """The session has the discount that a person typed in."""
    acct = stand_in.account
    session = acct.edit("checkout.session", session_id)
    code = next(
        (c for c in acct.all("promotion_code") if c["code"].lower() == text.strip().lower()), None
    )
    if not session["allow_promotion_codes"] or code is None or not code["active"]:
        raise invalid("This code is invalid.", "promotion_code")
    session["discounts"] = [{"coupon": None, "promotion_code": code["id"]}]
    checkout.price_totals(acct, session)
    acct.save(session)


def _clock(stand_in: StandIn, body: Obj, _request: Request) -> Obj:
    seconds = body.get("advance_seconds", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise invalid("Invalid integer", "advance_seconds", "parameter_invalid_integer")
    if not 0 <= seconds <= _LONGEST_STEP_SECONDS:
        raise invalid("The clock only moves forward, ten years at most.", "advance_seconds")
    now = stand_in.advance(seconds)
    return {"now": now, "offset_seconds": stand_in.account.clock.offset_seconds}


def _set_deliveries(stand_in: StandIn, body: Obj, request: Request) -> Obj:
    mode = body.get("mode")
    if mode not in deliveries.MODES:
        raise invalid(f"Invalid mode: must be one of {', '.join(deliveries.MODES)}", "mode")
    deliveries.set_mode(stand_in.account, mode)
    return _show_deliveries(stand_in, body, request)


def _show_deliveries(stand_in: StandIn, _body: Obj, _request: Request) -> Obj:
    stores = [one.store for one in deliveries.everyone(stand_in.account)]
    waiting = [delivery for store in stores for delivery in store.scan("_delivery")]
    return {
        "mode": stand_in.account.setting("delivery_mode"),
        "held": sum(d["state"] != "ready" for d in waiting),
        "pending": sum(d["state"] == "ready" for d in waiting),
        "attempts": [attempt for store in stores for attempt in store.scan("_attempt")],
    }


def _release(stand_in: StandIn, _body: Obj, _request: Request) -> Obj:
    released = sum(map(deliveries.release, deliveries.everyone(stand_in.account)))
    return {"released": released, "mode": stand_in.account.setting("delivery_mode")}


def _wait_until_sent(stand_in: StandIn, body: Obj) -> None:
    seconds = body.get("wait_seconds", 0)
    if isinstance(seconds, int | float) and seconds > 0:
        with stand_in.lock:
            waiting = {
                delivery["event"]
                for one in deliveries.everyone(stand_in.account)
                for delivery in one.store.scan("_delivery")
            }
        stand_in.wait_for_delivery(sorted(waiting), min(seconds, _MAX_WAIT_SECONDS))


def _add_fault(stand_in: StandIn, body: Obj, _request: Request) -> Obj:
    return faults.add(stand_in.account, body)


def _clear_faults(stand_in: StandIn, _body: Obj, _request: Request) -> Obj:
    faults.clear(stand_in.account)
    return {"cleared": True}


def _show_faults(stand_in: StandIn, _body: Obj, _request: Request) -> Obj:
    return {"data": stand_in.account.store.scan("_fault")}


def _requests(stand_in: StandIn, _body: Obj, request: Request) -> Obj:
    given = parse_qs(request.query).get("since", ["0"])[0]
    entries = request_log.since(stand_in.account, int(given))
    return {"data": entries, "last_seq": stand_in.account.setting("request_seq") or 0}


def _reset(stand_in: StandIn, _body: Obj, _request: Request) -> Obj:
    stand_in.reset()
    return {"reset": True}


def _revoke(stand_in: StandIn, _body: Obj, _request: Request, account_id: str) -> Obj:
    """What an owner does in its dashboard: the platform may not act for the account any more."""
    connections.end(stand_in.account, account_id)
    return {"id": account_id, "connected": False}


def _settings(stand_in: StandIn, body: Obj, _request: Request) -> Obj:
    end = body.get("dunning_end", "cancel")
    if end not in ("cancel", "unpaid", "past_due"):
        raise invalid("Invalid dunning_end: must be one of cancel, unpaid, or past_due")
    stand_in.account.set_setting("dunning_end", end)
    return {"dunning_end": end}


def _roll(stand_in: StandIn, body: Obj, _request: Request, endpoint_id: str) -> Obj:
    overlap = int(body.get("overlap_seconds", 86_400))
    return {"secret": webhooks.roll_secret(stand_in.account, endpoint_id, overlap)}


_TABLE: list[tuple[str, Any, Control]] = [
    (method, pattern_of("/_stand_in/" + path), control)
    for method, path, control in (
        ("POST", "checkout_sessions/{id}/pay", _pay),
        ("POST", "accounts/{id}/revoke", _revoke),
        ("POST", "clock", _clock),
        ("GET", "clock", _clock),
        ("POST", "deliveries", _set_deliveries),
        ("GET", "deliveries", _show_deliveries),
        ("POST", "deliveries/release", _release),
        ("POST", "faults", _add_fault),
        ("GET", "faults", _show_faults),
        ("DELETE", "faults", _clear_faults),
        ("GET", "requests", _requests),
        ("POST", "reset", _reset),
        ("POST", "settings", _settings),
        ("POST", "webhook_endpoints/{id}/roll", _roll),
    )
]
