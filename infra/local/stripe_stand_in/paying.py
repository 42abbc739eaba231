"""What happens when somebody pays, fails to pay or leaves a checkout session."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import collecting, shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import invalid
from infra.local.stripe_stand_in.resources import checkout, customers, payment_methods
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscribing import start

GOOD_CARD = "4242424242424242"
_GUEST_EMAIL = "buyer@example.com"


def pay(
    acct: Account,
    session_id: str,
    *,
    card: str = GOOD_CARD,
    email: str | None = None,
    method: Obj | None = None,
) -> Obj:
    """The session is complete and what it sold exists."""
    session = acct.edit("checkout.session", session_id)
    require_open(session)
    customer = _customer(acct, session, email)
    if session["mode"] == "setup" or needs_card(session):
        used = method or payment_methods.make_card(acct, card)
        # The person has just authenticated, so the attach itself does not ask again.
        method = payment_methods.attach_to(acct, {**used, "_attach": "ok"}, customer["id"])
    session["customer"] = customer["id"]
    session["customer_details"] = shape.new(
        "checkout.session:CustomerDetails",
        email=customer["email"],
        name=customer["name"],
        tax_exempt="none",
        tax_ids=[],
    )
    session["url"] = None
    if session["mode"] == "subscription":
        _subscribe(acct, session, method)
    elif session["mode"] == "payment":
        _charge_once(acct, session, method)
    else:
        session["setup_intent"] = _setup_intent(acct, customer["id"], method)
    session["status"] = "complete"
    acct.save(session)
    acct.emit("checkout.session.completed", session)
    return session


def require_open(session: Obj) -> None:
    """The session is open; otherwise refused."""
    if session["status"] != "open":
        raise invalid(f"This Checkout Session is {session['status']}; it cannot be paid.")


def needs_card(session: Obj) -> bool:
    """Whether the session asks for a card even if nothing is due today."""
    return session["payment_method_collection"] == "always" or bool(session["amount_total"])


def decline(acct: Account, session_id: str, decline_code: str) -> Obj:
    """The session stays open; since basil a failed try leaves no subscription behind."""
    session = acct.get("checkout.session", session_id)
    require_open(session)
    amount = session["amount_total"] or 0
    if amount:
        currency = session["currency"]
        intent = collecting.new_intent(acct, amount, currency, session["customer"])
        collecting.charge(acct, intent["id"], None, decline_code)
    return session


def _customer(acct: Account, session: Obj, email: str | None) -> Obj:
    if session["customer"] is not None:
        return acct.get("customer", session["customer"])
    given = session["customer_email"] or email or _GUEST_EMAIL
    return customers.create(acct, {"email": given})


def _subscribe(acct: Account, session: Obj, method: Obj | None) -> None:
    data: Any = session["_subscription_data"]
    recurring: list[Obj] = []
    once: list[Obj] = []
    for line in session["_line_items"]:
        entry: Obj = {"price": line["price"]}
        if line["quantity"] is not None:
            entry["quantity"] = line["quantity"]
        kind = acct.get("price", line["price"])["type"]
        (recurring if kind == "recurring" else once).append(entry)
    given = [
        {key: value for key, value in entry.items() if value is not None}
        for entry in session["discounts"] or []
    ]
    subscription = start(
        acct,
        {
            "customer": session["customer"],
            "items": recurring,
            "extra_items": once,
            "metadata": data["metadata"],
            "description": data.get("description"),
            "billing_cycle_anchor": data.get("billing_cycle_anchor"),
            "billing_mode": data.get("billing_mode"),
            "trial_end": checkout.trial_end(acct, session),
            "trial_settings": data.get("trial_settings"),
            "default_payment_method": method["id"] if method else None,
            "discounts": given,
            "checkout_session": session["id"],
            "currency": session["currency"],
            # Created after payment, so it is never seen incomplete.
            "first_status": "active",
            "outcome": "ok",
        },
    )
    session["subscription"] = subscription["id"]
    session["invoice"] = subscription["latest_invoice"]
    session["payment_status"] = "paid" if session["amount_total"] else "no_payment_required"


def _charge_once(acct: Account, session: Obj, method: Obj | None) -> None:
    if session["amount_total"] == 0:
        session["payment_status"] = "no_payment_required"
        return
    intent = collecting.new_intent(
        acct, session["amount_total"], session["currency"], session["customer"]
    )
    acct.save({**intent, "metadata": dict(session["_payment_metadata"])})
    collecting.charge(acct, intent["id"], method, "ok")
    session["payment_intent"] = intent["id"]
    session["payment_status"] = "paid"


def _setup_intent(acct: Account, customer_id: str, method: Obj | None) -> str:
    intent = acct.new(
        "setup_intent",
        client_secret="",
        customer=customer_id,
        metadata={},
        payment_method=method["id"] if method else None,
        payment_method_types=["card"],
        status="succeeded",
        usage="off_session",
    )
    intent["client_secret"] = f"{intent['id']}_secret_{acct.ids.tail(25)}"
    acct.add(intent, "setup_intent.created")
    acct.emit("setup_intent.succeeded", intent)
    new_id: str = intent["id"]
    return new_id
