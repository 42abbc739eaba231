"""Telling providers what was used, where they charge for it: at least once from us, once in effect there.

The rows were written in the transactions that counted. Before each try the row says that it may have been taken; a
crash then leaves it due again under the same id, which the provider takes once. That holds for a day; what is uncertain
for longer is left to people, because once too often is worse than late.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    BillingKeyRejectedError,
    BillingNotConfiguredError,
    BillingNotConnectedError,
    DomainError,
    NotFoundError,
    ProviderUnavailableError,
    StoreConflictError,
)
from chalicelib.domain.usage_charges import (
    CERTAIN_FOR,
    GIVE_UP_AFTER,
    ChargeStatus,
    UsageCharge,
    given_up,
    metered_usage,
    settled,
    tried,
    turned_away,
    waiting,
)
from chalicelib.ports import AtRevision, BillingProvider, Ports, Put, UsageCharging

_AT_MOST: Final = 500
_PAGES_AT_MOST: Final = 100
# A little longer than anything is tried, so that it is also told that it is too late.
_LOOKED_BACK: Final = GIVE_UP_AFTER + timedelta(days=2)
# Of all that is worth a later try, these alone say that nothing was taken: the account is closed to us, or the key is
# no good, as either may be for hours before anybody sees to it. A time-out may hide a charge, and a `definite` error is
# no refusal: it promises the same answer again, not that nothing came of the request.
_AT_THE_DOOR: Final = (BillingNotConnectedError, BillingKeyRejectedError)
# Of the minute between two sweeps, so that others have time as well.
_BUDGET: Final = timedelta(seconds=30)


def report_charges(ports: Ports) -> int:
    """What is due was told to its provider; returns how much was taken.

    A provider that is away is left alone for the rest of the sweep.
    """
    started = ports.clock.now()
    away: set[str] = set()
    reported = 0
    pending = ports.store.find_by(UsageCharge, "status", ChargeStatus.PENDING, limit=_AT_MOST)
    due = [charge for charge in pending.items if charge.is_due_at(started)]
    for charge in (*due, *_refused_and_due(ports, started)):
        if ports.clock.now() - started > _BUDGET:
            break
        if charge.provider in away:
            continue
        try:
            done = report_charge(ports, charge)
        except StoreConflictError:  # another sweep has it
            continue
        except ProviderUnavailableError:
            away.add(charge.provider)
            continue
        reported += done.status is ChargeStatus.REPORTED
    if reported:
        ports.monitor.event("usage_charged", charges=reported)
    return reported


def _refused_and_due(ports: Ports, now: datetime) -> list[UsageCharge]:
    """What a provider refused and is asked to take once more.

    However many were refused at once: none of them is due for hours after its try. Those that were given up stay for
    people to see; they are looked through no further back than anything is tried.
    """
    found: list[UsageCharge] = []
    cursor: str | None = None
    for _ in range(_PAGES_AT_MOST):
        page = ports.store.find_by(
            UsageCharge, "status", ChargeStatus.FAILED, cursor=cursor, newest_first=True
        )
        found += [one for one in page.items if one.is_due_at(now) and not one.is_given_up]
        cursor = page.next_cursor
        if cursor is None or len(found) >= _AT_MOST:
            break
        if page.items and page.items[-1].created_at < now - _LOOKED_BACK:
            break
    return found[:_AT_MOST]


def report_charge(ports: Ports, charge: UsageCharge) -> UsageCharge:
    """The provider has heard of the usage, or has refused it, or it is too late.

    Raises:
        StoreConflictError: Somebody else tells it right now.
        ProviderUnavailableError: It is to be told later.
    """
    now = ports.clock.now()
    if _is_too_late(charge, ports):
        return _store(ports, charge, given_up(charge, now))
    # Before it counts as tried: while nobody has connected an account there is no doubt that nobody was told.
    provider = _provider_of(ports, charge)
    customer = ports.store.get(Customer, charge.customer_id)
    billing_id = None if customer is None else customer.billing_id(charge.provider)
    attempt = tried(charge, now)
    ports.store.commit(Put(attempt, AtRevision(number=charge.revision)))
    try:
        if billing_id is None:
            return _settle(ports, attempt, ChargeStatus.FAILED, "The customer is not known there.")
        if provider is None:
            return _settle(ports, attempt, ChargeStatus.FAILED, "There is no such provider here.")
        if not isinstance(provider, UsageCharging):
            return _settle(ports, attempt, ChargeStatus.FAILED, "It charges no usage.")
        provider.report_usage(metered_usage(attempt, billing_id))
    except ProviderUnavailableError as error:
        after = turned_away if isinstance(error, _AT_THE_DOOR) else waiting
        later = after(attempt, ports.clock.now(), error.detail)
        ports.store.commit(Put(later, AtRevision(number=attempt.revision)))
        raise
    except DomainError as error:
        return _settle(ports, attempt, ChargeStatus.FAILED, error.detail)
    return _settle(ports, attempt, ChargeStatus.REPORTED, None)


def _provider_of(ports: Ports, charge: UsageCharge) -> BillingProvider | None:
    """None: the environment has it no more, or no key for it. Raises `BillingNotConnectedError`."""
    try:
        return ports.providers.get(charge.provider)
    except BillingNotConfiguredError:
        return None


def retry_charge(ports: Ports, charge_id: str) -> UsageCharge:
    """The charge was tried again, unless it is reported; somebody has looked whether the provider has it.

    Raises `NotFoundError` or `ProviderUnavailableError`.
    """
    found = ports.store.get(UsageCharge, charge_id)
    if found is None:
        raise NotFoundError("usage_charge", charge_id)
    if found.status is ChargeStatus.REPORTED:
        return found
    return report_charge(ports, replace(found, uncertain_since=None))


def _settle(
    ports: Ports, charge: UsageCharge, status: ChargeStatus, error: str | None
) -> UsageCharge:
    return _store(ports, charge, settled(charge, status, ports.clock.now(), error))


def _store(ports: Ports, before: UsageCharge, after: UsageCharge) -> UsageCharge:
    ports.store.commit(Put(after, AtRevision(number=before.revision)))
    if after.status is ChargeStatus.FAILED:
        ports.monitor.event(
            "usage_charge_failed",
            task_id=after.id,
            provider=after.provider,
        )
    return after


def _is_too_late(charge: UsageCharge, ports: Ports) -> bool:
    now = ports.clock.now()
    uncertain = charge.uncertain_since
    return now - charge.at >= GIVE_UP_AFTER or (
        uncertain is not None and now - uncertain >= CERTAIN_FOR
    )
