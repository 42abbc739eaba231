"""Importing this module fills the route table."""

from infra.local.stripe_stand_in.resources import (
    checkout,
    coupons,
    customers,
    invoices,
    items,
    meters,
    oauth,
    payment_methods,
    payment_pages,
    payments,
    portal,
    prices,
    products,
    schedules,
    subscriptions,
    webhooks,
)

_RESOURCES = (
    checkout,
    coupons,
    customers,
    invoices,
    items,
    meters,
    oauth,
    payment_methods,
    payment_pages,
    payments,
    portal,
    prices,
    products,
    schedules,
    subscriptions,
    webhooks,
)


def load() -> int:
    """How many resources have filled the route table."""
    return len(_RESOURCES)
