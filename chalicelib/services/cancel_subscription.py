"""Giving a subscription up: now, with its period, or at a date."""

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import SubscriptionEndedError
from chalicelib.domain.subscription_ends import Ending, end_of, ended
from chalicelib.domain.subscriptions import ENDED, Subscription
from chalicelib.ports import Ports, ScheduledChanges, SubscriptionEnding
from chalicelib.services.alter_subscription import (
    Standing,
    begin,
    biller,
    commit_change,
    finish,
    refuse_ended,
    standing,
    truth_of,
    unable,
    under_key,
)
from chalicelib.services.optimistic import retried


def cancel_subscription(
    ports: Ports,
    cause: Cause,
    subscription_id: str,
    wish: Ending,
    expected_version: int | None = None,
) -> Subscription:
    """The subscription has ended, or ends at the wished instant; a change that waited for later is dropped.

    Nothing is paid back. A repeated operation finds its own result. Raises `SubscriptionEndedError`.
    """

    def attempt() -> Subscription:
        now = standing(ports, cause, subscription_id, expected_version)
        if now.begun and (now.held.provider is None or now.held.status in ENDED):
            return now.held
        refuse_ended(now.held)
        if now.held.provider is not None:
            return _end_billed(ports, cause, now, wish)
        moment = ports.clock.now()
        after = ended(now.held, end_of(wish, now.held.current_period_end, moment), moment)
        return commit_change(ports, cause, now, "subscription.canceled", after)

    return retried(attempt)


def _end_billed(ports: Ports, cause: Cause, now: Standing, wish: Ending) -> Subscription:
    provider, billing_id = biller(ports, now.held)
    if not isinstance(provider, SubscriptionEnding):
        raise unable(now.held, "end a subscription")
    try:
        truth = truth_of(ports, cause, now)
    except SubscriptionEndedError:
        if now.begun:
            return finish(ports, cause, now)
        raise
    at = end_of(wish, truth.current_period_end, ports.clock.now())
    begin(
        ports,
        cause,
        now,
        "subscription.cancel_requested",
        {"effective": wish.when, "at": at},
        successor=None,
    )
    waits = truth.scheduled is not None and (at is None or at <= truth.scheduled.at)
    if waits and isinstance(provider, ScheduledChanges):
        under_key(
            ports, cause, now.held, "drop", lambda key: provider.drop_scheduled(billing_id, key)
        )
    provider.end_subscription(billing_id, at=at)
    return finish(ports, cause, now)
