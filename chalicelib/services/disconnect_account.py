"""Ending the connection to an account at a billing provider, by us or by its owner. What is linked stays linked."""

from contextlib import suppress

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing_accounts import AccountStatus, BillingAccount, connected, ended
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    BillingNotConnectedError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreConflictError,
)
from chalicelib.ports import Ports
from chalicelib.services.connect_account import require_connector, store_account
from chalicelib.services.optimistic import retried


def disconnect_account(ports: Ports, cause: Cause, provider: str) -> BillingAccount:
    """Nothing is done on the account's behalf any more, until it is connected again. Its subscriptions go on.

    It is stored first: the provider, told of the end, notifies us of it at once. A repetition after a crash in between
    tells the provider again.

    Raises:
        BillingNotConnectedError: None was ever connected.
    """
    connector = require_connector(ports, provider)

    def attempt() -> BillingAccount:
        held = ports.store.get(BillingAccount, provider)
        if held is None:
            raise BillingNotConnectedError("No account of the provider was ever connected.")
        if not held.is_connected:
            return held
        account = ended(held, AccountStatus.DISCONNECTED, ports.clock.now())
        store_account(ports, cause, held, account, "disconnected")
        return account

    account = retried(attempt)
    if account.status is AccountStatus.DISCONNECTED:
        connector.release(account.account_id)
    return account


def notice_revocation(ports: Ports, cause: Cause, provider: str, account_id: str) -> bool:
    """Whether the connected account's owner has ended the connection; if so it is stored, and operators know.

    The provider is asked: what told us may be late, and the account connected again since.
    """
    connector = require_connector(ports, provider)

    def attempt() -> bool:
        held = ports.store.get(BillingAccount, provider)
        if held is None or held.account_id != account_id or not held.is_connected:
            return False
        if connector.may_act_for(account_id):
            return False
        account = ended(held, AccountStatus.REVOKED, ports.clock.now())
        store_account(ports, cause, held, account, "revoked")
        ports.monitor.event("billing_account_revoked", provider=provider)
        return True

    return retried(attempt)


def notice_lost_revocations(ports: Ports, cause: Cause) -> None:
    """Each connection is what the provider says it is, whatever notification got lost. One call a provider.

    One that is believed to be revoked and is not holds again: another account's key had been kept for a while, or the
    owner has connected the account for another environment of ours. What we ended ourselves stays ended.
    """
    for name in ports.providers.names():
        try:
            _look_at_connection(ports, cause, name)
        except (
            BillingNotConfiguredError,
            ProviderUnavailableError,
            ProviderRefusedError,
        ) as error:
            # Not known this time; whoever works with the account hears it, too.
            ports.monitor.event("revocation_unknown", provider=name, code=error.code)


def _look_at_connection(ports: Ports, cause: Cause, provider: str) -> None:
    connector = ports.providers.connector(provider)
    held = None if connector is None else ports.store.get(BillingAccount, provider)
    if connector is None or held is None:
        return
    if held.is_connected:
        notice_revocation(ports, cause, provider, held.account_id)
    elif held.status is AccountStatus.REVOKED and connector.may_act_for(held.account_id):
        again = connected(held, provider, held.account_id, ports.clock.now(), is_own=held.is_own)
        with suppress(StoreConflictError):  # somebody has connected or ended it at this moment
            store_account(ports, cause, held, again, "connected")
