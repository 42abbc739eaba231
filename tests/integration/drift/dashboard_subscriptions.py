"""What people do to subscriptions and customers at Stripe's dashboard, and what reconciliation must say of it.

Each edit returns the kinds that are found and what is done about each under `restore`.
"""

from collections.abc import Callable
from typing import Final

from tests.integration.drift.subscriber import Subscriber

REPAIRED: Final = "repaired"
REPORTED: Final = "reported"
Found = list[tuple[str, str]]
Edit = Callable[[Subscriber], Found]


def canceled_now(acme: Subscriber) -> Found:
    acme.shop.delete(f"subscriptions/{acme.billing_id}")
    return [("subscription_status", REPAIRED)]


def canceled_with_the_period(acme: Subscriber) -> Found:
    acme.change(cancel_at_period_end="true")
    return [("subscription_cancellation", REPAIRED)]


def paused(acme: Subscriber) -> Found:
    acme.shop.edit(
        f"subscriptions/{acme.billing_id}/pause",
        type="subscription",
        invoicing_behavior="pending_invoice_item",
    )
    return [("subscription_status", REPAIRED)]


def item_price_changed(acme: Subscriber) -> Found:
    item = acme.item(acme.shop.month["id"])
    acme.change(**{"items[0][id]": item, "items[0][price]": acme.shop.year["id"]})
    return [("subscription_plan", REPAIRED), ("subscription_period", REPAIRED)]


def item_price_foreign(acme: Subscriber) -> Found:
    """The plan is still known by its metered line."""
    elsewhere = acme.shop.edit("products", name="Merchandise")["id"]
    extra = acme.shop.extra_price(elsewhere)
    item = acme.item(acme.shop.month["id"])
    acme.change(**{"items[0][id]": item, "items[0][price]": extra["id"]})
    return [("subscription_price", REPORTED)]


def addon_added(acme: Subscriber) -> Found:
    """What is added begins at that moment, and with it the time in which nothing renews."""
    acme.change(**{"items[0][price]": acme.addon(), "items[0][quantity]": 2})
    return [("subscription_quantity", REPAIRED), ("subscription_period", REPAIRED)]


def quantity_changed(acme: Subscriber) -> Found:
    price = acme.addon()
    acme.change(**{"items[0][price]": price, "items[0][quantity]": 2})
    acme.shop.reconcile()
    acme.change(**{"items[0][id]": acme.item(price), "items[0][quantity]": 7})
    return [("subscription_quantity", REPAIRED)]


def trial_given(acme: Subscriber) -> Found:
    end = int(acme.world.clock.now().timestamp()) + 14 * 86_400
    acme.change(trial_end=end, proration_behavior="none")
    return [("subscription_status", REPAIRED), ("subscription_period", REPAIRED)]


def coupon_given(acme: Subscriber) -> Found:
    acme.change(**{"discounts[0][coupon]": acme.shop.coupon["id"]})
    return [("subscription_coupon", REPORTED)]


def coupon_foreign_given(acme: Subscriber) -> Found:
    made = acme.shop.edit("coupons", percent_off=10, duration="forever")
    acme.change(**{"discounts[0][coupon]": made["id"]})
    return [("subscription_coupon", REPORTED)]


def metadata_wiped(acme: Subscriber) -> Found:
    acme.change(metadata="")
    return [("subscription_metadata", REPAIRED)]


def metadata_of_another(acme: Subscriber) -> Found:
    acme.change(**{"metadata[paygrade_customer_id]": "globex"})
    return [("subscription_metadata", REPAIRED)]


def schedule_of_ours_made(acme: Subscriber) -> Found:
    """The next period is to charge another price of ours: taken over as a change to come."""
    acme.schedule(acme.shop.year["id"])
    return [("subscription_schedule", REPAIRED)]


def schedule_foreign_made(acme: Subscriber) -> Found:
    elsewhere = acme.shop.edit("products", name="Merchandise")["id"]
    acme.schedule(acme.shop.extra_price(elsewhere)["id"])
    return [("subscription_schedule", REPORTED)]


def second_made_by_hand(acme: Subscriber) -> Found:
    acme.subscribe_by_hand()
    return [("subscription_missing", REPAIRED), ("subscription_duplicate", REPORTED)]


def second_paid_in_another_tab(acme: Subscriber) -> Found:
    acme.pay_in_another_tab()
    return [("subscription_missing", REPAIRED), ("subscription_duplicate", REPAIRED)]


def foreign_made(acme: Subscriber) -> Found:
    elsewhere = acme.shop.edit("products", name="Merchandise")["id"]
    price = acme.shop.extra_price(elsewhere)["id"]
    acme.subscribe_by_hand(**{"items[0][price]": price})
    return [("subscription_unmanaged", REPORTED)]


def vanished(acme: Subscriber) -> Found:
    # As when all data of a sandbox is deleted but for the customer.
    acme.world.stand_in.account.store.delete("subscription", acme.billing_id)
    return [("subscription_vanished", REPAIRED)]


def stray_made(acme: Subscriber) -> Found:
    """Somebody sells our plan at the dashboard to a customer that we do not know."""
    stranger = acme.shop.edit("customers", email="stranger@example.test")["id"]
    acme.subscribe_by_hand(customer=stranger)
    return [("subscription_stray", REPORTED)]


def customer_deleted(acme: Subscriber) -> Found:
    acme.shop.delete(f"customers/{acme.customer}")
    return [("subscription_status", REPAIRED), ("customer_deleted", REPAIRED)]


def customer_wiped(acme: Subscriber) -> Found:
    """Stripe answers 404: another account's key would look the same, so nothing ends."""
    store = acme.world.stand_in.account.store
    store.delete("subscription", acme.billing_id)
    store.delete("customer", acme.customer)
    return [("customer_unknown", REPORTED)]


def archived_customer_billed(acme: Subscriber) -> Found:
    """Ours was canceled and Acme archived; then somebody sells it the plan by hand."""
    acme.shop.delete(f"subscriptions/{acme.billing_id}")
    acme.shop.reconcile()
    acme.told("customers/acme/archive")
    acme.subscribe_by_hand()
    return [("subscription_missing", REPAIRED), ("subscription_of_archived", REPORTED)]


def customer_metadata_wiped(acme: Subscriber) -> Found:
    acme.shop.edit(f"customers/{acme.customer}", metadata="")
    return [("customer_metadata", REPAIRED)]


def livemode_differs(acme: Subscriber) -> Found:
    account = acme.world.stand_in.account
    account.save({**account.edit("subscription", acme.billing_id), "livemode": True})
    return [("livemode", REPORTED)]


EDITS: Final[tuple[Edit, ...]] = (
    canceled_now,
    canceled_with_the_period,
    paused,
    item_price_changed,
    item_price_foreign,
    addon_added,
    quantity_changed,
    trial_given,
    coupon_given,
    coupon_foreign_given,
    metadata_wiped,
    metadata_of_another,
    schedule_of_ours_made,
    schedule_foreign_made,
    second_made_by_hand,
    second_paid_in_another_tab,
    foreign_made,
    vanished,
    stray_made,
    customer_deleted,
    customer_wiped,
    archived_customer_billed,
    customer_metadata_wiped,
    livemode_differs,
)
