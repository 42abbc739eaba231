"""Who calls: the bearer key or token of a request, verified, and the one answer for every way to fail."""

from collections.abc import Mapping
from typing import Final

from chalicelib.api.key_cache import KeyCache
from chalicelib.api.key_check import verified_key
from chalicelib.api.operations import Operation
from chalicelib.domain.api_keys import ApiKey
from chalicelib.domain.customer_tokens import CustomerToken, read
from chalicelib.domain.errors import ForbiddenError, UnauthenticatedError
from chalicelib.ports import Ports
from chalicelib.services.token_realm import realm

Caller = ApiKey | CustomerToken

_MISSING: Final = "Send an API key: 'Authorization: Bearer pg_sk_...'."
# One text for unknown, revoked, mistyped and other environments' keys: a stranger learns nothing from it.
_REFUSED: Final = "The API key is not valid here."


def authenticate(ports: Ports, keys: KeyCache, headers: Mapping[str, str]) -> Caller:
    """Whose key or token the request carries.

    Raises:
        UnauthenticatedError: There is none, or it is none of this environment's valid ones.
    """
    scheme, _, text = headers.get("authorization", "").strip().partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text:
        raise UnauthenticatedError(_MISSING)
    if text.startswith("pg_"):
        key = verified_key(ports, keys, text)
        if key is None:
            raise UnauthenticatedError(_REFUSED)
        return key
    token = read(text, ports.token_secrets(), realm(ports), ports.clock.now())
    if token is None:
        raise UnauthenticatedError(_REFUSED)
    return token


def admit(caller: Caller, operation: Operation) -> None:
    """Nothing, if such a caller may call the operation at all; for which customer is looked at when it is known.

    Raises:
        ForbiddenError: The key lacks the scope, or no customer token opens this.
    """
    if isinstance(caller, CustomerToken):
        if operation.whose is None:
            raise ForbiddenError("A customer token does not open this.")
    elif operation.scope is not None and operation.scope not in caller.scopes:
        raise ForbiddenError(f"The API key lacks the scope {operation.scope.value!r}.")
