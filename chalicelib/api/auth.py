"""Who calls: the bearer key of a request, verified, and the one answer for every way to fail."""

import hmac
from collections.abc import Mapping
from typing import Final

from chalicelib.api.key_cache import KeyCache
from chalicelib.domain.api_keys import ApiKey, Scope
from chalicelib.domain.errors import ForbiddenError, UnauthenticatedError
from chalicelib.ports import Ports
from chalicelib.services.key_tokens import parse_token, token_digest

_MISSING: Final = "Send an API key: 'Authorization: Bearer pg_sk_...'."
# One text for unknown, revoked, mistyped and other environments' keys: a stranger learns nothing from it.
_REFUSED: Final = "The API key is not valid here."


def authenticate(ports: Ports, keys: KeyCache, headers: Mapping[str, str], scope: Scope) -> ApiKey:
    """The key that the request carries; it has the scope.

    Raises:
        UnauthenticatedError: There is no key, or it is none of this environment's valid ones.
        ForbiddenError: The key lacks the scope.
    """
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError(_MISSING)
    key = _verify(ports, keys, token.strip())
    if scope not in key.scopes:
        raise ForbiddenError(f"The API key lacks the scope {scope.value!r}.")
    return key


def _verify(ports: Ports, keys: KeyCache, token: str) -> ApiKey:
    parsed = parse_token(token, ports.environment.name)
    if parsed is None:
        raise UnauthenticatedError(_REFUSED)
    digest = token_digest(token)
    now = ports.clock.now()
    if (known := keys.get(digest, now)) is not None:
        return known
    key = ports.store.get(ApiKey, parsed.key_id)
    # Bytes: on text with other than ASCII characters the comparison raises.
    if (
        key is None
        or not hmac.compare_digest(key.digest.encode(), digest.encode())
        or key.kind is not parsed.kind
        or key.revoked_at is not None
    ):
        raise UnauthenticatedError(_REFUSED)
    keys.put(digest, key, now)
    return key
