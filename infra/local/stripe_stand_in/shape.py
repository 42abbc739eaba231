"""Objects with every field of the pinned API version, taken from the SDK's annotated classes."""

from __future__ import annotations

import typing
from functools import cache
from importlib import import_module
from typing import Any

from stripe._object_classes import OBJECT_CLASSES

# Present only when asked for with `expand`, or never for the account's own objects.
_HIDDEN: dict[str, frozenset[str]] = {
    "price": frozenset({"tiers", "currency_options"}),
    "plan": frozenset({"tiers"}),
    "coupon": frozenset({"applies_to", "currency_options"}),
    "customer": frozenset(
        {"cash_balance", "invoice_credit_balance", "sources", "subscriptions", "tax", "tax_ids"}
    ),
    "checkout.session": frozenset({"line_items"}),
    "invoice": frozenset({"payments", "confirmation_secret"}),
    "event": frozenset({"account", "context"}),
    "webhook_endpoint": frozenset({"secret"}),
}


def sdk_class(kind: str) -> type:
    """The SDK's class of an object, or of a part of one: `invoice:Parent.SubscriptionDetails`."""
    name, _, inner = kind.partition(":")
    module, class_name = OBJECT_CLASSES[name]
    cls = getattr(import_module(module), class_name)
    for part in inner.split(".") if inner else ():
        cls = getattr(cls, part)
    found: type = cls
    return found


def nullable(annotation: Any) -> bool:
    """Whether the SDK says the field may be null."""
    return type(None) in typing.get_args(annotation)


@cache
def _null_fields(kind: str) -> tuple[str, ...]:
    hidden = _HIDDEN.get(kind, frozenset()) | {"deleted"}
    return tuple(
        name
        for name, annotation in sdk_class(kind).__annotations__.items()
        if nullable(annotation) and name not in hidden
    )


def new(kind: str, **fields: Any) -> dict[str, Any]:
    """An object of this kind: given fields, every other nullable field null."""
    merged: dict[str, Any] = dict.fromkeys(_null_fields(kind))
    merged.update(fields)
    if ":" in kind:
        return merged
    head = {"id": merged.pop("id"), "object": kind} if "id" in merged else {"object": kind}
    merged.pop("object", None)
    return head | dict(sorted(merged.items()))
