"""Subscribing a customer at a provider that asks for no payment first.

Our record of the subscription is made by convergence, as for any provider: what this does is to make it true there.
"""

from datetime import timedelta
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import SubscriptionRequest
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError, invalid
from chalicelib.domain.ids import SubscriptionId
from chalicelib.domain.order_times import begun_since
from chalicelib.domain.orders import Order
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import DirectProvider, Ports
from chalicelib.services.billed_order import billed_items, subscription_metadata
from chalicelib.services.clear_slot import claim, clear_slot, closing
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.link_customer import link_customer
from chalicelib.services.place_order import Placed

# Longer than any invocation can run: whoever claimed the slot that long ago is not calling the provider any more.
_CLAIM: Final = timedelta(seconds=90)


def start_subscription(
    ports: Ports,
    cause: Cause,
    order: Order,
    placed: Placed,
    provider: DirectProvider,
    wanted: SubscriptionId,
) -> Subscription:
    """The customer has the subscription `wanted`, at the provider and with us; a repetition finds it made.

    Timeline of two requests A and B for one product: A claims the slot, B finds it claimed and is sent away; if
    A dies before or after the provider subscribed the customer, B (or A's repetition) looks there first. The claim
    depends on the snapshot that the order was checked against, so no other way was gone to its end in between.
    """
    started_at = begun_since(order, provider.name, ports.clock.now())
    slot = clear_slot(ports, cause, order.customer_id, placed.priced.plan.product_id, wanted)
    items = billed_items(ports, provider.name, placed.priced)
    customer_billing_id = link_customer(ports, placed.customer, provider)
    claimed = claim(ports, placed, _claim(ports, order, placed, provider.name, wanted), slot)
    request = SubscriptionRequest(
        customer_billing_id=customer_billing_id,
        items=items,
        metadata=subscription_metadata(ports.environment, claimed),
        started_at=started_at,
    )
    try:
        provider.create_subscription(
            request, f"paygrade:{ports.environment.name}:subscription:{wanted}"
        )
    except ProviderRefusedError:
        # Nothing came of it and nothing will: the slot is free for an order that the provider takes.
        ports.store.commit(closing(claimed))
        raise
    converged = converge_customer(ports, cause, order.customer_id, provider.name)
    for held in converged.subscriptions:
        if held.id == wanted:
            return held
    raise ProviderUnavailableError(f"{provider.name} does not show the new subscription yet.")


def _claim(
    ports: Ports, order: Order, placed: Placed, provider: str, wanted: SubscriptionId
) -> CheckoutSession:
    priced = placed.priced
    if placed.trial is not None:
        detail = f"The plan's trial needs a payment method, which {provider} takes none of; order it without."
        raise invalid("trial", "unsupported", detail)
    if priced.billing_period is None or priced.currency is None:
        raise invalid("plan_id", "nothing_to_pay", "The plan costs nothing.")
    now = ports.clock.now().replace(microsecond=0)
    return CheckoutSession(
        id=ports.ids.new("chk_"),
        customer_id=placed.customer.id,
        product_id=priced.plan.product_id,
        resource_id=order.resource_id,
        plan_id=priced.plan.id,
        plan_version=priced.plan.number,
        addons=priced.addons,
        unbilled_addons=priced.unbilled_addons,
        quantities=priced.quantities,
        billing_period=priced.billing_period,
        interval_count=priced.interval_count,
        currency=priced.currency,
        subscription_id=wanted,
        terms="",
        provider=provider,
        is_direct=True,
        expires_at=now + _CLAIM,
        created_at=now,
        metadata=order.metadata,
    )
