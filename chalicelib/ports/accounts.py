"""Connecting an account at a billing provider, whose owner lets this environment act on its behalf."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from chalicelib.ports.billing import BillingProvider


class AccountConnector(Protocol):
    """The ability to act on behalf of accounts whose owners allow it."""

    def authorize_url(self, state: str, return_url: str) -> str:
        """Where an owner allows it; the provider sends the browser back to `return_url` with the state and a code."""
        ...

    def redeem(self, code: str) -> str:
        """The account that the code stands for, which from now on can be acted for. A code is good once.

        Raises:
            ConnectRefusedError: The code is not good, or less was allowed than we need, or it is of the other mode.
            ProviderUnavailableError: The provider did not answer; the code may be spent.
        """
        ...

    def release(self, account_id: str) -> None:
        """Nothing is done on the account's behalf any more; it is no error if that was so already."""
        ...

    def may_act_for(self, account_id: str) -> bool:
        """Whether the account's owner allows it now."""
        ...

    def own_account(self) -> str:
        """The account that the environment's key is of."""
        ...

    def acting_for(self, account_id: str) -> BillingProvider:
        """The provider as it is to that account, whether or not the environment works with it."""
        ...
