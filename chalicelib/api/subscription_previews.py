"""Previews of subscriptions on the wire: the order or the change that is asked about, and what would come of it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from chalice.app import Blueprint
from pydantic import Field, ValidationError

from chalicelib.api.http import Call, endpoint
from chalicelib.api.orders import OrderIn, ordered
from chalicelib.api.problems import from_pydantic
from chalicelib.api.subscription_changes import ChangeIn
from chalicelib.api.whose import ORDER_OR_SUBSCRIPTION
from chalicelib.api.wire import ChosenId, NoQuery, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.billing import InvoicePreview, PreviewLine
from chalicelib.domain.errors import invalid
from chalicelib.domain.impacts import Effect
from chalicelib.domain.previews import Preview
from chalicelib.domain.subscription_changes import Way
from chalicelib.services.preview_subscription import preview_change, preview_order

bp = Blueprint(__name__)

M = TypeVar("M", ChangeIn, OrderIn)


class PreviewIn(ChangeIn, OrderIn):
    """An order, or with `subscription_id` a change of that subscription. What belongs to the other one is refused."""

    customer_id: ChosenId | None = None  # type: ignore[assignment]
    plan_id: ChosenId | None = None  # type: ignore[assignment]
    subscription_id: Annotated[
        str | None, Field(min_length=1, max_length=128, description="What is to be changed.")
    ] = None


class PreviewLineOut(Wire):
    """A line of an invoice; what is negative is in the customer's favour."""

    description: str
    quantity: int | None
    amount: int
    is_proration: bool
    period_start: datetime
    period_end: datetime


class PreviewInvoiceOut(Wire):
    """An invoice as it would be made."""

    at: datetime
    currency: str
    lines: tuple[PreviewLineOut, ...]
    subtotal: int
    discount: int
    tax: int
    total: int
    amount_due: int


class EntitlementEffectOut(Wire):
    """What becomes of a feature."""

    feature_id: str
    effect: Effect


class ExceededLimitOut(Wire):
    """More is used than will be allowed: nothing is taken away, and nothing more can be used."""

    feature_id: str
    current_usage: int
    usage_limit: int


class PreviewOut(Wire):
    """What the order or change would cost and give. Nothing was done."""

    object: Literal["subscription_preview"] = "subscription_preview"
    effective_at: datetime
    requires_payment: Annotated[
        bool, Field(description="Whether it begins only once a checkout was paid.")
    ]
    currency: str | None
    lines: Annotated[tuple[PreviewLineOut, ...], Field(description="Of the first invoice.")]
    amount_due_now: int
    next_invoice: PreviewInvoiceOut | None
    proration: Annotated[int, Field(description="What settles the running period, in all.")]
    is_estimate: Annotated[
        bool, Field(description="Our own figures: taxes and what settles a period may be added.")
    ]
    is_downgrade: bool
    entitlements_gained: tuple[EntitlementEffectOut, ...]
    entitlements_lost: tuple[EntitlementEffectOut, ...]
    entitlements_changed: tuple[str, ...]
    exceeded_limits: tuple[ExceededLimitOut, ...]


@endpoint(
    bp,
    "POST",
    "/subscriptions/preview",
    scope=Scope.CUSTOMERS_READ,
    whose=ORDER_OR_SUBSCRIPTION,
    summary="Preview a subscription or a change of one",
    body=PreviewIn,
    answer=PreviewOut,
)
def preview_subscription(call: Call[PreviewIn, NoQuery]) -> PreviewOut:
    """What it would cost now and next, and what the customer would have more and less of. Nothing is changed."""
    body = call.body
    if body.subscription_id is not None:
        if call.token is not None and body.coupon is not None:
            raise invalid("coupon", "not_allowed", "A customer token may not choose this.")
        wish = _of(ChangeIn, body)
        found = preview_change(call.ports, call.cause, body.subscription_id, wish.to_change())
        return _shown(found)
    order = _of(OrderIn, body)
    found = preview_order(call.ports, ordered(order, call))
    return _shown(found)


def _of(kind: type[M], body: PreviewIn) -> M:
    """What was sent, as the one or the other."""
    sent = {name: getattr(body, name) for name in body.model_fields_set - {"subscription_id"}}
    foreign = sorted(sent.keys() - kind.model_fields.keys())
    if foreign:
        detail = "An order has no such field, or a change has none: it is one or the other."
        raise invalid(foreign[0], "unknown_field", detail)
    try:
        return kind.model_validate(sent)
    except ValidationError as error:
        raise from_pydantic(error) from error


def _shown(found: Preview) -> PreviewOut:
    differences = found.differences
    return PreviewOut(
        effective_at=found.effective_at,
        requires_payment=found.way is Way.CHECKOUT,
        currency=found.currency,
        lines=_lines(found.lines),
        amount_due_now=found.now.due if found.now is not None else 0,
        next_invoice=_invoice(found.following),
        proration=found.proration,
        is_estimate=found.is_estimate,
        is_downgrade=found.is_downgrade,
        entitlements_gained=_effects(differences.gained),
        entitlements_lost=_effects(differences.lost),
        entitlements_changed=differences.changed,
        exceeded_limits=tuple(
            ExceededLimitOut(
                feature_id=one.feature_id,
                current_usage=one.current_usage,
                usage_limit=one.usage_limit,
            )
            for one in differences.exceeded
        ),
    )


def _effects(found: Iterable[tuple[str, Effect]]) -> tuple[EntitlementEffectOut, ...]:
    return tuple(EntitlementEffectOut(feature_id=key, effect=effect) for key, effect in found)


def _lines(lines: Iterable[PreviewLine]) -> tuple[PreviewLineOut, ...]:
    return tuple(
        PreviewLineOut(
            description=line.description,
            quantity=line.quantity,
            amount=line.amount,
            is_proration=line.is_proration,
            period_start=line.period_start,
            period_end=line.period_end,
        )
        for line in lines
    )


def _invoice(invoice: InvoicePreview | None) -> PreviewInvoiceOut | None:
    if invoice is None:
        return None
    return PreviewInvoiceOut(
        at=invoice.at,
        currency=invoice.currency,
        lines=_lines(invoice.lines),
        subtotal=invoice.subtotal,
        discount=invoice.discount,
        tax=invoice.tax,
        total=invoice.total,
        amount_due=invoice.due,
    )
