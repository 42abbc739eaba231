"""Checks on the wire: questions and answers."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from chalicelib.api.problems import TABLE
from chalicelib.api.wire import (
    MAX_INTEGER,
    ChosenId,
    Count,
    Query,
    QueryBool,
    QueryInt,
    Wire,
)
from chalicelib.domain.decisions import DeniedReason, Question
from chalicelib.domain.errors import DomainError
from chalicelib.domain.explanations import Considered, Outcome
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.snapshot_documents import SourceDocument
from chalicelib.services.check_access import Checked
from chalicelib.services.check_many import Check

if TYPE_CHECKING:
    from chalicelib.services.explain_access import Explained, Offer

_EPOCH: Final = datetime.fromtimestamp(0, tz=UTC)


class ConsistencyQuery(Query):
    """How fresh the answer has to be."""

    consistent: Annotated[
        QueryBool,
        Field(description="Read after the last write for sure; costs twice as much."),
    ] = False


class ListChecksQuery(ConsistencyQuery):
    """Whose entitlements are wanted, and how much is told of them."""

    resource_id: Annotated[
        ChosenId | None,
        Field(
            description="What is held for this resource (a workspace, a project) counts beside what is the customer's."
        ),
    ] = None
    explain: Annotated[
        QueryBool,
        Field(description="Tell what became of each source, and the cheapest plan behind a no."),
    ] = False


RequestedValues = Annotated[
    tuple[Annotated[str, Field(max_length=128)], ...],
    Field(max_length=100, description="Enum values that are all needed."),
]


class CheckQuery(ListChecksQuery):
    """What is asked of the feature."""

    requested_usage: Annotated[
        QueryInt | None,
        Field(
            ge=0,
            le=MAX_INTEGER,
            description="Units about to be used; 1 without it, 0 asks for the state.",
        ),
    ] = None
    requested_values: Annotated[
        tuple[str, ...],
        Field(max_length=100, description="Enum values that are all needed; repeat the parameter."),
    ] = ()


class CheckIn(Wire):
    """One question about one customer."""

    customer_id: ChosenId
    feature_id: ChosenId
    resource_id: ChosenId | None = None
    requested_usage: Annotated[
        Count | None,
        Field(description="Units about to be used; 1 without it, 0 asks for the state."),
    ] = None
    requested_values: RequestedValues = ()

    def to_domain(self) -> Check:
        """The same question inside."""
        return Check(
            customer_id=CustomerId(self.customer_id),
            feature_id=self.feature_id,
            question=Question(self.requested_usage, self.requested_values, self.resource_id),
        )


class ChecksIn(Wire):
    """Up to 100 questions about any customers."""

    checks: Annotated[tuple[CheckIn, ...], Field(min_length=1, max_length=100)]
    consistent: bool = False
    explain: bool = False


class SourceOut(Wire):
    """Where an entitlement comes from."""

    type: Literal["plan", "addon", "grant"]
    id: str
    version: int | None = None
    subscription_id: str | None = None
    resource_id: str | None = None
    quantity: int = 1


class ConsideredSourceOut(SourceOut):
    """A source of the customer and what it came to for this question; `wins` and `adds` are part of the answer."""

    outcome: Outcome
    valid_from: datetime
    valid_until: datetime | None


class OfferOut(Wire):
    """The cheapest published plan that would grant it, on top of what the customer has.

    `amount_decimal` is what it charges each period in minor units; null with the rest: the price is negotiated.
    """

    plan_id: str
    version: int
    product_id: str
    billing_period: BillingPeriod | None
    interval_count: int | None
    currency: str | None
    amount_decimal: str | None
    quantities: dict[str, int]


class ExplanationOut(Wire):
    """Why the answer is what it is. `cheapest_plan` is told behind a no that a plan can change."""

    sources: tuple[ConsideredSourceOut, ...]
    cheapest_plan: OfferOut | None


class FailureOut(Wire):
    """What was in the way, as a problem would tell it."""

    code: str
    detail: str
    status: int


class CheckOut(Wire):
    """The answer. A denial is a success of the request: look at `has_access`."""

    object: Literal["entitlement_check"] = "entitlement_check"
    customer_id: str
    feature_id: str
    feature_type: str | None
    has_access: bool
    denied_reason: DeniedReason | None
    requested_usage: int | None
    current_usage: int | None
    usage_limit: int | None
    is_unlimited: bool
    has_soft_limit: bool
    remaining: int | None
    value: bool | int | None
    values: tuple[str, ...] | None
    reset_period: str | None
    usage_period_start: datetime | None
    usage_period_end: datetime | None
    valid_until: datetime | None
    sources: tuple[SourceOut, ...]
    snapshot_version: int | None
    explanation: ExplanationOut | None = None


class CheckFailedOut(Wire):
    """A question of a batch that could not be answered: no denial. Ask again."""

    object: Literal["entitlement_check_error"] = "entitlement_check_error"
    customer_id: str
    feature_id: str
    error: FailureOut


BatchItem = Annotated[CheckOut | CheckFailedOut, Field(discriminator="object")]


def moment(epoch_ms: int | None) -> datetime | None:
    """The instant as it is shown."""
    return None if epoch_ms is None else instant(epoch_ms)


def instant(epoch_ms: int) -> datetime:
    """The instant as it is shown."""
    return _EPOCH + timedelta(milliseconds=epoch_ms)


def _source(source: SourceDocument) -> SourceOut:
    return SourceOut(
        type=source["type"],
        id=source["id"],
        version=source.get("version"),
        subscription_id=source.get("subscription_id"),
        resource_id=source.get("resource"),
        quantity=source.get("quantity", 1),
    )


def _considered(considered: Considered) -> ConsideredSourceOut:
    source = considered.source
    return ConsideredSourceOut(
        **_source(source).model_dump(),
        outcome=considered.outcome,
        valid_from=instant(source["start"]),
        valid_until=moment(source.get("end")),
    )


def _offer(offer: "Offer") -> OfferOut:
    terms = offer.terms
    return OfferOut(
        plan_id=offer.plan.id,
        version=offer.plan.number,
        product_id=offer.plan.product_id,
        billing_period=terms.billing_period if terms else None,
        interval_count=terms.interval_count if terms else None,
        currency=terms.currency if terms else None,
        amount_decimal=format(offer.amount, "f") if offer.amount is not None else None,
        quantities={str(key): number for key, number in offer.quantities.items()},
    )


def explained_from_domain(check: Check, explained: "Explained") -> CheckOut:
    """The decision as it is shown, with its reasons."""
    shown = from_domain(check.customer_id, check.feature_id, explained.checked)
    offer = explained.cheapest
    explanation = ExplanationOut(
        sources=tuple(map(_considered, explained.considered)),
        cheapest_plan=_offer(offer) if offer is not None else None,
    )
    return shown.model_copy(update={"explanation": explanation})


def from_domain(customer_id: str, feature_id: str, checked: Checked) -> CheckOut:
    """The decision as it is shown."""
    decision = checked.decision
    return CheckOut(
        customer_id=customer_id,
        feature_id=feature_id,
        feature_type=decision.feature_type,
        has_access=decision.has_access,
        denied_reason=decision.denied_reason,
        requested_usage=decision.requested_usage,
        current_usage=decision.current_usage,
        usage_limit=decision.usage_limit,
        is_unlimited=decision.is_unlimited,
        has_soft_limit=decision.has_soft_limit,
        remaining=decision.remaining,
        value=decision.value,
        values=decision.values,
        reset_period=decision.reset_period,
        usage_period_start=moment(decision.period_start_ms),
        usage_period_end=moment(decision.period_end_ms),
        valid_until=moment(decision.valid_until_ms),
        sources=tuple(_source(source) for source in decision.sources),
        snapshot_version=checked.snapshot_version,
    )


def failed_from_domain(check: Check, error: DomainError) -> CheckFailedOut:
    """What kept the question from being answered."""
    status, _ = TABLE[type(error)]
    return CheckFailedOut(
        customer_id=check.customer_id,
        feature_id=check.feature_id,
        error=FailureOut(code=error.code, detail=error.detail, status=status),
    )
