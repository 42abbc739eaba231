"""Going on: a coming end is taken back, and a paused subscription gives again what it gave."""

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.subscription_ends import resumed
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.ports import Ports, SubscriptionEnding, SubscriptionPausing
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


def resume_subscription(
    ports: Ports, cause: Cause, subscription_id: str, expected_version: int | None = None
) -> Subscription:
    """The subscription has no end any more and is not paused; what was neither stays as it is.

    Raises `SubscriptionEndedError`: one that has ended does not come back.
    """

    def attempt() -> Subscription:
        now = standing(ports, cause, subscription_id, expected_version)
        refuse_ended(now.held)
        if now.held.provider is not None:
            return _resume_billed(ports, cause, now)
        after = resumed(now.held)
        if now.begun or after == now.held:
            return now.held
        return commit_change(ports, cause, now, "subscription.resumed", after)

    return retried(attempt)


def _resume_billed(ports: Ports, cause: Cause, now: Standing) -> Subscription:
    truth = truth_of(ports, cause, now)
    rests = truth.status is SubscriptionStatus.PAUSED
    ends = truth.cancel_at is not None
    provider, billing_id = biller(ports, now.held)
    if ends and not isinstance(provider, SubscriptionEnding):
        raise unable(now.held, "take back the end of a subscription")
    if rests and not isinstance(provider, SubscriptionPausing):
        raise unable(now.held, "unpause a subscription")
    if ends or rests:
        wish = {"cancel_at": truth.cancel_at, "is_paused": rests}
        begin(ports, cause, now, "subscription.resume_requested", wish)
    if ends and isinstance(provider, SubscriptionEnding):
        provider.keep_subscription(billing_id)
    if rests and isinstance(provider, SubscriptionPausing):
        under_key(
            ports,
            cause,
            now.held,
            "unpause",
            lambda key: provider.unpause_subscription(billing_id, key),
        )
    return finish(ports, cause, now)
