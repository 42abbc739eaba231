"""From stored objects to what Stripe shows: private fields dropped, references expanded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.errors import malformed
from infra.local.stripe_stand_in.store import Obj, copy_of

if TYPE_CHECKING:
    from infra.local.stripe_stand_in.account import Account

# Fields holding an id, and the kind of object behind it.
_REFERENCES: dict[str, str] = {
    "customer": "customer",
    "product": "product",
    "price": "price",
    "default_price": "price",
    "latest_invoice": "invoice",
    "invoice": "invoice",
    "subscription": "subscription",
    "schedule": "subscription_schedule",
    "payment_intent": "payment_intent",
    "setup_intent": "setup_intent",
    "pending_setup_intent": "setup_intent",
    "default_payment_method": "payment_method",
    "payment_method": "payment_method",
    "latest_charge": "charge",
    "charge": "charge",
    "coupon": "coupon",
    "promotion_code": "promotion_code",
    "discount": "discount",
    "discounts": "discount",
    "configuration": "billing_portal.configuration",
}
_MAX_DEPTH = 4


def listing(url: str, data: list[Obj], *, has_more: bool = False) -> Obj:
    """A list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def view(acct: Account, obj: Obj) -> Obj:
    """The object as Stripe shows it, unexpanded; the caller may change the answer."""
    shown = copy_of({key: value for key, value in obj.items() if not key.startswith("_")})
    kind = shown.get("object")
    if kind == "subscription":
        shown["items"]["data"] = [item_view(acct, item) for item in shown["items"]["data"]]
    elif kind == "event":
        shown["pending_webhooks"] = len(obj.get("_waiting", ()))
    elif kind == "subscription_item" and isinstance(shown.get("price"), str):
        shown = item_view(acct, shown)
    elif kind == "customer" and shown.get("discount"):
        shown["discount"] = view(acct, acct.get("discount", shown["discount"]))
    return shown


def item_view(acct: Account, item: Obj) -> Obj:
    """A subscription item with its price (and the old plan form of it) in place."""
    price = acct.get("price", item["price"])
    return {**item, "plan": plan_view(price), "price": view(acct, price)}


def plan_view(price: Obj) -> Obj:
    """The recurring price in the older `plan` form that items still carry."""
    recurring = price["recurring"]
    transform = price["transform_quantity"]
    return shape.new(
        "plan",
        id=price["id"],
        active=price["active"],
        amount=price["unit_amount"],
        amount_decimal=price["unit_amount_decimal"],
        billing_scheme=price["billing_scheme"],
        created=price["created"],
        currency=price["currency"],
        interval=recurring["interval"],
        interval_count=recurring["interval_count"],
        livemode=False,
        metadata=price["metadata"],
        meter=recurring["meter"],
        nickname=price["nickname"],
        product=price["product"],
        tiers_mode=price["tiers_mode"],
        transform_usage=transform,
        trial_period_days=recurring["trial_period_days"],
        usage_type=recurring["usage_type"],
    )


def expand(acct: Account, shown: Obj, paths: list[str]) -> Obj:
    """The shown object with the asked references replaced by objects."""
    for path in paths:
        parts = path.split(".")
        if len(parts) - (parts[0] == "data") > _MAX_DEPTH:
            raise malformed("You cannot expand more than 4 levels of a property.", "expand")
        _walk(acct, shown, parts, path)
    return shown


def _walk(acct: Account, node: Any, parts: list[str], path: str) -> None:
    if isinstance(node, list):
        for element in node:
            _walk(acct, element, parts, path)
        return
    if not parts or not isinstance(node, dict):
        return
    head, rest = parts[0], parts[1:]
    value = _hidden(acct, node, head)
    if value is None:
        if (node.get("object"), head) in _KEPT_ASIDE:
            # A price without tiers is not refused, it just has none to show.
            return
        if head not in node:
            raise malformed(f"This property cannot be expanded ({path}).", "expand")
        value = _resolve(acct, node[head], head, path)
    node[head] = value
    _walk(acct, value, rest, path)


def _resolve(acct: Account, value: Any, field: str, path: str) -> Any:
    kind = _REFERENCES.get(field)
    if isinstance(value, str):
        if kind is None:
            raise malformed(f"This property cannot be expanded ({path}).", "expand")
        found = acct.find(kind, value)
        if found is None:
            return value
        if found.get("_deleted"):
            return {"id": value, "object": kind, "deleted": True}
        return view(acct, found)
    if isinstance(value, list) and kind is not None:
        return [_resolve(acct, element, field, path) for element in value]
    if value is None or isinstance(value, dict | list):
        return value
    raise malformed(f"This property cannot be expanded ({path}).", "expand")


def _hidden(acct: Account, node: Obj, field: str) -> Any:
    """Fields that exist only when asked for."""
    key = (str(node.get("object")), field)
    stored = acct.find(key[0], str(node.get("id")))
    if stored is None:
        return None
    if key in _KEPT_ASIDE:
        return copy_of({"value": stored.get(f"_{field}")})["value"]
    made = _MADE_ON_DEMAND.get(key)
    return made(acct, stored) if made is not None else None


def _lines(acct: Account, session: Obj) -> Obj:
    lines = session["_line_items"]
    shown = [line_view(acct, line) for line in lines[:_INLINE_LINES]]
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return listing(url, shown, has_more=len(lines) > _INLINE_LINES)


def _payments(acct: Account, invoice: Obj) -> Obj:
    found = [p for p in acct.all("invoice_payment") if p["invoice"] == invoice["id"]]
    return listing("/v1/invoice_payments", [view(acct, p) for p in reversed(found)])


def _subscriptions(acct: Account, customer: Obj) -> Obj:
    found = [s for s in acct.all("subscription") if s["customer"] == customer["id"]]
    live = [s for s in found if s["status"] not in ("canceled", "incomplete_expired")]
    url = f"/v1/customers/{customer['id']}/subscriptions"
    return listing(url, [view(acct, s) for s in reversed(live)])


_INLINE_LINES = 10
_KEPT_ASIDE = {
    ("price", "tiers"),
    ("price", "currency_options"),
    ("coupon", "applies_to"),
    ("coupon", "currency_options"),
    ("invoice", "confirmation_secret"),
}
_MADE_ON_DEMAND: dict[tuple[str, str], Callable[[Account, Obj], Obj]] = {
    ("checkout.session", "line_items"): _lines,
    ("invoice", "payments"): _payments,
    ("customer", "subscriptions"): _subscriptions,
    ("customer", "sources"): lambda _, obj: listing(f"/v1/customers/{obj['id']}/sources", []),
    ("customer", "tax_ids"): lambda _, obj: listing(f"/v1/customers/{obj['id']}/tax_ids", []),
}


def line_view(acct: Account, line: Obj) -> Obj:
    """A checkout line item with its price in place."""
    return {**copy_of(line), "price": view(acct, acct.get("price", line["price"]))}


def difference(before: Obj, after: Obj) -> Obj:
    """The old values of what changed, in the form of `previous_attributes`."""
    changed: Obj = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        # Hashes show only the keys that changed, lists are shown whole.
        both = isinstance(old, dict) and isinstance(new, dict)
        changed[key] = difference(old, new) if both else old  # type: ignore[arg-type]
    return dict(sorted(changed.items()))
