"""Making a customer known to a billing provider, once, and keeping its details there current."""

from dataclasses import replace
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import BillingLink, ProviderCustomer, SyncStatus
from chalicelib.domain.catalog_mirror import entity_metadata
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import NotFoundError, ProviderRefusedError, StoreConflictError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.references import Reference, customer_namespace
from chalicelib.ports import Absent, Anyhow, AtRevision, BillingProvider, Ports, Put
from chalicelib.services.audit import entry
from chalicelib.services.optimistic import retried

UNKNOWN: Final = "unknown_customer"


def link_customer(ports: Ports, customer: Customer, provider: BillingProvider) -> str:
    """The provider's id of the customer, stored on our side; their side looks back at ours.

    The idempotency key is the customer's name, and only what never changes goes with it: two workers, or one
    that crashed before it stored the link, get the same provider customer. Past the provider's memory of keys
    (24 h) the stored link stands in for it.
    """
    billing_id = customer.billing_id(provider.name)
    if billing_id is not None and _is_gone(provider, billing_id):
        # Deleted there by hand. Late events about it still lead to our customer by its reference.
        ports.monitor.event(
            "billing_customer_gone",
            customer_id=customer.id,
            provider=provider.name,
            billing_id=billing_id,
        )
        billing_id = _create(ports, customer, provider, gone=billing_id)
    elif billing_id is None:
        billing_id = _create(ports, customer, provider)
    push_details(ports, customer.id, provider)
    return billing_id


def forget_deleted(
    ports: Ports, cause: Cause, customer_id: CustomerId, provider: BillingProvider
) -> bool:
    """Whether the customer was deleted at the provider; if so, we hold no link there any more.

    Raises:
        ProviderRefusedError: The provider never had such a customer; see `refuse_strangers_account`.
    """
    return retried(lambda: _forget_deleted(ports, cause, customer_id, provider))


def _forget_deleted(
    ports: Ports, cause: Cause, customer_id: CustomerId, provider: BillingProvider
) -> bool:
    customer = ports.store.get(Customer, customer_id)
    billing_id = customer.billing_id(provider.name) if customer is not None else None
    if customer is None or billing_id is None:
        return False
    if not refuse_strangers_account(provider, billing_id).deleted:
        return False
    links = tuple(link for link in customer.links if link.provider != provider.name)
    unlinked = replace(customer, links=links, version=customer.version + 1)
    before = {"provider": provider.name, "billing_id": billing_id}
    audit = entry(ports, cause, f"customer:{customer_id}", "customer.unlinked", before)
    ports.store.commit(Put(unlinked, AtRevision(number=customer.version)), Put(audit, Absent()))
    return True


def refuse_strangers_account(provider: BillingProvider, billing_id: str) -> ProviderCustomer:
    """The provider's customer, deleted perhaps, but one that it knows.

    A provider remembers what it deleted. One that has never heard of a customer we are linked to is most likely
    another account, reached by a wrong key: believing it would end every subscription there is.

    Raises:
        ProviderRefusedError: It has never heard of the customer.
    """
    found = provider.get_customer(billing_id)
    if found is None:
        raise ProviderRefusedError(
            f"{provider.name} does not know the customer {billing_id!r}: is this another account's key?",
            provider_code=UNKNOWN,
        )
    return found


def _is_gone(provider: BillingProvider, billing_id: str) -> bool:
    found = provider.get_customer(billing_id)
    return found is None or found.deleted


def push_details(ports: Ports, customer_id: str, provider: BillingProvider) -> None:
    """The provider shows the customer's present details, if they changed since it was last told."""
    customer = ports.store.get(Customer, customer_id)
    if customer is None:
        raise NotFoundError("customer", customer_id)
    pending = [
        link
        for link in customer.links
        if link.provider == provider.name and link.sync_status is SyncStatus.PENDING
    ]
    for link in pending:
        if link.billing_id is None:
            continue
        told = replace(link, sync_status=SyncStatus.SYNCED, error=None, synced_at=ports.clock.now())
        try:
            provider.update_customer(link.billing_id, customer)
        except ProviderRefusedError as error:
            # A bad address keeps nobody from buying: it is told of, and tried again when it changes.
            ports.monitor.event("customer_details_refused", customer_id=customer_id)
            told = replace(link, sync_status=SyncStatus.ERROR, error=error.detail)
        try:
            _store(ports, customer, told)
        except StoreConflictError:
            # The customer changed while we told the provider: the link stays pending, and whoever comes
            # next (at the latest reconciliation) tells it again.
            ports.monitor.event("customer_details_changed_while_pushed", customer_id=customer_id)


