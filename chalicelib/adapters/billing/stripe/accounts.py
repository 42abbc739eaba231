"""Stripe Connect by OAuth: the owner of an account allows a platform's key to act on its behalf.

Neither access token nor refresh token is kept: the platform's own key with the `Stripe-Account` header does the same,
rotates like any other key and opens nothing by itself. https://docs.stripe.com/connect/oauth-reference
"""

import re
from collections.abc import Callable
from typing import Final, TypeVar

from stripe import oauth_error

from chalicelib.adapters.billing.stripe.connection import Connection
from chalicelib.adapters.billing.stripe.errors import Benign, Effect, code_of, is_benign
from chalicelib.domain.errors import ConnectRefusedError
from chalicelib.ports import BillingProvider

T = TypeVar("T")

# We write prices and subscriptions; the other scope there is allows reading alone.
SCOPE: Final = "read_write"
_ENDPOINT: Final = "oauth"
_ACCOUNT: Final = re.compile(r"acct_[A-Za-z0-9]{1,64}")


class StripeAccounts:
    """An `AccountConnector` for one platform."""

    def __init__(
        self,
        connect: Callable[[str | None], Connection],
        *,
        live: bool,
        provider: Callable[[str], BillingProvider],
    ) -> None:
        """No request is made. `connect` reaches Stripe on behalf of an account, or as the platform itself."""
        self._connect = connect
        self._at = connect(None)
        self._live = live
        self._provider = provider

    def authorize_url(self, state: str, return_url: str) -> str:
        """See `AccountConnector`. `return_url` must stand in the platform's OAuth settings at Stripe."""
        return self._at.oauth.authorize_url(
            {
                "response_type": "code",
                "scope": SCOPE,
                "state": state,
                "redirect_uri": return_url,
                "stripe_landing": "login",
                "always_prompt": True,  # nobody is connected by following a link
            }
        )

    def redeem(self, code: str) -> str:
        """See `AccountConnector`. Asked once: a code that Stripe sees again revokes what it gave."""
        token = self._at.once(
            _ENDPOINT,
            _in_our_words(
                lambda: self._at.oauth.token({"grant_type": "authorization_code", "code": code})
            ),
        )
        told = token.to_dict()
        account_id = told.get("stripe_user_id")
        if not isinstance(account_id, str) or not _ACCOUNT.fullmatch(account_id):
            raise ConnectRefusedError("Stripe did not say which account was connected.")
        if told.get("livemode") is not self._live:
            raise ConnectRefusedError("Stripe connected the account in the other mode than ours.")
        if told.get("scope") != SCOPE:
            raise ConnectRefusedError(
                "Reading alone was allowed, and Paygrade writes prices and subscriptions."
            )
        return account_id

    def release(self, account_id: str) -> None:
        """See `AccountConnector`."""
        deauthorize = _in_our_words(
            lambda: self._at.oauth.deauthorize({"stripe_user_id": account_id})
        )
        try:
            self._at.run(_ENDPOINT, Effect.SET, deauthorize)
        except ConnectRefusedError:
            # Stripe has one code for "not connected" and for "not your platform": only a look tells.
            if self.may_act_for(account_id):
                raise

    def may_act_for(self, account_id: str) -> bool:
        """See `AccountConnector`."""
        connection = self._connect(account_id)
        found = connection.attempt(
            "account",
            Effect.READ,
            connection.v1.accounts.retrieve_current,
            lambda error: is_benign(error, Benign.NOT_CONNECTED),
        )
        return found is not None

    def own_account(self) -> str:
        """See `AccountConnector`."""
        return self._at.run("account", Effect.READ, self._at.v1.accounts.retrieve_current).id

    def acting_for(self, account_id: str) -> BillingProvider:
        """See `AccountConnector`."""
        return self._provider(account_id)


def _in_our_words(request: Callable[[], T]) -> Callable[[], T]:
    """The same request, whose refusals are told without Stripe's words: those quote what was sent."""

    def asked() -> T:
        try:
            return request()
        except oauth_error.OAuthError as error:
            raise ConnectRefusedError(f"Stripe refused: {code_of(error)}.") from None
        except AttributeError:
            # The SDK knows OAuth's six codes, and trips over the text that any other one is.
            raise ConnectRefusedError("Stripe refused for a reason of its own.") from None

    return asked
