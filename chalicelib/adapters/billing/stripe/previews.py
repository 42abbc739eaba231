"""What a change would cost, by Stripe's own reckoning: https://docs.stripe.com/api/invoices/create_preview."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, cast

from chalicelib.adapters.billing.stripe.connection import Connection
from chalicelib.adapters.billing.stripe.customers import StripeCustomers
from chalicelib.adapters.billing.stripe.errors import Effect
from chalicelib.adapters.billing.stripe.move_params import update_params
from chalicelib.adapters.billing.stripe.subscriptions import Json, id_of, moment
from chalicelib.domain.billing import ChangePreview, InvoicePreview, PreviewLine
from chalicelib.domain.price_moves import ItemMove, Proration

if TYPE_CHECKING:
    from stripe.params import InvoiceCreatePreviewParams

_INVOICES: Final = "invoices"


class StripePreviews:
    """The previews of one account."""

    def __init__(self, connection: Connection, customers: StripeCustomers) -> None:
        self._at = connection
        self._customers = customers

    def of_moves(
        self,
        billing_id: str,
        moves: Sequence[ItemMove],
        *,
        proration: Proration,
        at_period_end: bool,
    ) -> ChangePreview:
        """See `ChangePreviews`."""
        found, items = self._customers.subscription_with_items(billing_id)
        held = self._customers.translated(found, items)
        asked = Proration.NONE if at_period_end else proration
        params = update_params(found, items, moves, asked, {}) or {}
        preview = self._preview(billing_id, params)
        is_at_once = _is_at_once(preview, asked, held.current_period_end)
        if at_period_end and is_at_once and held.current_period_end is not None:
            # Asked of now, another interval would begin now: it is to begin with the next period.
            preview = _moved(preview, held.current_period_end)
        if at_period_end or not is_at_once:
            return ChangePreview(now=None, following=preview)
        settled = {**params, "proration_behavior": "none"} if params else {}
        following = self._preview(billing_id, settled)
        if _is_at_once(following, Proration.NONE, held.current_period_end):
            # Another interval begins now, whatever is settled: Stripe tells only of the first invoice.
            return ChangePreview(now=preview, following=None)
        return ChangePreview(now=preview, following=following)

    def _preview(self, billing_id: str, details: Mapping[str, Any]) -> InvoicePreview:
        params: dict[str, Any] = {"subscription": billing_id}
        if details:
            params["subscription_details"] = dict(details)
        typed = cast("InvoiceCreatePreviewParams", params)
        made = self._at.run(
            _INVOICES, Effect.READ, lambda: self._at.v1.invoices.create_preview(typed)
        )
        return invoice_preview(made.to_dict(for_json=True))


def invoice_preview(invoice: Json) -> InvoicePreview:
    """Stripe's preview in our words. An invoice is made when the period that it looks back on is over."""
    return InvoicePreview(
        at=moment(invoice["period_end"]),
        currency=invoice["currency"],
        lines=tuple(_line(line) for line in invoice["lines"]["data"]),
        subtotal=invoice["subtotal"],
        discount=sum(one["amount"] for one in invoice.get("total_discount_amounts") or []),
        tax=sum(one["amount"] for one in invoice.get("total_taxes") or []),
        total=invoice["total"],
        due=invoice["amount_due"],
    )


def _line(line: Json) -> PreviewLine:
    parent = line.get("parent") or {}
    details = parent.get(str(parent.get("type"))) or {}
    priced = (line.get("pricing") or {}).get("price_details") or {}
    return PreviewLine(
        description=line.get("description") or "",
        amount=line["amount"],
        quantity=line.get("quantity"),
        price_billing_id=id_of(priced["price"]) if priced.get("price") else None,
        is_proration=bool(details.get("proration")),
        period_start=moment(line["period"]["start"]),
        period_end=moment(line["period"]["end"]),
    )


def _moved(preview: InvoicePreview, to: datetime) -> InvoicePreview:
    """The same invoice, made at another instant, for periods that begin then."""
    later = to - preview.at
    lines = (
        replace(one, period_start=one.period_start + later, period_end=one.period_end + later)
        for one in preview.lines
    )
    return replace(preview, at=to, lines=tuple(lines))


def _is_at_once(preview: InvoicePreview, proration: Proration, period_end: datetime | None) -> bool:
    """Whether the invoice would be made now: it was asked for, or a period begins before the running one is over."""
    if proration is Proration.INVOICE_NOW:
        return True
    return period_end is not None and any(
        not line.is_proration and line.period_start < period_end < line.period_end
        for line in preview.lines
    )
