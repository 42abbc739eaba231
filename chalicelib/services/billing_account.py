"""Which account at a provider the environment works with: looked up for every use, so that a change holds at once."""

from chalicelib.domain.billing_accounts import BillingAccount, Connecting, account_to_use
from chalicelib.ports import Store


def account_in_use(store: Store, provider: str, connecting: Connecting | None) -> str | None:
    """On whose behalf the provider is called; None: the key's own account.

    Raises:
        BillingNotConnectedError: Nobody's, until somebody connects one.
    """
    if connecting is None:
        return None
    return account_to_use(store.get(BillingAccount, provider), connecting)
