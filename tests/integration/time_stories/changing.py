"""What stories of changes are told with: three more plans, and what one does to a subscription."""

from typing import Any, Final

from tests.integration.time_stories.life import Life

SEAT: Final = {
    "model": "per_unit",
    "billing_period": "month",
    "currency": "usd",
    "amount": 300,
    "feature_id": "seats",
}
CARD_TRIAL: Final = {
    "duration": 14,
    "unit": "day",
    "end_behavior": "convert_to_paid",
    "payment_method_required": True,
}
STORAGE: Final = {
    "model": "flat_fee",
    "billing_period": "month",
    "currency": "usd",
    "amount": 600,
}


def stocked(life: Life) -> None:
    """Beside `pro` there are `team` (30.00 a month, 300.00 a year, 500 calls) and `free` (10 calls)."""
    life.sell("team", month=3000, year=30_000, calls=500)
    life.sell("free", month=None, year=None, calls=10)


def change(life: Life, customer: str = "acme", **wish: Any) -> Any:
    """What our API answers to the change."""
    return life.tell(f"subscriptions/{life.subscription(customer)['id']}", wish, "PATCH")


def preview(life: Life, **wish: Any) -> Any:
    """What our API says that the change would cost."""
    body = {"subscription_id": life.subscription()["id"], **wish}
    return life.tell("subscriptions/preview", body)


def limit(life: Life, customer: str = "acme") -> Any:
    """How many calls the customer has a month."""
    return life.check("calls", customer)["usage_limit"]


def sell_seats(life: Life) -> None:
    """`pro` costs 10.00 a month and 3.00 for each seat."""
    life.tell("features", {"id": "seats", "name": "Seats", "type": "metered"})
    life.sell("pro", year=None, prices=[SEAT])


def sell_storage(life: Life) -> None:
    """`pro` may be had with the add-on `storage`, 6.00 a month, which gives `backups`."""
    life.tell("features", {"id": "backups", "name": "Backups", "type": "boolean"})
    addon = {
        "id": "storage",
        "product_id": "app",
        "name": "Storage",
        "pricing_type": "paid",
        "entitlements": [{"feature_id": "backups", "value": True}],
        "prices": [STORAGE],
    }
    life.tell("addons", addon)
    life.tell("addons/storage/publish", {"migration": "new_customers"})
    life.sell("pro", year=None, compatible_addons=["storage"])
