"""What a customer's own page about its plans needs, in one look."""

from dataclasses import dataclass

from chalicelib.domain.billing import InvoicePreview
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.price_moves import Proration
from chalicelib.domain.subscriptions import GIVING_ACCESS, Subscription
from chalicelib.ports import ChangePreviews, Ports
from chalicelib.services.check_access import Checked, check_all
from chalicelib.services.listing import all_within
from chalicelib.services.manage_customers import get_customer
from chalicelib.services.open_portal import portal_of


@dataclass(frozen=True, slots=True, kw_only=True)
class UpcomingInvoice:
    """What a subscription's next regular invoice would take."""

    subscription: Subscription
    invoice: InvoicePreview


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalView:
    """The customer, what it holds and what it may use; `provider` has a page for it, if any does."""

    customer: Customer
    subscriptions: tuple[Subscription, ...]
    entitlements: dict[str, Checked]
    upcoming: tuple[UpcomingInvoice, ...]
    provider: str | None


def view_portal(ports: Ports, customer_id: CustomerId, *, with_invoices: bool) -> PortalView:
    """The customer as its own page shows it; raises `NotFoundError`.

    `with_invoices` asks the providers what comes next. One that is away is left out: its invoice is not known now.
    """
    customer = get_customer(ports, customer_id)
    now = ports.clock.now()
    stored = all_within(ports.store, Subscription, customer_id)
    subscriptions = tuple(one.at(now) for one in stored)
    provider = portal_of(ports, customer)
    return PortalView(
        customer=customer,
        subscriptions=subscriptions,
        entitlements=check_all(ports.snapshots, customer_id, now) or {},
        upcoming=_upcoming(ports, subscriptions) if with_invoices else (),
        provider=provider.name if provider is not None else None,
    )


def _upcoming(ports: Ports, subscriptions: tuple[Subscription, ...]) -> tuple[UpcomingInvoice, ...]:
    found = []
    for held in subscriptions:
        if held.provider is None or held.billing_id is None:
            continue
        if held.provider not in ports.providers.names():
            continue
        # After a cancellation that is set nothing regular comes.
        if held.status not in GIVING_ACCESS or held.cancel_at is not None:
            continue
        try:
            provider = ports.providers.get(held.provider)
            if not isinstance(provider, ChangePreviews):
                continue
            preview = provider.preview_moves(
                held.billing_id, (), proration=Proration.NONE, at_period_end=True
            )
        except (ProviderUnavailableError, ProviderRefusedError) as error:
            ports.monitor.event("upcoming_invoice_unknown", provider=held.provider, code=error.code)
            continue
        if preview.following is not None:
            found.append(UpcomingInvoice(subscription=held, invoice=preview.following))
    return tuple(found)
