"""The account at a billing provider that somebody connected, and the one that is worked with because of it.

Where accounts can be connected, the key in the environment is a platform's: it acts on behalf of the connected account,
and of no other. What an environment is linked to (products, prices, customers) lies in one account, so another one is
connected only while there is nothing yet.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chalicelib.domain.errors import BillingNotConnectedError, InvalidConnectStateError

# Whoever connects may first have to open an account or find a second factor.
STATE_LIVES: Final = timedelta(minutes=30)


class Connecting(StrEnum):
    """Whether the environment works with a connected account alone, or with the key's own until one is connected."""

    REQUIRED = "required"
    OPTIONAL = "optional"


class AccountStatus(StrEnum):
    """Whether the account lets us act on its behalf. `revoked`: it was ended at the provider, not here."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingAccount:
    """The account of one provider that was connected last. `is_own`: it is that of the environment's key."""

    provider: str
    account_id: str
    is_own: bool
    status: AccountStatus
    connected_at: datetime
    changed_at: datetime
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """One for each provider."""
        return (self.provider,)

    @property
    def is_connected(self) -> bool:
        """Whether it can be worked with."""
        return self.status is AccountStatus.CONNECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectAttempt:
    """Somebody was sent to the provider to connect an account. Only a digest of the secret state is kept."""

    digest: str
    provider: str
    begun_by: str
    expires_at: datetime
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one attempt from another."""
        return (self.digest,)


def state_digest(state: str) -> str:
    """What an attempt with this state is found by."""
    return hashlib.sha256(state.encode("utf-8", "surrogatepass")).hexdigest()


def usable_attempt(attempt: ConnectAttempt | None, provider: str, now: datetime) -> ConnectAttempt:
    """The attempt, if it may be finished; raises `InvalidConnectStateError` otherwise, without saying why."""
    if attempt is None or attempt.provider != provider or attempt.expires_at <= now:
        raise InvalidConnectStateError(
            "This way back was used, has expired, or was never given out. Begin connecting again."
        )
    return attempt


def account_to_use(held: BillingAccount | None, connecting: Connecting | None) -> str | None:
    """On whose behalf the provider is called; None: the key's own account.

    Raises:
        BillingNotConnectedError: Nobody's, until somebody connects one.
    """
    if connecting is None:
        return None
    if held is not None and held.is_connected:
        return None if held.is_own else held.account_id
    # What is linked lies in the account that was connected last: only if that is our own is it safe to go on there.
    if connecting is Connecting.OPTIONAL and (held is None or held.is_own):
        return None
    if held is None:
        raise BillingNotConnectedError("Nobody has connected an account of the provider yet.")
    raise BillingNotConnectedError(
        f"The account {held.account_id!r} is not connected any more ({held.status}); connect it again."
    )


def connected(
    held: BillingAccount | None, provider: str, account_id: str, now: datetime, *, is_own: bool
) -> BillingAccount:
    """The account after somebody connected it."""
    return BillingAccount(
        provider=provider,
        account_id=account_id,
        is_own=is_own,
        status=AccountStatus.CONNECTED,
        connected_at=now,
        changed_at=now,
        revision=held.revision + 1 if held is not None else 1,
    )


def ended(held: BillingAccount, status: AccountStatus, now: datetime) -> BillingAccount:
    """The account after we, or the provider, ended the connection."""
    return replace(held, status=status, changed_at=now, revision=held.revision + 1)
