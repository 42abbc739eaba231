"""Checkout sessions over the API: created open, read, listed, expired."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.checkout_rules import LATEST_SECONDS, check
from infra.local.stripe_stand_in.clock import DAY
from infra.local.stripe_stand_in.discounts import applied, coupon_of
from infra.local.stripe_stand_in.errors import malformed
from infra.local.stripe_stand_in.money import cost
from infra.local.stripe_stand_in.render import line_view, listing
from infra.local.stripe_stand_in.resources.prices import create as create_price
from infra.local.stripe_stand_in.resources.products import create as create_product
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import (
    exclusive,
    matching,
    merge_metadata,
    page,
    refuse,
)
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.subscription_parts import price_of

_MAX_EACH_KIND = 20
_NULLED_WHEN_ABSENT = (
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "customer_creation",
    "locale",
    "origin_context",
    "redirect_on_completion",
    "return_url",
    "submit_type",
    "success_url",
    "payment_method_collection",
    "allow_promotion_codes",
    "integration_identifier",
)


@route("POST", "/v1/checkout/sessions")
def create(acct: Account, params: Obj) -> Obj:
    """An open session; nothing else exists until it is paid."""
    mode = params.get("mode", "payment")
    check(acct, params, mode)
    lines = _lines(acct, params, mode)
    currency = lines[0]["currency"] if lines else params.get("currency")
    fields = {name: params.get(name) for name in _NULLED_WHEN_ABSENT}
    ui_mode = params.get("ui_mode", "hosted_page")
    fields["payment_method_collection"] = params.get(
        "payment_method_collection", "always" if mode == "subscription" else "if_required"
    )
    if mode == "subscription" and "customer" not in params:
        fields["customer_creation"] = "always"
    session = acct.new(
        "checkout.session",
        **fields,
        automatic_tax=shape.new(
            "checkout.session:AutomaticTax", **(params.get("automatic_tax") or {"enabled": False})
        ),
        currency=currency,
        custom_fields=[],
        custom_text=shape.new("checkout.session:CustomText"),
        customer=params.get("customer"),
        customer_email=params.get("customer_email"),
        discounts=[
            {"coupon": d.get("coupon"), "promotion_code": d.get("promotion_code")}
            for d in params.get("discounts", [])
        ],
        expires_at=params.get("expires_at", acct.now() + LATEST_SECONDS),
        invoice_creation=_invoice_creation() if mode == "payment" else None,
        metadata=merge_metadata({}, params.get("metadata")),
        mode=mode,
        payment_method_options={"card": {"request_three_d_secure": "automatic"}},
        payment_method_types=["card"],
        payment_status="no_payment_required" if mode == "setup" else "unpaid",
        shipping_options=[],
        status="open",
        ui_mode=ui_mode,
        wallet_options=None,
        phone_number_collection=params.get("phone_number_collection") or {"enabled": False},
    )
    if ui_mode == "hosted_page":
        session["url"] = f"{acct.base_url}/c/pay/{session['id']}"
    else:
        session["client_secret"] = f"{session['id']}_secret_{acct.ids.tail(40)}"
    data: Any = params.get("subscription_data") or {}
    session["_subscription_data"] = {
        **data,
        "metadata": merge_metadata({}, data.get("metadata"), "subscription_data[metadata]"),
    }
    session["_payment_metadata"] = (params.get("payment_intent_data") or {}).get("metadata", {})
    session["_line_items"] = lines
    price_totals(acct, session)
    return acct.add(session)


def _invoice_creation() -> Obj:
    data = shape.new("checkout.session:InvoiceCreation.InvoiceData", metadata={})
    return {"enabled": False, "invoice_data": data}


def _lines(acct: Account, params: Obj, mode: str) -> list[Obj]:
    given = params.get("line_items", [])
    if mode == "setup":
        refuse(bool(given), "You can not pass `line_items` in `setup` mode.", "line_items")
        return []
    if not given:
        raise malformed("Missing required param: line_items.", "line_items", "parameter_missing")
    lines = [_line(acct, params, entry, f"line_items[{i}]") for i, entry in enumerate(given)]
    kinds = [acct.get("price", line["price"])["type"] for line in lines]
    refuse(
        mode == "subscription" and "recurring" not in kinds,
        "You must provide at least one recurring price in `subscription` mode when using prices.",
        "line_items",
    )
    refuse(
        mode == "payment" and "recurring" in kinds,
        "You specified `payment` mode but passed a recurring price. Either switch to "
        "`subscription` mode or use only one-time prices.",
        "line_items",
    )
    refuse(
        max(kinds.count("recurring"), kinds.count("one_time")) > _MAX_EACH_KIND,
        "You can pass at most 20 recurring and 20 one-time line items.",
        "line_items",
    )
    refuse(
        len({line["currency"] for line in lines}) > 1,
        "All line items must have the same currency.",
        "line_items",
    )
    return lines


def _line(acct: Account, params: Obj, entry: Obj, param: str) -> Obj:
    exclusive(entry, "price", "price_data")
    if "price_data" in entry:
        data = dict(entry["price_data"])
        if "product_data" in data:
            data["product"] = create_product(acct, data.pop("product_data"))["id"]
        price = create_price(acct, data)
    else:
        price = price_of(acct, entry, param)
    product = acct.get("product", price["product"])
    refuse(
        not product["active"],
        f"The product `{product['id']}` is not active.",
        f"{param}[price]",
    )
    metered = (price["recurring"] or {}).get("usage_type") == "metered"
    refuse(
        metered and "quantity" in entry,
        "Quantity should not be specified where usage_type is metered.",
        f"{param}[quantity]",
    )
    if not metered and "quantity" not in entry:
        raise malformed(
            f"Missing required param: {param}[quantity].", f"{param}[quantity]", "parameter_missing"
        )
    quantity = None if metered else entry["quantity"]
    refuse(
        quantity is not None and quantity < 1,
        "This value must be greater than or equal to 1.",
        f"{param}[quantity]",
        "parameter_invalid_integer",
    )
    currency = params.get("currency", price["currency"])
    amount = 0 if quantity is None else cost(price, quantity, currency)
    return acct.new(
        "item",
        amount_discount=0,
        amount_subtotal=amount,
        amount_tax=0,
        amount_total=amount,
        currency=currency,
        description=product["name"],
        discounts=[],
        metadata=merge_metadata({}, entry.get("metadata")),
        price=price["id"],
        quantity=quantity,
        taxes=[],
    )


def price_totals(acct: Account, session: Obj) -> None:
    """The session's sums and its lines' discounts follow its lines and discounts."""
    if session["mode"] == "setup":
        return
    in_trial = trial_end(acct, session) is not None
    gross, off = 0, 0
    probes = []
    for line in session["_line_items"]:
        price = acct.get("price", line["price"])
        due_later = in_trial and price["type"] == "recurring"
        whole = cost(price, line["quantity"], line["currency"]) if line["quantity"] else 0
        line["amount_subtotal"] = 0 if due_later else whole
        probes.append(
            {
                "amount": line["amount_subtotal"],
                "currency": line["currency"],
                "pricing": {"price_details": {"product": price["product"]}},
            }
        )
    with acct.muted():
        # A redemption is tried out only: the coupon is counted when the session is paid.
        probe = [_probe_discount(acct, entry) for entry in session["discounts"] or []]
        reduced = applied(acct, probe, probes)
    for line, entry in zip(session["_line_items"], reduced, strict=True):
        taken = sum(part["amount"] for part in entry["discount_amounts"])
        line.update(amount_discount=taken, amount_total=line["amount_subtotal"] - taken)
        gross, off = gross + line["amount_subtotal"], off + taken
    session.update(
        amount_subtotal=gross,
        amount_total=gross - off,
        total_details={
            "amount_discount": off,
            "amount_shipping": 0,
            "amount_tax": 0,
            "breakdown": None,
        },
    )


def _probe_discount(acct: Account, entry: Obj) -> str:
    given = {key: value for key, value in entry.items() if value is not None}
    coupon, _ = coupon_of(acct, given, "discounts[0]")
    probe = acct.new(
        "discount", source={"coupon": coupon["id"], "type": "coupon"}, start=acct.now(), end=None
    )
    added: str = acct.add(probe)["id"]
    return added


def trial_end(acct: Account, session: Obj) -> int | None:
    """When the trial this session offers would end, if it offers one."""
    data = session["_subscription_data"]
    if data.get("trial_period_days"):
        return acct.now() + int(data["trial_period_days"]) * DAY
    given: int | None = data.get("trial_end")
    return given


@route("GET", "/v1/checkout/sessions/{id}")
def retrieve(acct: Account, _params: Obj, session_id: str) -> Obj:
    """The session."""
    return acct.get("checkout.session", session_id)


@route("POST", "/v1/checkout/sessions/{id}")
def update(acct: Account, params: Obj, session_id: str) -> Obj:
    """The session with its metadata changed."""
    session = acct.edit("checkout.session", session_id)
    session["metadata"] = merge_metadata(session["metadata"], params.get("metadata"))
    return acct.save(session)


@route("POST", "/v1/checkout/sessions/{id}/expire")
def expire(acct: Account, _params: Obj, session_id: str) -> Obj:
    """The session can no longer be paid."""
    session = acct.edit("checkout.session", session_id)
    refuse(
        session["status"] != "open",
        'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session '
        f"has a status of `{session['status']}`.",
        "session",
    )
    session.update(status="expired", url=None)
    acct.save(session)
    acct.emit("checkout.session.expired", session)
    return session


@route("GET", "/v1/checkout/sessions/{id}/line_items")
def line_items(acct: Account, params: Obj, session_id: str) -> Obj:
    """The session's lines in the order given."""
    session = acct.get("checkout.session", session_id)
    limit = params.get("limit", 10)
    shown = [line_view(acct, line) for line in session["_line_items"]]
    after = [line["id"] for line in shown]
    begin = (
        after.index(params["starting_after"]) + 1 if params.get("starting_after") in after else 0
    )
    url = f"/v1/checkout/sessions/{session_id}/line_items"
    return listing(url, shown[begin : begin + limit], has_more=len(shown) > begin + limit)


@route("GET", "/v1/checkout/sessions")
def list_all(acct: Account, params: Obj) -> Obj:
    """Sessions, newest first."""
    fields = ("customer", "subscription", "payment_intent", "status")
    found = matching(acct.all("checkout.session"), params, *fields)
    if "customer_details" in params:
        wanted = params["customer_details"]["email"]
        found = [s for s in found if (s["customer_details"] or {}).get("email") == wanted]
    return page(acct, "checkout.session", found, params, "/v1/checkout/sessions")
