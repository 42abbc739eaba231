"""A customer's return from a checkout: a reason to look at the provider's truth, never proof of payment."""

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import CheckoutStatus, ProviderCheckout
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.references import Reference, customer_namespace
from chalicelib.ports import CheckoutProvider, Ports
from chalicelib.services.choose_provider import within_reach
from chalicelib.services.converge_customer import converge_customer


def return_from_checkout(ports: Ports, cause: Cause, checkout_billing_id: str) -> bool:
    """Whether the checkout was completed; if so, its customer has converged.

    The id comes from a browser: an unknown one is simply not completed, and converging can do no harm.
    """
    for provider in within_reach(ports):
        if not isinstance(provider, CheckoutProvider):
            continue
        try:
            checkout = provider.get_checkout(checkout_billing_id)
        except ProviderRefusedError:
            continue
        if checkout is not None:
            return _take_in(ports, cause, provider.name, checkout)
    return False


def _take_in(ports: Ports, cause: Cause, provider: str, checkout: ProviderCheckout) -> bool:
    if checkout.status is not CheckoutStatus.COMPLETE or checkout.customer_billing_id is None:
        return False
    reference = ports.store.get(
        Reference, customer_namespace(provider), checkout.customer_billing_id
    )
    if reference is None:
        return False
    converge_customer(ports, cause, CustomerId(reference.target[0]), provider)
    return True
