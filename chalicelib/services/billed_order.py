"""A priced order in the words of the provider that will bill it."""

from chalicelib.domain.billing import CheckoutItem
from chalicelib.domain.catalog_mirror import entity_metadata
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.convergence import (
    METADATA_ADDON_VERSIONS,
    METADATA_COUPON,
    METADATA_CUSTOMER,
    METADATA_PLAN_VERSION,
    METADATA_RESOURCE,
    METADATA_UNBILLED_ADDONS,
    format_versions,
)
from chalicelib.domain.orders import PricedOrder
from chalicelib.ports import Environment, Ports
from chalicelib.services.price_at import price_at


def billed_items(ports: Ports, provider: str, priced: PricedOrder) -> tuple[CheckoutItem, ...]:
    """The order's lines with the provider's own prices; raises `BillingNotReadyError` where it has none yet."""
    return tuple(
        CheckoutItem(
            price_billing_id=price_at(ports, provider, line.kind, line.package_id, line.price),
            quantity=line.quantity,
        )
        for line in priced.lines
    )


def subscription_metadata(environment: Environment, claim: CheckoutSession) -> dict[str, str]:
    """What the provider's subscription carries, so that convergence knows it for the one we asked for."""
    marks = entity_metadata(
        "subscription",
        claim.subscription_id,
        f"subscriptions/{claim.subscription_id}",
        environment=environment.name,
        public_url=environment.public_url,
    )
    marks[METADATA_CUSTOMER] = claim.customer_id
    marks[METADATA_PLAN_VERSION] = format_versions({claim.plan_id: claim.plan_version})
    if claim.addons:
        versions = {addon.id: addon.version for addon in claim.addons}
        marks[METADATA_ADDON_VERSIONS] = format_versions(versions)
    if claim.coupon_id is not None:
        marks[METADATA_COUPON] = claim.coupon_id
    if claim.resource_id is not None:
        marks[METADATA_RESOURCE] = claim.resource_id
    if claim.unbilled_addons:
        marks[METADATA_UNBILLED_ADDONS] = format_versions(claim.unbilled_addons)
    return {**claim.metadata, **marks}
