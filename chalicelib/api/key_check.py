"""Whether an API key is one of this environment's; imports no model, because every check begins with it."""

import hmac

from chalicelib.api.key_cache import KeyCache
from chalicelib.domain.api_keys import ApiKey
from chalicelib.ports import Ports
from chalicelib.services.key_tokens import parse_token, token_digest


def verified_key(ports: Ports, keys: KeyCache, token: str) -> ApiKey | None:
    """The key that this text is; None if it is unknown, revoked, mistyped or another environment's."""
    digest = token_digest(token)
    now = ports.clock.now()
    # Only what was verified here is known, whatever it looks like.
    if (known := keys.get(digest, now)) is not None:
        return known
    parsed = parse_token(token, ports.environment.name)
    if parsed is None:
        return None
    key = ports.store.get(ApiKey, parsed.key_id)
    # Bytes: on text with other than ASCII characters the comparison raises.
    if (
        key is None
        or not hmac.compare_digest(key.digest.encode(), digest.encode())
        or key.kind is not parsed.kind
        or key.revoked_at is not None
    ):
        return None
    keys.put(digest, key, now)
    return key
