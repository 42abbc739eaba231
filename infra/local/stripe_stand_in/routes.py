"""Importing this module fills the route table."""

from .resources import (
    checkout,
    coupons,
    customers,
    invoices,
    items,
    meters,
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

RESOURCES = (
    checkout,
    coupons,
    customers,
    invoices,
    items,
    meters,
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
