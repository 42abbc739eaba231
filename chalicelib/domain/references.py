"""References: strongly consistent look-ups from an id of one kind to the object that owns it."""

from dataclasses import dataclass
from typing import Final

SUBSCRIPTION: Final = "subscription"
PROMOTION_CODE: Final = "promotion_code"
CHECKOUT_SESSION: Final = "checkout_session"


def price_namespace(provider: str) -> str:
    """The namespace of the provider's price ids."""
    return f"{provider}_price"


def customer_namespace(provider: str) -> str:
    """The namespace of the provider's customer ids."""
    return f"{provider}_customer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """`key` in `namespace` belongs to the object identified by `target`."""

    namespace: str
    key: str
    target: tuple[str, ...]

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one reference from another."""
        return (self.namespace, self.key)
