"""Ending the connection to an account at a billing provider, by us or by its owner. What is linked stays linked."""

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing_accounts import AccountStatus, BillingAccount, ended
from chalicelib.domain.errors import (
    BillingNotConnectedError,
    ProviderRefusedError,
    ProviderUnavailableError,
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
    """Of each connection that has ended and whose notification got lost, the end is stored. One call a provider."""
    for name in ports.providers.names():
        if ports.providers.connector(name) is None:
            continue
        held = ports.store.get(BillingAccount, name)
        if held is None or not held.is_connected:
            continue
        try:
            notice_revocation(ports, cause, name, held.account_id)
        except (ProviderUnavailableError, ProviderRefusedError) as error:
            # Not known this time; whoever works with the account hears it, too.
            ports.monitor.event("revocation_unknown", provider=name, code=error.code)
