"""Whose a provider's customer is to be: found by what is known of it, or made anew. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.billing import ListedCustomer
from chalicelib.domain.convergence import METADATA_ENVIRONMENT
from chalicelib.domain.customers import Customer
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId, is_chosen_id


class ImportAction(StrEnum):
    """What becomes of a provider's customer: it is linked already, found among ours, made anew, or left alone."""

    KNOWN = "known"
    LINK = "link"
    CREATE = "create"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedCustomer:
    """A provider's customer and what became of it. `reason` of a conflict is stable.

    `subscriptions` are those that are ours now, `unmapped_prices` what it is charged for and we do not sell.
    """

    billing_id: str
    action: ImportAction
    customer_id: CustomerId | None = None
    reason: str | None = None
    subscriptions: int = 0
    unmapped_prices: tuple[str, ...] = ()


def match(
    provider: str,
    environment: str,
    found: ListedCustomer,
    linked: CustomerId | None,
    stated: str | None,
    by_id: Mapping[str, Customer],
    by_email: Sequence[Customer],
) -> ImportedCustomer:
    """What is to become of it: by its link, by the id that its metadata states, by its email, else under its own id.

    `by_id` has our customers of the stated and of its own id, as far as there are such.
    """
    billing_id = found.customer.billing_id

    def outcome(
        action: ImportAction, customer_id: str | None = None, reason: str | None = None
    ) -> ImportedCustomer:
        ours = CustomerId(customer_id) if customer_id is not None else None
        return ImportedCustomer(
            billing_id=billing_id, action=action, customer_id=ours, reason=reason
        )

    if linked is not None:
        return outcome(ImportAction.KNOWN, linked)
    unfit = _unfit(found, stated, environment)
    if unfit is not None:
        return outcome(ImportAction.CONFLICT, reason=unfit)
    named = by_id.get(stated or billing_id)
    candidates = list(by_email) if stated is None else []
    if not candidates and named is not None:
        candidates = [named]
    if len(candidates) > 1:
        return outcome(ImportAction.CONFLICT, reason="ambiguous_email")
    if not candidates:
        return outcome(ImportAction.CREATE, stated or billing_id)
    [ours] = candidates
    taken = _taken(ours, provider, billing_id)
    if taken is not None:
        return outcome(ImportAction.CONFLICT, ours.id, taken)
    return outcome(ImportAction.LINK, ours.id)


def _unfit(found: ListedCustomer, stated: str | None, environment: str) -> str | None:
    """Why the provider's customer can be nobody's here."""
    if found.customer.metadata.get(METADATA_ENVIRONMENT, environment) != environment:
        return "other_environment"
    return "bad_id" if stated is not None and not is_chosen_id(stated) else None


def _taken(ours: Customer, provider: str, billing_id: str) -> str | None:
    """Why our customer can't be the provider's."""
    if ours.status is Lifecycle.ARCHIVED:
        return "archived"
    known_as = ours.billing_id(provider)
    return "linked_elsewhere" if known_as not in (None, billing_id) else None
