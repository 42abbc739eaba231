"""Subscription items on their own: each change is a change of the subscription."""

from __future__ import annotations

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.changing import change
from infra.local.stripe_stand_in.errors import no_such
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import page
from infra.local.stripe_stand_in.store import Obj

_OWN = ("price", "price_data", "plan", "quantity", "metadata", "discounts", "tax_rates")


def _find(acct: Account, item_id: str) -> tuple[Obj, Obj]:
    owner = acct.store.get("_item_owner", item_id)
    if owner is not None:
        subscription = acct.get("subscription", owner["subscription"])
        for item in subscription["items"]["data"]:
            if item["id"] == item_id:
                return subscription, item
    raise no_such("subscription_item", item_id)


def _split(params: Obj) -> tuple[Obj, Obj]:
    own = {name: params[name] for name in _OWN if name in params}
    rest = {k: v for k, v in params.items() if k not in own and k != "subscription"}
    return own, rest


@route("POST", "/v1/subscription_items")
def create(acct: Account, params: Obj) -> Obj:
    """The subscription has one more item."""
    subscription = acct.get("subscription", params["subscription"], "subscription")
    own, rest = _split(params)
    changed = change(acct, subscription["id"], {**rest, "items": [own]})
    added: Obj = changed["items"]["data"][-1]
    return added


@route("GET", "/v1/subscription_items/{id}")
def retrieve(acct: Account, _params: Obj, item_id: str) -> Obj:
    """The item."""
    return _find(acct, item_id)[1]


@route("POST", "/v1/subscription_items/{id}")
def update(acct: Account, params: Obj, item_id: str) -> Obj:
    """The item with what was given changed."""
    subscription, _ = _find(acct, item_id)
    own, rest = _split(params)
    change(acct, subscription["id"], {**rest, "items": [{**own, "id": item_id}]})
    return _find(acct, item_id)[1]


@route("DELETE", "/v1/subscription_items/{id}")
def delete(acct: Account, params: Obj, item_id: str) -> Obj:
    """The subscription has one item less; refused for its last."""
    subscription, _ = _find(acct, item_id)
    _, rest = _split(params)
    change(acct, subscription["id"], {**rest, "items": [{"id": item_id, "deleted": True}]})
    return {"id": item_id, "object": "subscription_item", "deleted": True}


@route("GET", "/v1/subscription_items")
def list_all(acct: Account, params: Obj) -> Obj:
    """The items of one subscription."""
    subscription = acct.get("subscription", params["subscription"], "subscription")
    items = list(subscription["items"]["data"])
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    return {**page(acct, "subscription_item", [], {}, url), "data": items}
