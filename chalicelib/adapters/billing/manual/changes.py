"""What becomes of a subscription that changes: at once, or when time has come to what was put down for later.

Nothing runs when that time comes: whoever reads the subscription, or changes it again, sees it `settled`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.adapters.billing.manual.records import HeldChange, HeldSubscription
from chalicelib.domain.billing import ProviderChange, ProviderItem
from chalicelib.domain.billing_periods import period_at
from chalicelib.domain.price_moves import ItemMove
from chalicelib.domain.prices import Price


def end_of(held: HeldSubscription, now: datetime) -> datetime | None:
    """When the subscription ended, by hand or because its time had come; None if it goes on."""
    if held.ended_at is not None:
        return held.ended_at
    return held.cancel_at if held.cancel_at is not None and held.cancel_at <= now else None


def settled(held: HeldSubscription, now: datetime) -> HeldSubscription:
    """The subscription after what was scheduled, if its time has come before the subscription's end."""
    coming = held.scheduled
    end = end_of(held, now)
    if coming is None or coming.change.at > (now if end is None else end):
        return held
    return replace(
        held,
        items=coming.change.items,
        metadata=coming.change.metadata,
        period=coming.period,
        interval_count=coming.interval_count,
        anchor=coming.change.at if _is_new_interval(held, coming) else held.anchor,
        scheduled=None,
    )


def current_period(held: HeldSubscription, at: datetime) -> tuple[datetime, datetime | None]:
    """Start and end of the period that is running then."""
    start = held.anchor or held.started_at
    if held.period is None:
        return held.started_at, None
    return period_at(start, held.period, held.interval_count, at)


def with_moves(
    held: HeldSubscription,
    moves: Sequence[ItemMove],
    metadata: Mapping[str, str],
    recurring: Price | None,
    now: datetime,
) -> HeldSubscription:
    """The subscription charges otherwise from now on; `recurring` is one of its prices then."""
    change = ProviderChange(at=now, items=_lines(held, moves), metadata=_carried(held, metadata))
    return settled(replace(held, scheduled=_scheduled(change, recurring)), now)


def with_moves_later(
    held: HeldSubscription,
    moves: Sequence[ItemMove],
    metadata: Mapping[str, str],
    recurring: Price | None,
    now: datetime,
) -> HeldSubscription:
    """The subscription will charge otherwise with its next period; at once if it has none."""
    _, end = current_period(held, now)
    if end is None:
        return with_moves(held, moves, metadata, recurring, now)
    change = ProviderChange(at=end, items=_lines(held, moves), metadata=_carried(held, metadata))
    if (change.items, change.metadata) == (held.items, held.metadata):
        return held  # its time has come already
    return replace(held, scheduled=_scheduled(change, recurring))


def _scheduled(change: ProviderChange, recurring: Price | None) -> HeldChange:
    return HeldChange(
        change=change,
        period=recurring.billing_period if recurring else None,
        interval_count=recurring.interval_count if recurring else 1,
    )


def _carried(held: HeldSubscription, metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in {**held.metadata, **metadata}.items() if value}


def _lines(held: HeldSubscription, moves: Sequence[ItemMove]) -> tuple[ProviderItem, ...]:
    lines = {item.price_billing_id: item for item in held.items}
    for move in moves:
        if move.from_price is not None:
            lines.pop(move.from_price, None)
        if move.to_price is not None:
            lines[move.to_price] = ProviderItem(
                price_billing_id=move.to_price, quantity=move.quantity
            )
    return tuple(lines[price] for price in sorted(lines))


def _is_new_interval(held: HeldSubscription, coming: HeldChange) -> bool:
    return (held.period, held.interval_count) != (coming.period, coming.interval_count)
