"""What time alone brings about: expiries, renewals, trial ends, retries."""

from __future__ import annotations

from .account import Account
from .resources import checkout

# A change to one of these may change what is due next.
KINDS = {"checkout.session", "subscription", "invoice", "subscription_schedule"}


def next_moment(acct: Account) -> int | None:
    """The earliest second at which something is due."""
    return min(
        (s["expires_at"] for s in acct.all("checkout.session") if s["status"] == "open"),
        default=None,
    )


def run(acct: Account, moment: int) -> None:
    """What is due at this second has happened."""
    for session in acct.all("checkout.session"):
        if session["status"] == "open" and session["expires_at"] <= moment:
            checkout.expire(acct, {}, session["id"])
