"""Which accounts let the platform act for them: Stripe Connect as far as OAuth needs it."""

from __future__ import annotations

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.account import CLIENT_ID, Account
from infra.local.stripe_stand_in.errors import StripeError, no_such

_KIND = "_connection"
APPLICATION_NAME = "Paygrade"


def known_accounts(platform: Account) -> list[str]:
    """Every account that was ever connected, or asked to be."""
    return [stored["id"] for stored in platform.store.scan(_KIND)]


def note(platform: Account, account_id: str) -> None:
    """The account is known, though it may not let anybody act for it yet."""
    if platform.store.get(_KIND, account_id) is None:
        platform.store.put(_KIND, account_id, {"id": account_id, "allowed": False})


def allow(platform: Account, account_id: str) -> None:
    """The platform may act for the account."""
    platform.store.put(_KIND, account_id, {"id": account_id, "allowed": True})


def is_allowed(platform: Account, account_id: str) -> bool:
    """Whether the platform may act for the account."""
    stored = platform.store.get(_KIND, account_id)
    return stored is not None and stored["allowed"]


def end(platform: Account, account_id: str) -> None:
    """The platform may not act for the account any more, and is told so by an event of it."""
    if not is_allowed(platform, account_id):
        raise no_such("account", account_id)
    platform.store.put(_KIND, account_id, {"id": account_id, "allowed": False})
    account = platform.connected.get(account_id, platform)
    event = account.new(
        "event",
        account=account_id,
        api_version=account.api_version,
        data={"object": shape.new("application", id=CLIENT_ID, name=APPLICATION_NAME)},
        pending_webhooks=0,
        request={"id": account.actor.request_id, "idempotency_key": None},
        type="account.application.deauthorized",
    )
    account.queue(event)


def require_access(platform: Account, account_id: str | None) -> None:
    """Nothing, if the key's own account was asked for, or one that allows it; else Stripe's refusal."""
    if account_id is None or is_allowed(platform, account_id):
        return
    raise StripeError(
        f"The provided key 'sk_test_****' does not have access to account '{account_id}' (or that account does not"
        " exist). Application access may have been revoked.",
        status=403,
        code="account_invalid",
        replayable=False,
    )
