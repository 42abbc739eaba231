"""Operations on a running subscription."""

from typing import Annotated, Any

from chalice.app import Blueprint
from pydantic import Field, RootModel

from chalicelib.api.http import Call, endpoint
from chalicelib.api.orders import CODE_PATTERN, AddonIn, Url
from chalicelib.api.subscriptions import ProvisioningOut, SubscriptionOut, from_domain
from chalicelib.api.wire import (
    ChosenId,
    Count,
    MetadataPatch,
    NoQuery,
    Revision,
    UtcInstant,
    Wire,
)
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId
from chalicelib.domain.orders import AddonOrder
from chalicelib.domain.price_moves import Proration
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.subscription_changes import Change, ChangeTime
from chalicelib.domain.subscription_ends import Ending, When
from chalicelib.domain.subscriptions import Subscription
from chalicelib.services.cancel_subscription import cancel_subscription
from chalicelib.services.change_subscription import change_subscription, migrate_subscription
from chalicelib.services.drop_scheduled_change import drop_scheduled_change
from chalicelib.services.extend_trial import extend_trial
from chalicelib.services.pause_subscription import pause_subscription
from chalicelib.services.resume_subscription import resume_subscription
from chalicelib.services.transfer_subscription import transfer_subscription

bp = Blueprint(__name__)

ExpectedVersion = Annotated[
    Revision | None,
    Field(description="The `version` that the caller saw; another one is a 409."),
]


class SubscriptionVersionIn(Wire):
    """Which version of the subscription the caller has seen."""

    expected_version: ExpectedVersion = None


class CancelIn(SubscriptionVersionIn):
    """When it ends."""

    effective: Annotated[When, Field(strict=False)]
    at: Annotated[UtcInstant | None, Field(strict=False, description="With `date` alone.")] = None


class ChangeIn(Wire):
    """What shall be different; what is left out stays as it is."""

    plan_id: Annotated[
        ChosenId | None, Field(description="Another plan of the product, as it is sold now.")
    ] = None
    billing_period: Annotated[BillingPeriod | None, Field(strict=False)] = None
    interval_count: Annotated[int | None, Field(ge=1, le=1095)] = None
    addons: Annotated[
        tuple[AddonIn, ...] | None,
        Field(strict=False, max_length=18, description="All of them, in the place of those held."),
    ] = None
    quantities: Annotated[
        dict[ChosenId, Count], Field(max_length=18, description="Units of these features.")
    ] = Field(default_factory=dict)
    coupon: Annotated[
        ChosenId | None, Field(description="In the place of the one held; null: none any more.")
    ] = None
    promotion_code: Annotated[
        str | None, Field(pattern=CODE_PATTERN, description="The coupon by its code.")
    ] = None
    metadata: MetadataPatch = Field(default_factory=dict)
    effective: Annotated[
        ChangeTime, Field(strict=False, description="At once, or as the next period begins.")
    ] = ChangeTime.IMMEDIATE
    proration: Annotated[
        Proration,
        Field(
            strict=False,
            description="Whether the rest of the running period is settled: with the next invoice, not, or at once.",
        ),
    ] = Proration.CREATE
    success_url: Annotated[
        Url | None, Field(description="Where to return if something has to be paid first.")
    ] = None
    cancel_url: Annotated[Url | None, Field(description="Where to return without payment.")] = None

    def to_change(self) -> Change:
        """The change that the services understand."""
        return Change(
            plan_id=PackageId(self.plan_id) if self.plan_id is not None else None,
            billing_period=self.billing_period,
            interval_count=self.interval_count,
            addons=None
            if self.addons is None
            else tuple(
                AddonOrder(id=PackageId(addon.id), quantity=addon.quantity) for addon in self.addons
            ),
            quantities={FeatureId(key): number for key, number in self.quantities.items()},
            effective=self.effective,
            proration=self.proration,
            coupon=self.coupon,
            promotion_code=self.promotion_code,
            sets_coupon=bool({"coupon", "promotion_code"} & self.model_fields_set),
            metadata=self.metadata,
            success_url=self.success_url,
            cancel_url=self.cancel_url,
        )


class UpdateIn(ChangeIn):
    """The change, and what it is a change of."""

    expected_version: ExpectedVersion = None


class MigrateIn(SubscriptionVersionIn):
    """Which version of the plan, and when."""

    version: Annotated[
        Revision | None, Field(description="Default: the version that is sold now.")
    ] = None
    effective: Annotated[ChangeTime, Field(strict=False)] = ChangeTime.IMMEDIATE
    proration: Annotated[Proration, Field(strict=False)] = Proration.CREATE


class TransferIn(SubscriptionVersionIn):
    """To whom."""

    customer_id: ChosenId


class ChangedOut(RootModel[SubscriptionOut | ProvisioningOut]):
    """The subscription, or the page on which its replacement has to be paid first."""


class ExtendTrialIn(SubscriptionVersionIn):
    """Until when the trial goes on."""

    trial_end: Annotated[UtcInstant, Field(strict=False)]


