"""Subscriptions: subscribing a customer, and what it holds."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api import whose
from chalicelib.api.billing_links import BillingLinkOut, links_from_domain
from chalicelib.api.http import Call, Reply, endpoint
from chalicelib.api.orders import OrderIn, ordered
from chalicelib.api.wire import ChosenId, ListOut, NoBody, NoQuery, PageQuery, Wire, list_answer
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.billing import BillingLink, SyncStatus
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.subscriptions import SubscribedAddon, Subscription, SubscriptionStatus
from chalicelib.services.provision_subscription import provision_subscription
from chalicelib.services.view_subscriptions import get_subscription

bp = Blueprint(__name__)


class SubscribedAddonOut(Wire):
    """An add-on of a subscription."""

    id: str
    version: int
    quantity: int


class ScheduledChangeOut(Wire):
    """What the subscription becomes at `at`, or what the customer has then in its place."""

    at: datetime
    plan_id: str
    plan_version: int
    addons: tuple[SubscribedAddonOut, ...]
    quantities: dict[str, int]
    billing_period: BillingPeriod | None
    interval_count: int


class SubscriptionOut(Wire):
    """A subscription as it is held now."""

    object: Literal["subscription"] = "subscription"
    id: str
    customer_id: str
    product_id: str
    resource_id: str | None
    plan_id: str
    plan_version: int
    addons: tuple[SubscribedAddonOut, ...]
    quantities: dict[str, int]
    billing_period: BillingPeriod | None
    interval_count: int
    coupon: str | None
    currency: str | None
    status: SubscriptionStatus
    started_at: datetime
    current_period_start: datetime | None
    current_period_end: datetime | None
    trial_end: datetime | None
    cancel_at: datetime | None
    scheduled_change: ScheduledChangeOut | None
    ended_at: datetime | None
    billing: tuple[BillingLinkOut, ...]
    metadata: dict[str, str]
    version: int


def from_domain(subscription: Subscription) -> SubscriptionOut:
    """The subscription as it is shown."""
    links: tuple[BillingLinkOut, ...] = ()
    if subscription.provider is not None:
        link = BillingLink(
            provider=subscription.provider,
            billing_id=subscription.billing_id,
            url=subscription.billing_url,
            sync_status=SyncStatus.SYNCED,
        )
        links = links_from_domain([link])
    return SubscriptionOut(
        id=subscription.id,
        customer_id=subscription.customer_id,
        product_id=subscription.product_id,
        resource_id=subscription.resource_id,
        plan_id=subscription.plan_id,
        plan_version=subscription.plan_version,
        addons=_addons(subscription.addons),
        quantities={str(key): number for key, number in subscription.quantities.items()},
        billing_period=subscription.billing_period,
        interval_count=subscription.interval_count,
        coupon=subscription.coupon_id,
        currency=subscription.currency,
        status=subscription.status,
        started_at=subscription.started_at,
        current_period_start=subscription.current_period_start,
        current_period_end=subscription.current_period_end,
        trial_end=subscription.trial_end,
        cancel_at=subscription.cancel_at,
        scheduled_change=_scheduled(subscription),
        ended_at=subscription.ended_at,
        billing=links,
        metadata=dict(subscription.metadata),
        version=subscription.version,
    )


def _addons(addons: Iterable[SubscribedAddon]) -> tuple[SubscribedAddonOut, ...]:
    return tuple(
        SubscribedAddonOut(id=addon.id, version=addon.version, quantity=addon.quantity)
        for addon in addons
    )


def _scheduled(held: Subscription) -> ScheduledChangeOut | None:
    change = held.coming_change
    if change is None:
        return None
    return ScheduledChangeOut(
        at=change.at,
        plan_id=change.plan_id,
        plan_version=change.plan_version,
        addons=_addons(change.addons),
        quantities={str(key): number for key, number in change.quantities.items()},
        billing_period=change.billing_period,
        interval_count=change.interval_count,
    )


class ProvisioningOut(Wire):
    """Either the subscription, or the page on which it has to be paid first."""

    object: Literal["provisioning"] = "provisioning"
    status: Literal["provisioned", "payment_required"]
    subscription: SubscriptionOut | None = None
    checkout_url: str | None = None
    checkout_session_id: str | None = None


@endpoint(
    bp,
    "POST",
    "/subscriptions",
    scope=Scope.CUSTOMERS_WRITE,
    whose=whose.IN_BODY,
    summary="Subscribe a customer to a plan",
    body=OrderIn,
    answer=ProvisioningOut,
    status=201,
    also={200: "Payment is required: send the customer to `checkout_url`."},
)
def post_subscription(call: Call[OrderIn, NoQuery]) -> Reply[ProvisioningOut]:
    """Paid plans are provisioned after payment; free ones, trials without a card, what is invoiced by hand: at once."""
    result = provision_subscription(call.ports, call.cause, ordered(call.body, call))
    if result.subscription is not None:
        held = from_domain(result.subscription.at(call.ports.clock.now()))
        return Reply(ProvisioningOut(status="provisioned", subscription=held))
    checkout = result.checkout
    return Reply(
        ProvisioningOut(
            status="payment_required",
            checkout_url=checkout.url if checkout else None,
            checkout_session_id=checkout.id if checkout else None,
        ),
        status=200,
    )


class SubscriptionsQuery(PageQuery):
    """Whose subscriptions are wanted."""

    customer_id: Annotated[ChosenId, Field(description="The customer that holds them.")]


@endpoint(
    bp,
    "GET",
    "/subscriptions",
    scope=Scope.CUSTOMERS_READ,
    whose=whose.IN_QUERY,
    summary="List a customer's subscriptions",
    query=SubscriptionsQuery,
    answer=ListOut[SubscriptionOut],
)
def list_subscriptions(call: Call[NoBody, SubscriptionsQuery]) -> ListOut[SubscriptionOut]:
    """All of them, ended ones too."""
    query = call.query
    page = call.ports.store.list_within(
        Subscription, query.customer_id, limit=query.limit, cursor=query.cursor
    )
    now = call.ports.clock.now()
    return list_answer(page, lambda held: from_domain(held.at(now)))


@endpoint(
    bp,
    "GET",
    "/subscriptions/{subscription_id}",
    scope=Scope.CUSTOMERS_READ,
    whose=whose.SUBSCRIPTION,
    summary="Retrieve a subscription",
    answer=SubscriptionOut,
)
def retrieve_subscription(call: Call[NoBody, NoQuery]) -> SubscriptionOut:
    """The subscription as our side knows it; reconciliation keeps it equal to the provider's truth."""
    held = get_subscription(call.ports, call.path["subscription_id"])
    return from_domain(held.at(call.ports.clock.now()))
