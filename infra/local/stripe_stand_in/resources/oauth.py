"""What a platform asks after an owner was sent back: codes for accounts, and the end of a connection.

Errors are OAuth's own shape. https://docs.stripe.com/connect/oauth-reference
"""

from __future__ import annotations

from typing import Any

import stripe
import typing_extensions as te

from infra.local.stripe_stand_in import connections
from infra.local.stripe_stand_in.account import CLIENT_ID, Account
from infra.local.stripe_stand_in.errors import StripeError
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.store import Obj

_CODE_LIVES_SECONDS = 300
_KIND = "_oauth_code"


class OAuthRefusedError(StripeError):
    """A refusal as OAuth words it."""

    def __init__(self, error: str, description: str, *, status: int = 400) -> None:
        # What is done about a code that comes twice stays done.
        super().__init__(
            description, status=status, code=error, replayable=False, keeps_changes=True
        )

    def body(self, request_id: str) -> dict[str, Any]:  # noqa: ARG002 - of the base
        """The answer body."""
        return {"error": self.code, "error_description": self.message}


class TokenParams(stripe.OAuth.OAuthTokenParams):
    """As the SDK's, and the key as a parameter, for those who do not send it as a header."""

    client_secret: te.NotRequired[str]


def new_code(platform: Account, account_id: str, scope: str) -> str:
    """A code that stands for the account, once and for five minutes."""
    code = platform.ids.new("oauth_code")
    stored = {"id": code, "account": account_id, "scope": scope, "created": platform.now()}
    platform.store.put(_KIND, code, {**stored, "used": False})
    return code


@route("POST", "/oauth/token", params=TokenParams)
def token(acct: Account, params: Obj) -> Obj:
    """The account that the code stands for lets the platform act for it."""
    if params.get("grant_type") != "authorization_code":
        raise OAuthRefusedError(
            "unsupported_grant_type", "The stand-in takes authorization codes only."
        )
    code = str(params.get("code", ""))
    found = acct.store.get(_KIND, code)
    if found is None:
        raise OAuthRefusedError("invalid_grant", f"Authorization code does not exist: {code}")
    if found["used"]:
        if connections.is_allowed(acct, found["account"]):
            connections.end(acct, found["account"])
        message = "This authorization code has already been used. All tokens issued with this code have been revoked."
        raise OAuthRefusedError("invalid_grant", message)
    if acct.now() - found["created"] > _CODE_LIVES_SECONDS:
        raise OAuthRefusedError("invalid_grant", f"Authorization code expired: {code}")
    acct.store.put(_KIND, code, {**found, "used": True})
    connections.allow(acct, found["account"])
    return {
        "access_token": acct.ids.new("access_token"),
        "livemode": False,
        "refresh_token": acct.ids.new("refresh_token"),
        "token_type": "bearer",
        "stripe_publishable_key": acct.ids.new("publishable_key"),
        "stripe_user_id": found["account"],
        "scope": found["scope"],
    }


@route("POST", "/oauth/deauthorize", params=stripe.OAuth.OAuthDeauthorizeParams)
def deauthorize(acct: Account, params: Obj) -> Obj:
    """The platform may not act for the account any more."""
    account_id = str(params.get("stripe_user_id", ""))
    if params.get("client_id") != CLIENT_ID:
        text = f"No such application: '{params.get('client_id')}'"
        raise OAuthRefusedError("invalid_client", text, status=401)
    if not connections.is_allowed(acct, account_id):
        text = f"This application is not connected to stripe account {account_id}, or that account does not exist."
        raise OAuthRefusedError("invalid_client", text, status=401)
    connections.end(acct, account_id)
    return {"stripe_user_id": account_id}
