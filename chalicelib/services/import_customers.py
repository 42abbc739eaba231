"""Taking over the customers and subscriptions that a provider has already, slice by slice, as often as one likes.

Nothing is changed at the provider. A slice that was cut off is done again: who is linked by then is found linked.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import ListedCustomer, ListedCustomers, ProviderSubscription
from chalicelib.domain.customer_import import ImportAction, ImportedCustomer, match
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import BillingNotConfiguredError, NotSupportedError, invalid
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.subscriptions import ENDED
from chalicelib.ports import BillingProvider, CustomerSource, Ports, SubscriptionListing
from chalicelib.services.choose_provider import require_known
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.find_customer import linked_customer, stated_customer
from chalicelib.services.link_customer import adopt_customer
from chalicelib.services.manage_customers import CustomerDetails, create_customer
from chalicelib.services.price_owners import owners_of

# Each costs a few requests to the provider, and an answer is due in half a minute.
SLICE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerImport:
    """What is wanted: by default nothing is written. `id_key` is the metadata that holds our id of a customer."""

    provider: str | None = None
    dry_run: bool = True
    id_key: str = "customer_id"
    cursor: str | None = None
    limit: int = SLICE


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSlice:
    """Some of the provider's customers, each with what became of it, or would."""

    provider: str
    customers: tuple[ImportedCustomer, ...]
    next_cursor: str | None


def import_customers(ports: Ports, cause: Cause, wish: CustomerImport) -> ImportedSlice:
    """A slice of the provider's customers is ours, linked, with their subscriptions; with `dry_run` it would be."""
    require_known(ports, wish.provider)
    provider = _source(ports, wish.provider)
    page = _page(provider, wish)
    done = tuple(_one(ports, cause, provider, wish, found) for found in page.customers)
    return ImportedSlice(provider=provider.name, customers=done, next_cursor=page.next_cursor)


def _source(ports: Ports, wished: str | None) -> BillingProvider:
    for name in ports.providers.names() if wished is None else (wished,):
        provider = ports.providers.get(name)
        if isinstance(provider, (CustomerSource, SubscriptionListing)):
            return provider
    if wished is not None:
        raise NotSupportedError(f"The billing provider {wished!r} can't list its customers.")
    raise BillingNotConfiguredError("The environment has no billing provider that lists customers.")


def _page(provider: BillingProvider, wish: CustomerImport) -> ListedCustomers:
    if isinstance(provider, CustomerSource):
        return provider.list_customers(wish.cursor, wish.limit)
    if not isinstance(provider, SubscriptionListing):
        raise NotSupportedError(f"The billing provider {provider.name!r} can't list its customers.")
    return _subscribers(provider, provider, wish)


def _subscribers(
    provider: BillingProvider, listing: SubscriptionListing, wish: CustomerImport
) -> ListedCustomers:
    """Those who have a live subscription, without what people call them: all that such a provider tells.

    Our cursor is the listing's and how far we are on its page. What ends meanwhile may hide another one from this
    run; the next run has it.
    """
    inner, _, passed = (wish.cursor or "|0").rpartition("|")
    if not passed.isdecimal():
        raise invalid("cursor", "bad_cursor", "The cursor is none that an import gave out.")
    start = int(passed)
    page = listing.live_subscriptions(inner or None)
    billing_ids = list(dict.fromkeys(one.customer_billing_id for one in page.subscriptions))
    chosen = billing_ids[start : start + wish.limit]
    found = (provider.get_customer(billing_id) for billing_id in chosen)
    following: str | None = f"{inner}|{start + len(chosen)}"
    if start + len(chosen) >= len(billing_ids):
        following = f"{page.next_cursor}|0" if page.next_cursor is not None else None
    customers = tuple(
        ListedCustomer(customer=one) for one in found if one is not None and not one.deleted
    )
    return ListedCustomers(customers=customers, next_cursor=following)


def _one(
    ports: Ports,
    cause: Cause,
    provider: BillingProvider,
    wish: CustomerImport,
    found: ListedCustomer,
) -> ImportedCustomer:
    outcome = _matched(ports, provider.name, wish, found)
    customer_id = outcome.customer_id
    if outcome.action is ImportAction.CONFLICT or customer_id is None:
        return outcome
    theirs = provider.list_subscriptions(found.customer.billing_id)
    live = [one for one in theirs if one.status not in ENDED]
    ours, unmapped = _mapped(ports, provider.name, live)
    outcome = replace(outcome, subscriptions=ours, unmapped_prices=unmapped)
    if wish.dry_run:
        return outcome
    if outcome.action is ImportAction.CREATE:
        details = CustomerDetails(
            name=found.name, email=found.email, currency=found.currency, metadata={}
        )
        create_customer(ports, cause, customer_id, details)
    if outcome.action is not ImportAction.KNOWN and not adopt_customer(
        ports, customer_id, provider.name, found.customer
    ):
        return replace(outcome, action=ImportAction.CONFLICT, reason="linked_elsewhere")
    converge_customer(ports, cause, customer_id, provider.name)
    return outcome


def _matched(
    ports: Ports, provider_name: str, wish: CustomerImport, found: ListedCustomer
) -> ImportedCustomer:
    truth = found.customer
    stated = stated_customer(ports, truth) or truth.metadata.get(wish.id_key) or None
    by_id = {
        key: customer
        for key in (stated, truth.billing_id)
        if key is not None and (customer := ports.store.get(Customer, key)) is not None
    }
    by_email: Iterable[Customer] = ()
    if stated is None and found.email is not None:
        by_email = ports.store.find_by(Customer, "email", found.email, limit=2).items
    return match(
        provider_name,
        ports.environment.name,
        found,
        linked_customer(ports, provider_name, truth.billing_id),
        stated,
        by_id,
        tuple(by_email),
    )


def _mapped(
    ports: Ports, provider_name: str, live: Iterable[ProviderSubscription]
) -> tuple[int, tuple[str, ...]]:
    """How many of the subscriptions are of a plan of ours, and the prices that are nobody's."""
    subscriptions = tuple(live)
    owners = owners_of(ports, provider_name, subscriptions)
    prices = [[item.price_billing_id for item in one.items] for one in subscriptions]
    ours = sum(
        any(price in owners and owners[price].kind is PackageKind.PLAN for price in held)
        for held in prices
    )
    unmapped = sorted({price for held in prices for price in held if price not in owners})
    return ours, tuple(unmapped)
