"""References: strongly consistent look-ups from an id of one kind to the object that owns it."""

from dataclasses import dataclass
from enum import StrEnum


class Namespace(StrEnum):
    """Whose ids the keys of a reference are."""

    STRIPE_CUSTOMER = "stripe_customer"
    STRIPE_PRICE = "stripe_price"
    SUBSCRIPTION = "subscription"
    CHECKOUT_SESSION = "checkout_session"


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