def _create(
    ports: Ports, customer: Customer, provider: BillingProvider, gone: str | None = None
) -> str:
    key = f"paygrade:{ports.environment.name}:customer:{customer.id}"
    made = provider.ensure_customer(customer_marks(ports, customer.id), key)
    link = _link_to(ports, customer, provider.name, made)
    also = () if gone is None else (_relinked(ports, customer, link, gone),)
    try:
        _store(ports, customer, link, *also)
    except StoreConflictError:
        # Somebody changed the customer since we read it; that may have been another worker linking it.
        current = ports.store.get(Customer, customer.id)
        if current is None:
            raise
        theirs = current.billing_id(provider.name)
        if theirs is not None and theirs != gone:
            return theirs
        _store(ports, current, link, *also)
    return made.billing_id


def adopt_customer(
    ports: Ports, customer_id: CustomerId, provider_name: str, found: ProviderCustomer
) -> bool:
    """Whether the provider's customer is the one that we are linked to, in both directions from now on.

    It was made for us by a process that died before it could say so.
    """

    def attempt() -> bool:
        customer = ports.store.get(Customer, customer_id)
        if customer is None:
            return False
        known_as = customer.billing_id(provider_name)
        if known_as is None:
            _store(ports, customer, _link_to(ports, customer, provider_name, found))
        elif known_as == found.billing_id:
            ports.store.commit(Put(_back_to(customer, provider_name, known_as), Anyhow()))
        else:
            return False
        ports.monitor.event("customer_adopted", customer_id=customer_id, provider=provider_name)
        return True

    return retried(attempt)


def _link_to(
    ports: Ports, customer: Customer, provider_name: str, found: ProviderCustomer
) -> BillingLink:
    has_details = customer.email is not None or customer.name is not None
    return BillingLink(
        provider=provider_name,
        billing_id=found.billing_id,
        url=found.url,
        sync_status=SyncStatus.PENDING if has_details else SyncStatus.SYNCED,
        synced_at=ports.clock.now(),
    )


def _relinked(ports: Ports, customer: Customer, link: BillingLink, gone: str) -> Put:
    cause = Cause(
        actor=f"provider:{link.provider}",
        request_id=gone,
        operation_id=f"relink:{customer.id}:{link.billing_id}",
    )
    before = {"provider": link.provider, "billing_id": gone}
    after = {"provider": link.provider, "billing_id": link.billing_id}
    audit = entry(ports, cause, f"customer:{customer.id}", "customer.relinked", before, after)
    return Put(audit, Absent())


def customer_marks(ports: Ports, customer_id: str) -> dict[str, str]:
    """What the provider's customer carries, so that it leads to ours."""
    return entity_metadata(
        "customer",
        customer_id,
        f"customers/{customer_id}",
        environment=ports.environment.name,
        public_url=ports.environment.public_url,
    )


def _store(ports: Ports, customer: Customer, link: BillingLink, *also: Put) -> None:
    others = tuple(held for held in customer.links if held.provider != link.provider)
    linked = replace(customer, links=(*others, link), version=customer.version + 1)
    reference = _back_to(customer, link.provider, link.billing_id or "")
    ports.store.commit(
        Put(linked, AtRevision(number=customer.version)), Put(reference, Anyhow()), *also
    )


def _back_to(customer: Customer, provider_name: str, billing_id: str) -> Reference:
    """What leads from the provider's id to our customer."""
    return Reference(
        namespace=customer_namespace(provider_name), key=billing_id, target=(customer.id,)
    )
