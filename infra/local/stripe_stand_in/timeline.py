"""What time alone brings about, in order: expiries, phases, renewals, retries."""

from __future__ import annotations

from collections.abc import Iterator

from infra.local.stripe_stand_in import renewing
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.resources import checkout, schedules
from infra.local.stripe_stand_in.store import Obj

# A change to one of these may change what is due next.
KINDS = {"checkout.session", "subscription", "invoice", "subscription_schedule"}


def next_moment(acct: Account) -> int | None:
    """The earliest second at which something is due."""
    return min(_moments(acct), default=None)


def _moments(acct: Account) -> Iterator[int]:
    for session in acct.all("checkout.session"):
        if session["status"] == "open":
            yield session["expires_at"]
    for subscription in acct.all("subscription"):
        yield from renewing.moments(subscription)
    for invoice in acct.all("invoice"):
        at = _invoice_moment(invoice)
        if at is not None:
            yield at
    for schedule in acct.all("subscription_schedule"):
        at = schedules.moment(schedule)
        if at is not None:
            yield at


def _invoice_moment(invoice: Obj) -> int | None:
    if invoice["status"] == "draft":
        at: int | None = invoice["automatically_finalizes_at"]
        return at if invoice["auto_advance"] else None
    if invoice["status"] == "open":
        retry: int | None = invoice["next_payment_attempt"]
        return retry
    return None


def run(acct: Account, moment: int) -> None:
    """What is due at this second has happened."""
    for session in acct.all("checkout.session"):
        if session["status"] == "open" and session["expires_at"] <= moment:
            checkout.expire(acct, {}, session["id"])
    # Phases first: a change at the end of a period belongs to the next one.
    for schedule in acct.all("subscription_schedule"):
        at = schedules.moment(schedule)
        if at is not None and at <= moment:
            schedules.run(acct, schedule["id"])
    for subscription in acct.all("subscription"):
        if any(at <= moment for at in renewing.moments(subscription)):
            renewing.run(acct, subscription["id"], moment)
    for invoice in acct.all("invoice"):
        at = _invoice_moment(invoice)
        if at is None or at > moment:
            continue
        if invoice["status"] == "draft":
            renewing.collect(acct, invoice["id"])
        else:
            renewing.try_payment(acct, invoice["id"])
