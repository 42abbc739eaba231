"""Importing this module fills the route table."""

from .resources import (
    checkout,
    customers,
    payment_methods,
    prices,
    products,
    subscriptions,
    webhooks,
)

RESOURCES = (
    checkout,
    customers,
    payment_methods,
    prices,
    products,
    subscriptions,
    webhooks,
)
