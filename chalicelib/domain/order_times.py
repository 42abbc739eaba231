"""When what is ordered begins, and until when it is tried: within bounds that nobody needs to leave by intent."""

from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.errors import NotSupportedError, invalid
from chalicelib.domain.orders import Order
from chalicelib.domain.plans import Trial
from chalicelib.domain.subscription_ends import FURTHEST_END, LONGEST_TRIAL
from chalicelib.domain.trials import trial_days, trial_end

FURTHEST_BACK: Final = timedelta(days=366)
_DAY: Final = timedelta(days=1)


def start_of(order: Order, now: datetime) -> datetime:
    """When the subscription begins that nobody bills; raises `InvalidError` out of bounds."""
    start = order.start_at or now
    if not now - FURTHEST_BACK <= start <= now + FURTHEST_END:
        detail = (
            f"It begins at most {FURTHEST_BACK.days} days ago or {FURTHEST_END.days} days ahead."
        )
        raise invalid("start_at", "out_of_range", detail)
    return start.replace(microsecond=0)


def tried_until(order: Order, trial: Trial, start: datetime, now: datetime) -> datetime:
    """When the trial that begins then is over; raises `InvalidError` if that is past, or too far off."""
    end = order.trial_until or trial_end(trial, start)
    if not max(start, now) < end <= start + LONGEST_TRIAL:
        param = "start_at" if order.trial_until is None else "trial.end_at"
        detail = (
            f"A trial ends after now and its start, at most {LONGEST_TRIAL.days} days after that."
        )
        raise invalid(param, "out_of_range", detail)
    return end.replace(microsecond=0)


def tried_days(order: Order, trial: Trial, now: datetime) -> int:
    """The trial in whole days, as providers count it: one that is begun counts."""
    if order.trial_until is None:
        return trial_days(trial, now)
    return -(-(tried_until(order, trial, now, now) - now) // _DAY)


def begun_since(order: Order, provider: str, now: datetime) -> datetime | None:
    """Since when what is billed by hand has been there; None: from now on. Raises as `start_of` and `refuse_start`."""
    if order.start_at is None:
        return None
    if order.start_at > now:
        refuse_start(order, provider)
    return start_of(order, now)


def refuse_start(order: Order, provider: str) -> None:
    """Nothing, if the order begins now: a provider bills from the moment at which it is told."""
    if order.start_at is not None:
        detail = f"What {provider!r} bills begins now; a set start is for what nobody bills."
        raise NotSupportedError(detail, param="start_at")
