"""Extending a running trial."""

from dataclasses import replace
from datetime import datetime

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.subscription_ends import longer_trial
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Ports, TrialChanges
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


def extend_trial(
    ports: Ports,
    cause: Cause,
    subscription_id: str,
    until: datetime,
    expected_version: int | None = None,
) -> Subscription:
    """The trial ends at the later instant, whoever bills what follows it.

    Raises `SubscriptionEndedError`, `WrongStateError` without a running trial, `InvalidError` out of its bounds.
    """

    def attempt() -> Subscription:
        now = standing(ports, cause, subscription_id, expected_version)
        refuse_ended(now.held)
        if now.held.provider is not None:
            return _extend_billed(ports, cause, now, until)
        end = longer_trial(now.held, until, ports.clock.now())
        if end == now.held.trial_end:
            return now.held
        after = replace(now.held, trial_end=end)
        return commit_change(ports, cause, now, "subscription.trial_extended", after)

    return retried(attempt)


def _extend_billed(ports: Ports, cause: Cause, now: Standing, until: datetime) -> Subscription:
    provider, billing_id = biller(ports, now.held)
    if not isinstance(provider, TrialChanges):
        raise unable(now.held, "extend a trial")
    truth = truth_of(ports, cause, now)
    current = replace(now.held, status=truth.status, trial_end=truth.trial_end)
    end = longer_trial(current, until, ports.clock.now())
    if end != truth.trial_end:
        begin(ports, cause, now, "subscription.trial_extension_requested", {"trial_end": end})
        under_key(
            ports,
            cause,
            now.held,
            "trial",
            lambda key: provider.set_trial_end(billing_id, end, key),
        )
    return finish(ports, cause, now)
