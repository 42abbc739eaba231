"""The customer portal: what a customer's own page shows, and the way to the billing provider's."""

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.check_models import CheckOut
from chalicelib.api.check_models import from_domain as check_from_domain
from chalicelib.api.customers import CustomerOut
from chalicelib.api.customers import from_domain as customer_from_domain
from chalicelib.api.http import Call, endpoint
from chalicelib.api.orders import Url
from chalicelib.api.subscriptions import SubscriptionOut
from chalicelib.api.subscriptions import from_domain as subscription_from_domain
from chalicelib.api.whose import IN_PATH
from chalicelib.api.wire import NoBody, NoQuery, Query, QueryBool, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.ids import CustomerId
from chalicelib.services.open_portal import open_portal
from chalicelib.services.view_portal import PortalView, UpcomingInvoice, view_portal

bp = Blueprint(__name__)


class PortalQuery(Query):
    """How much is wanted."""

    upcoming_invoices: Annotated[
        QueryBool, Field(description="Ask the billing provider what comes next, too: slower.")
    ] = False


class UpcomingInvoiceOut(Wire):
    """What a subscription's next regular invoice would take, in minor units; usage until now included."""

    subscription_id: str
    at: datetime
    currency: str
    subtotal: int
    discount: int
    tax: int
    total: int
    amount_due: int


class PaywallReference(Wire):
    """Where the plans of a product stand that the customer could change to."""

    product_id: str
    url: str


class PortalOut(Wire):
    """The customer, all it holds and may use. `portal_provider` has a page for it; null: nobody has."""

    object: Literal["customer_portal"] = "customer_portal"
    id: str
    customer: CustomerOut
    subscriptions: tuple[SubscriptionOut, ...]
    entitlements: tuple[CheckOut, ...]
    upcoming_invoices: tuple[UpcomingInvoiceOut, ...]
    paywalls: tuple[PaywallReference, ...]
    portal_provider: str | None


class PortalSessionCreate(Wire):
    """Where the page leads back to; its origin must be on the allow-list."""

    return_url: Url
    billing_provider: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z][a-z0-9_]{0,31}$", description="Whose page. Default: the one there is."
        ),
    ] = None


class PortalSessionOut(Wire):
    """Send the customer to `url` now: it is good for a short time, and whoever has it is the customer."""

    object: Literal["portal_session"] = "portal_session"
    id: str
    customer_id: str
    billing_provider: str
    url: str
    return_url: str


@endpoint(
    bp,
    "GET",
    "/customers/{customer_id}/portal",
    scope=Scope.CUSTOMERS_READ,
    whose=IN_PATH,
    summary="Everything a customer's own page needs",
    query=PortalQuery,
    answer=PortalOut,
    etag=True,
)
def get_portal(call: Call[NoBody, PortalQuery]) -> PortalOut:
    """The customer with its subscriptions, its entitlements and their usage."""
    customer_id = CustomerId(call.path["customer_id"])
    found = view_portal(call.ports, customer_id, with_invoices=call.query.upcoming_invoices)
    return _shown(found, call.ports.environment.public_url)


@endpoint(
    bp,
    "POST",
    "/customers/{customer_id}/portal_session",
    scope=Scope.CUSTOMERS_WRITE,
    whose=IN_PATH,
    summary="Open the billing provider's portal",
    body=PortalSessionCreate,
    answer=PortalSessionOut,
    status=201,
    secret_answer=True,
)
def post_portal_session(call: Call[PortalSessionCreate, NoQuery]) -> PortalSessionOut:
    """The provider's page with the customer's invoices and payment methods; 422 `no_portal` where there is none."""
    customer_id, body = CustomerId(call.path["customer_id"]), call.body
    provider, url = open_portal(call.ports, customer_id, body.return_url, body.billing_provider)
    return PortalSessionOut(
        id=call.ports.ids.new("portal_"),
        customer_id=customer_id,
        billing_provider=provider,
        url=url,
        return_url=body.return_url,
    )


def _shown(found: PortalView, public_url: str) -> PortalOut:
    customer_id = found.customer.id
    products = dict.fromkeys(one.product_id for one in found.subscriptions if one.is_live)
    return PortalOut(
        id=customer_id,
        customer=customer_from_domain(found.customer),
        subscriptions=tuple(subscription_from_domain(one) for one in found.subscriptions),
        entitlements=tuple(
            check_from_domain(customer_id, name, checked)
            for name, checked in found.entitlements.items()
        ),
        upcoming_invoices=tuple(_invoice(one) for one in found.upcoming),
        paywalls=tuple(
            PaywallReference(
                product_id=one,
                url=f"{public_url}/v1/paywall?product_id={quote(one, safe='')}"
                f"&customer_id={quote(customer_id, safe='')}",
            )
            for one in products
        ),
        portal_provider=found.provider,
    )


def _invoice(upcoming: UpcomingInvoice) -> UpcomingInvoiceOut:
    invoice = upcoming.invoice
    return UpcomingInvoiceOut(
        subscription_id=upcoming.subscription.id,
        at=invoice.at,
        currency=invoice.currency,
        subtotal=invoice.subtotal,
        discount=invoice.discount,
        tax=invoice.tax,
        total=invoice.total,
        amount_due=invoice.due,
    )