@endpoint(
    bp,
    "POST",
    "/subscriptions/{subscription_id}/cancel",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Cancel a subscription",
    body=CancelIn,
    answer=SubscriptionOut,
)
def post_cancel(call: Call[CancelIn, NoQuery]) -> SubscriptionOut:
    """It ends now, with its billing period, or at a date; until then it gives what it gives. Nothing is paid back."""
    wish = Ending(when=call.body.effective, at=call.body.at)
    held = cancel_subscription(
        call.ports, call.cause, _subscription_id(call), wish, call.body.expected_version
    )
    return _shown(call, held)


@endpoint(
    bp,
    "POST",
    "/subscriptions/{subscription_id}/resume",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Resume a subscription",
    body=SubscriptionVersionIn,
    answer=SubscriptionOut,
)
def post_resume(call: Call[SubscriptionVersionIn, NoQuery]) -> SubscriptionOut:
    """Its coming end is taken back, and if it is paused it goes on. One that has ended does not come back."""
    held = resume_subscription(
        call.ports, call.cause, _subscription_id(call), call.body.expected_version
    )
    return _shown(call, held)


@endpoint(
    bp,
    "POST",
    "/subscriptions/{subscription_id}/pause",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Pause a subscription",
    body=SubscriptionVersionIn,
    answer=SubscriptionOut,
)
def post_pause(call: Call[SubscriptionVersionIn, NoQuery]) -> SubscriptionOut:
    """Nothing is collected for it and it gives nothing, until it is resumed."""
    held = pause_subscription(
        call.ports, call.cause, _subscription_id(call), call.body.expected_version
    )
    return _shown(call, held)


@endpoint(
    bp,
    "POST",
    "/subscriptions/{subscription_id}/extend_trial",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Extend a trial",
    body=ExtendTrialIn,
    answer=SubscriptionOut,
)
def post_extend_trial(call: Call[ExtendTrialIn, NoQuery]) -> SubscriptionOut:
    """The trial goes on until this later instant, at most two years from its start."""
    body = call.body
    held = extend_trial(
        call.ports, call.cause, _subscription_id(call), body.trial_end, body.expected_version
    )
    return _shown(call, held)


@endpoint(
    bp,
    "DELETE",
    "/subscriptions/{subscription_id}/scheduled_change",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Drop a scheduled change",
    body=SubscriptionVersionIn,
    answer=SubscriptionOut,
)
def delete_scheduled_change(call: Call[SubscriptionVersionIn, NoQuery]) -> SubscriptionOut:
    """Nothing waits for the subscription any more. Where nothing did, it is shown as it is."""
    held = drop_scheduled_change(
        call.ports, call.cause, _subscription_id(call), call.body.expected_version
    )
    return _shown(call, held)


@endpoint(
    bp,
    "PATCH",
    "/subscriptions/{subscription_id}",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Change a subscription",
    body=UpdateIn,
    answer=ChangedOut,
)
def patch_subscription(call: Call[UpdateIn, NoQuery]) -> ChangedOut:
    """Another plan, period, add-ons, quantities, coupon or metadata, now or with the next period.

    A change replaces one that waits. From a plan that nobody bills to one that has to be paid, the answer is a
    `provisioning` with the page to pay on; until it is paid, nothing changes. From a paid plan to one that nobody
    bills, the subscription ends and another follows: nothing is paid back.
    """
    body = call.body
    result = change_subscription(
        call.ports, call.cause, _subscription_id(call), body.to_change(), body.expected_version
    )
    if result.checkout is not None:
        return ChangedOut(
            ProvisioningOut(
                status="payment_required",
                checkout_url=result.checkout.url,
                checkout_session_id=result.checkout.id,
            )
        )
    if result.subscription is None:
        raise AssertionError  # there is one or the other
    return ChangedOut(_shown(call, result.subscription))


@endpoint(
    bp,
    "POST",
    "/subscriptions/{subscription_id}/migrate",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Move a subscription to a version of its plan",
    body=MigrateIn,
    answer=SubscriptionOut,
)
def post_migrate(call: Call[MigrateIn, NoQuery]) -> SubscriptionOut:
    """It is pinned to that version, newer or older; what it is charged by follows."""
    body = call.body
    held = migrate_subscription(
        call.ports,
        call.cause,
        _subscription_id(call),
        body.version,
        Change(effective=body.effective, proration=body.proration),
        body.expected_version,
    )
    return _shown(call, held)


@endpoint(
    bp,
    "POST",
    "/subscriptions/{subscription_id}/transfer",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Transfer a subscription",
    body=TransferIn,
    answer=SubscriptionOut,
)
def post_transfer(call: Call[TransferIn, NoQuery]) -> SubscriptionOut:
    """Another customer has it from now on. What a provider bills can't be transferred; usage stays behind."""
    held = transfer_subscription(
        call.ports,
        call.cause,
        _subscription_id(call),
        CustomerId(call.body.customer_id),
        call.body.expected_version,
    )
    return _shown(call, held)


def _subscription_id(call: Call[Any, Any]) -> str:
    return call.path["subscription_id"]


def _shown(call: Call[Any, Any], held: Subscription) -> SubscriptionOut:
    return from_domain(held.at(call.ports.clock.now()))
