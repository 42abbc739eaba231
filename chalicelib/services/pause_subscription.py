"""Letting a subscription rest: nothing is collected for it, and it gives nothing, until it is resumed."""

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.subscription_ends import is_paused, paused, refuse_unpausable
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.ports import Ports, SubscriptionPausing
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


def pause_subscription(
    ports: Ports, cause: Cause, subscription_id: str, expected_version: int | None = None
) -> Subscription:
    """The subscription is paused; one that was already stays so.

    Raises `SubscriptionEndedError`, `WrongStateError` for what gives nothing to interrupt (and for a trial, which
    costs nothing), and `NotSupportedError`.
    """

    def attempt() -> Subscription:
        now = standing(ports, cause, subscription_id, expected_version)
        refuse_ended(now.held)
        if now.held.provider is not None:
            return _pause_billed(ports, cause, now)
        if is_paused(now.held) or now.begun:
            return now.held
        return commit_change(ports, cause, now, "subscription.paused", paused(now.held))

    return retried(attempt)


def _pause_billed(ports: Ports, cause: Cause, now: Standing) -> Subscription:
    provider, billing_id = biller(ports, now.held)
    if not isinstance(provider, SubscriptionPausing):
        raise unable(now.held, "pause a subscription")
    truth = truth_of(ports, cause, now)
    if truth.status is not SubscriptionStatus.PAUSED:
        if not is_paused(now.held):
            refuse_unpausable(now.held)
        begin(ports, cause, now, "subscription.pause_requested", {})
        under_key(
            ports,
            cause,
            now.held,
            "pause",
            lambda key: provider.pause_subscription(billing_id, key),
        )
    return finish(ports, cause, now)
