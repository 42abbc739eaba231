"""Connecting an account at a billing provider: its owner is sent there, and comes back with a code that is good once.

Each way there has a secret state of its own, and it is claimed before the code is used. So nobody is led to finish
what somebody else began, and no code is sent twice: a provider takes back what a code gave when it sees it again.
Whatever dies in between is begun anew, and leads to the same account.
"""

from dataclasses import dataclass
from datetime import datetime

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing_accounts import (
    STATE_LIVES,
    BillingAccount,
    ConnectAttempt,
    Connecting,
    connected,
    state_digest,
    usable_attempt,
)
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    ConnectRefusedError,
    InvalidConnectStateError,
    StoreConflictError,
)
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.domain.sync import CatalogLink
from chalicelib.ports import (
    Absent,
    AccountConnector,
    AtRevision,
    BillingProvider,
    Delete,
    Ports,
    Put,
)
from chalicelib.services.audit import entry
from chalicelib.services.listing import all_within


@dataclass(frozen=True, slots=True, kw_only=True)
class WayThere:
    """Where the account's owner is sent, with which state, and until when it may come back."""

    url: str
    state: str
    expires_at: datetime


def require_connector(ports: Ports, provider: str) -> AccountConnector:
    """What connects accounts of the provider; raises `BillingNotConfiguredError` where nothing does."""
    connector = ports.providers.connector(provider)
    if connector is None:
        raise BillingNotConfiguredError(
            f"The environment works with its own key of {provider!r}: it has nothing to connect accounts with."
        )
    return connector


def begin_connecting(ports: Ports, cause: Cause, provider: str, return_url: str) -> WayThere:
    """Somebody may connect an account by this URL, within half an hour; the provider leads back to `return_url`.

    Raises:
        BillingNotConfiguredError: The environment connects no accounts of the provider.
    """
    connector = require_connector(ports, provider)
    state = ports.ids.new("connect_")
    attempt = ConnectAttempt(
        digest=state_digest(state),
        provider=provider,
        begun_by=cause.actor,
        expires_at=ports.clock.now() + STATE_LIVES,
    )
    ports.store.commit(Put(attempt, Absent()))
    return WayThere(
        url=connector.authorize_url(state, return_url), state=state, expires_at=attempt.expires_at
    )


def finish_connecting(
    ports: Ports, cause: Cause, provider: str, state: str, code: str | None
) -> BillingAccount:
    """The account that the code stands for is the one that the environment works with. No code: it was declined.

    Raises:
        InvalidConnectStateError: The state is none that was given out lately, or was used before.
        ConnectRefusedError: Its owner declined, the provider does not take the code, or the environment is linked to
            another account.
        ProviderUnavailableError: The provider did not answer; begin again.
    """
    connector = require_connector(ports, provider)
    attempt = _claimed(ports, provider, state)
    if code is None:
        raise ConnectRefusedError("Connecting was declined at the provider; nothing has changed.")
    account_id = connector.redeem(code)
    # Read before the links are looked at: whoever connects another account meanwhile makes the commit fail.
    held = ports.store.get(BillingAccount, provider)
    if not _knows_what_is_linked(ports, provider, connector.acting_for(account_id)):
        raise ConnectRefusedError(
            f"The account {account_id!r} does not know what this environment sells: it is linked to another account."
            " Connect that one, or use a new environment. Nothing has changed here; at the provider, its owner can take"
            " back what was just allowed."
        )
    # Asked only where it matters: elsewhere the key's own account is never worked with.
    optional = ports.environment.connecting is Connecting.OPTIONAL
    is_own = optional and connector.own_account() == account_id
    account = connected(held, provider, account_id, ports.clock.now(), is_own=is_own)
    by = Cause(actor=attempt.begun_by, request_id=cause.request_id, operation_id=cause.operation_id)
    try:
        store_account(ports, by, held, account, "connected")
    except StoreConflictError:
        raise ConnectRefusedError(
            "An account was connected, or disconnected, at the same time. Look at what is connected now."
        ) from None
    return account


def store_account(
    ports: Ports, cause: Cause, held: BillingAccount | None, account: BillingAccount, what: str
) -> None:
    """The account is stored as it is now, with its audit entry; raises `StoreConflictError` if it moved since."""
    condition = Absent() if held is None else AtRevision(number=held.revision)
    entity = f"billing_account:{account.provider}"
    audited = entry(ports, cause, entity, f"billing_account.{what}", held, account)
    ports.store.commit(Put(account, condition), Put(audited, Absent()))


def _claimed(ports: Ports, provider: str, state: str) -> ConnectAttempt:
    """The attempt of this state, which from now on is nobody's any more."""
    found = ports.store.get(ConnectAttempt, state_digest(state))
    attempt = usable_attempt(found, provider, ports.clock.now())
    try:
        ports.store.commit(Delete(attempt, AtRevision(number=attempt.revision)))
    except StoreConflictError:
        raise InvalidConnectStateError("This way back is being used already.") from None
    return attempt


def _knows_what_is_linked(ports: Ports, name: str, candidate: BillingProvider) -> bool:
    """Whether the account is the one that the environment's links lead to; any is, while there are none.

    The provider's own ids tell, which no two accounts share: of prices, or, before any plan is there, of customers.
    Of customers the first hundred are looked at: without a catalog nobody gets to know a provider but by an import.
    """
    for kind in PackageKind:
        for package in all_within(ports.store, Package, kind):
            link = ports.store.get(CatalogLink, kind, package.id, name)
            if link is None or link.billing_id is None or not link.prices:
                continue
            found = candidate.observe_product(link.billing_id)
            ours = {price.billing_id for price in link.prices}
            return found is not None and any(price.billing_id in ours for price in found.prices)
    known = (one.billing_id(name) for one in ports.store.list_within(Customer).items)
    billing_id = next((one for one in known if one is not None), None)
    return billing_id is None or candidate.get_customer(billing_id) is not None
