"""Whose a provider's customer is: by the link that we stored, or by its own metadata where a crash kept us from it."""

from dataclasses import dataclass

from chalicelib.domain.billing import ProviderCustomer
from chalicelib.domain.customers import Customer
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.references import Reference, customer_namespace
from chalicelib.ports import Ports
from chalicelib.services.link_customer import adopt_customer


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Our customer, if there is one. `is_gone`: nobody's any more, the provider deleted it."""

    customer_id: CustomerId | None = None
    is_gone: bool = False


def find_customer(ports: Ports, provider_name: str, billing_id: str | None) -> Found:
    """Whose customer it is; one of ours that was made there and never linked is linked now."""
    if billing_id is None:
        return Found()
    known = linked_customer(ports, provider_name, billing_id)
    if known is not None:
        return Found(customer_id=known)
    if provider_name not in ports.providers.names():
        return Found()
    truth = ports.providers.get(provider_name).get_customer(billing_id)
    if truth is not None and truth.deleted:
        return Found(is_gone=True)
    customer_id = stated_customer(ports, truth) if truth is not None else None
    if (
        truth is None
        or customer_id is None
        or not adopt_customer(ports, customer_id, provider_name, truth)
    ):
        return Found()
    return Found(customer_id=customer_id)


def linked_customer(ports: Ports, provider_name: str, billing_id: str) -> CustomerId | None:
    """The customer that this is, or once was, the provider's id of."""
    reference = ports.store.get(Reference, customer_namespace(provider_name), billing_id)
    return CustomerId(reference.target[0]) if reference is not None else None


def stated_customer(ports: Ports, truth: ProviderCustomer) -> CustomerId | None:
    """The customer of this environment that the provider's metadata names, if there is such a one."""
    metadata = truth.metadata
    if (
        metadata.get("paygrade_entity_type") != "customer"
        or metadata.get("paygrade_environment") != ports.environment.name
    ):
        return None
    stated = metadata.get("paygrade_entity_id", "")
    customer = ports.store.get(Customer, stated) if stated else None
    return customer.id if customer is not None else None
