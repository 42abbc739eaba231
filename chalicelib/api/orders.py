"""What subscribing and checkout have in common on the wire: the order, in catalog ids only."""

from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import Field

from chalicelib.api.operations import Call
from chalicelib.api.wire import ChosenId, Count, Metadata, UtcInstant, Wire
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId
from chalicelib.domain.orders import AddonOrder, Order
from chalicelib.domain.prices import BillingPeriod

CODE_PATTERN: Final = r"^[A-Za-z0-9-]{1,64}$"
Url = Annotated[str, Field(min_length=1, max_length=2000)]


class AddonIn(Wire):
    """So many of an add-on."""

    id: ChosenId
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class TrialIn(Wire):
    """The plan's trial with another end."""

    end_at: Annotated[UtcInstant, Field(strict=False)]


class OrderIn(Wire):
    """What the customer wants. Prices are the server's: only catalog ids and quantities go in."""

    customer_id: ChosenId
    plan_id: ChosenId
    resource_id: Annotated[
        ChosenId | None,
        Field(
            description="What it is for, where not for the whole customer: a workspace, a project."
        ),
    ] = None
    billing_period: Annotated[
        BillingPeriod | None, Field(strict=False, description="Default: monthly where sold.")
    ] = None
    interval_count: Annotated[
        int | None,
        Field(ge=1, le=1095, description="Of several periods at once. Default: one, where sold."),
    ] = None
    currency: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z]{3}$",
            description="Default: the customer's, where the plan is sold in it.",
        ),
    ] = None
    addons: Annotated[tuple[AddonIn, ...], Field(strict=False, max_length=18)] = ()
    quantities: Annotated[
        dict[ChosenId, Count],
        Field(max_length=18, description="Units by feature, for prices per unit."),
    ] = Field(default_factory=dict)
    trial: Annotated[
        bool | TrialIn | None,
        Field(
            description="True insists on the plan's trial, an object on its end, false declines it. Default: once."
        ),
    ] = None
    start_at: Annotated[
        UtcInstant | None,
        Field(
            strict=False,
            description="When what nobody bills begins: a year ago to five years ahead; "
            "what is billed by hand: a year ago to now. Default: now.",
        ),
    ] = None
    coupon: Annotated[
        ChosenId | None, Field(description="The coupon that is taken off; or a promotion code.")
    ] = None
    promotion_code: Annotated[
        str | None, Field(pattern=CODE_PATTERN, description="What a customer typed in.")
    ] = None
    success_url: Annotated[
        Url | None,
        Field(description="Where to return after payment; its origin must be on the allow-list."),
    ] = None
    cancel_url: Annotated[Url | None, Field(description="Where to return without payment.")] = None
    billing_provider: Annotated[
        str | None,
        Field(
            pattern=r"^[a-z][a-z0-9_]{0,31}$",
            description="Who bills it, e.g. `manual`. Default: the provider that takes payments, if there is one.",
        ),
    ] = None
    metadata: Metadata = Field(default_factory=dict)

    def to_domain(self) -> Order:
        """The order that the services understand."""
        return Order(
            customer_id=CustomerId(self.customer_id),
            plan_id=PackageId(self.plan_id),
            resource_id=self.resource_id,
            billing_period=self.billing_period,
            interval_count=self.interval_count,
            currency=self.currency,
            addons=tuple(
                AddonOrder(id=PackageId(addon.id), quantity=addon.quantity) for addon in self.addons
            ),
            quantities={FeatureId(key): number for key, number in self.quantities.items()},
            trial=True if isinstance(self.trial, TrialIn) else self.trial,
            trial_until=self.trial.end_at if isinstance(self.trial, TrialIn) else None,
            start_at=self.start_at,
            coupon=self.coupon,
            promotion_code=self.promotion_code,
            success_url=self.success_url,
            cancel_url=self.cancel_url,
            billing_provider=self.billing_provider,
            metadata=self.metadata,
        )


def ordered(body: OrderIn, call: Call[Any, Any]) -> Order:
    """The order of the call; what comes with a customer token is the customer's own."""
    return replace(body.to_domain(), is_self_service=call.token is not None)
