"""Taking back a change that waits for a later time."""

from dataclasses import replace

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.subscriptions import Subscription
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


def drop_scheduled_change(
    ports: Ports, cause: Cause, subscription_id: str, expected_version: int | None = None
) -> Subscription:
    """Nothing waits for the subscription any more; where nothing did, nothing happens.

    A coming end that a change to a plan nobody bills has caused is taken back with it; any other stays.
    """

    def attempt() -> Subscription:
        now = standing(ports, cause, subscription_id, expected_version)
        refuse_ended(now.held)
        if now.held.provider is not None:
            return _drop_billed(ports, cause, now)
        if now.held.scheduled_change is None:
            return now.held
        after = replace(now.held, scheduled_change=None)
        return commit_change(ports, cause, now, "subscription.scheduled_change_dropped", after)

    return retried(attempt)


def _drop_billed(ports: Ports, cause: Cause, now: Standing) -> Subscription:
    provider, billing_id = biller(ports, now.held)
    truth = truth_of(ports, cause, now)
    gives_up = now.held.successor is not None and truth.cancel_at is not None
    if gives_up and not isinstance(provider, SubscriptionEnding):
        raise unable(now.held, "take back the end of a subscription")
    if truth.scheduled is not None and not isinstance(provider, ScheduledChanges):
        raise unable(now.held, "drop a scheduled change")
    if not gives_up and truth.scheduled is None:
        return finish(ports, cause, now)
    wish = {"scheduled_change": now.held.scheduled_change, "successor": now.held.successor}
    begin(ports, cause, now, "subscription.drop_requested", wish)
    if truth.scheduled is not None and isinstance(provider, ScheduledChanges):
        under_key(
            ports, cause, now.held, "drop", lambda key: provider.drop_scheduled(billing_id, key)
        )
    if gives_up and isinstance(provider, SubscriptionEnding):
        provider.keep_subscription(billing_id)
    return finish(ports, cause, now)
