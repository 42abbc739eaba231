"""What people do to our products and prices at Stripe's dashboard, and what reconciliation must say of it."""

from collections.abc import Callable
from typing import Any, Final

from tests.integration.drift.shop import Shop
from tests.integration.drift.stock import KEY, PRODUCT

Expected = list[tuple[str, dict[str, Any] | None, dict[str, Any] | None]]
Edit = Callable[[Shop], Expected]


def product_renamed(shop: Shop) -> Expected:
    shop.edit(f"products/{PRODUCT}", name="Hacked")
    ours, theirs = {"name": "Pro"}, {"name": "Hacked"}
    return [("product_changed", {"product": PRODUCT, **ours}, {"product": PRODUCT, **theirs})]


def product_described(shop: Shop) -> Expected:
    shop.edit(f"products/{PRODUCT}", description="")
    ours, theirs = {"description": "For teams"}, {"description": None}
    return [("product_changed", {"product": PRODUCT, **ours}, {"product": PRODUCT, **theirs})]


def product_archived(shop: Shop) -> Expected:
    shop.edit(f"products/{PRODUCT}", active="false")
    ours, theirs = {"product": PRODUCT, "active": True}, {"product": PRODUCT, "active": False}
    return [("product_archived", ours, theirs)]


def product_metadata_wiped(shop: Shop) -> Expected:
    product = shop.edit(f"products/{PRODUCT}")
    shop.edit(f"products/{PRODUCT}", metadata="")
    held = product["metadata"]
    return [
        (
            "product_metadata",
            {"product": PRODUCT, "metadata": held},
            {"product": PRODUCT, "metadata": dict.fromkeys(held)},
        )
    ]


def product_deleted(shop: Shop) -> Expected:
    # Only a product without prices can be deleted; all of a sandbox's data can be, prices too.
    store = shop.world.stand_in.account.store
    for price in (shop.month, shop.year):
        store.delete("price", price["id"])
    shop.delete(f"products/{PRODUCT}")
    keys = [shop.month["lookup_key"], shop.year["lookup_key"]]
    return [("product_missing", {"product": PRODUCT, "name": "Pro", "prices": keys}, None)]


def price_archived(shop: Shop) -> Expected:
    named = {"price": shop.year["id"], "lookup_key": shop.year["lookup_key"]}
    shop.edit(f"prices/{shop.year['id']}", active="false")
    return [("price_archived", {**named, "active": True}, {**named, "active": False})]


def price_metadata_wiped(shop: Shop) -> Expected:
    shop.edit(f"prices/{shop.year['id']}", metadata="")
    named, held = {"price": shop.year["id"]}, shop.year["metadata"]
    ours, theirs = {**named, "metadata": held}, {**named, "metadata": dict.fromkeys(held)}
    return [("price_metadata", ours, theirs)]


def lookup_key_overwritten(shop: Shop) -> Expected:
    named, key = {"price": shop.year["id"]}, shop.year["lookup_key"]
    shop.edit(f"prices/{shop.year['id']}", lookup_key="summer")
    return [("price_lookup_key", {**named, "lookup_key": key}, {**named, "lookup_key": "summer"})]


def lookup_key_moved_elsewhere(shop: Shop) -> Expected:
    named, key = {"price": shop.year["id"]}, shop.year["lookup_key"]
    elsewhere = shop.edit("products", name="Merchandise")["id"]
    shop.extra_price(elsewhere, lookup_key=key, transfer_lookup_key="true")
    return [("price_lookup_key", {**named, "lookup_key": key}, {**named, "lookup_key": None})]


def lookup_key_moved(shop: Shop) -> Expected:
    key = shop.year["lookup_key"]
    extra = shop.extra_price(lookup_key=key, transfer_lookup_key="true")
    named = {"price": shop.year["id"]}
    theirs = {**named, "lookup_key": None, "held_by": extra["id"]}
    return [
        ("price_lookup_key", {**named, "lookup_key": key}, theirs),
        ("price_extra", None, _shown(extra)),
    ]


def price_replaced(shop: Shop) -> Expected:
    """The key goes to another price, and nothing tells any more what the old one was for."""
    key = shop.year["lookup_key"]
    extra = shop.extra_price(lookup_key=key, transfer_lookup_key="true")
    shop.edit(f"prices/{shop.year['id']}", metadata="", active="false")
    money = {"currency": "usd", "amount": 19000, "billing_period": "year", "interval_count": 1}
    return [("price_changed", {"lookup_key": key, **money}, _shown(extra))]


def foreign_price_made(shop: Shop) -> Expected:
    return [("price_extra", None, _shown(shop.extra_price()))]


def default_price_changed(shop: Shop) -> Expected:
    shop.edit(f"products/{PRODUCT}", default_price=shop.year["id"])
    return [_default(shop, shop.year["id"])]


def default_price_removed(shop: Shop) -> Expected:
    shop.edit(f"products/{PRODUCT}", default_price="")
    return [_default(shop, None)]


def default_price_foreign(shop: Shop) -> Expected:
    extra = shop.extra_price()
    shop.edit(f"products/{PRODUCT}", default_price=extra["id"])
    return [("price_extra", None, _shown(extra)), _default(shop, extra["id"])]


def _default(
    shop: Shop, theirs: str | None
) -> tuple[str, dict[str, Any] | None, dict[str, Any] | None]:
    ours = {"default_price": shop.month["id"], "lookup_key": shop.month["lookup_key"]}
    assert ours["lookup_key"].startswith(KEY)
    return (
        "default_price_changed",
        {"product": PRODUCT, **ours},
        {"product": PRODUCT, "default_price": theirs},
    )


def _shown(extra: dict[str, Any]) -> dict[str, Any]:
    money = {"currency": "usd", "amount": 500, "billing_period": "month", "interval_count": 1}
    return {"price": extra["id"], "lookup_key": extra["lookup_key"], **money}


EDITS: Final[tuple[Edit, ...]] = (
    product_renamed,
    product_described,
    product_archived,
    product_metadata_wiped,
    product_deleted,
    price_archived,
    price_metadata_wiped,
    lookup_key_overwritten,
    lookup_key_moved_elsewhere,
    lookup_key_moved,
    price_replaced,
    foreign_price_made,
    default_price_changed,
    default_price_removed,
    default_price_foreign,
)
