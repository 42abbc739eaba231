"""Leading a customer to the page where its billing provider shows invoices and payment methods."""

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import ArchivedError, invalid
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import PortalProvider, Ports
from chalicelib.services.choose_provider import require_known, within_reach
from chalicelib.services.link_customer import link_customer
from chalicelib.services.manage_customers import get_customer
from chalicelib.services.place_order import require_return_url


def open_portal(
    ports: Ports, customer_id: CustomerId, return_url: str, wished: str | None = None
) -> tuple[str, str]:
    """The provider's name and the address of the customer's own page there; it leads back to `return_url`.

    Without a wish the provider that knows the customer, or else the first that has such a page.

    Raises:
        InvalidError: No provider of the environment has a portal (`no_portal`), or the address is not allowed.
    """
    require_return_url(ports, "return_url", return_url)
    require_known(ports, wished)
    customer = get_customer(ports, customer_id)
    if customer.status is Lifecycle.ARCHIVED:
        raise ArchivedError("The customer is archived.")
    provider = portal_of(ports, customer, wished)
    if provider is None:
        who = f"The billing provider {wished!r}" if wished else "No billing provider here"
        raise invalid("billing_provider", "no_portal", f"{who} has a page for customers.")
    billing_id = link_customer(ports, customer, provider)
    return provider.name, provider.open_portal(billing_id, return_url)


def portal_of(ports: Ports, customer: Customer, wished: str | None = None) -> PortalProvider | None:
    """The provider whose portal the customer would be led to."""
    found = within_reach(ports) if wished is None else (ports.providers.get(wished),)
    able = [one for one in found if isinstance(one, PortalProvider)]
    return min(able, key=lambda one: customer.billing_id(one.name) is None, default=None)
