"""API keys: made, listed and revoked. The whole key exists once, in the answer that made it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chalicelib.domain.api_keys import ApiKey, KeyKind, Scope
from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import AlreadyExistsError, NotFoundError, invalid
from chalicelib.domain.ids import derived_id
from chalicelib.ports import Absent, AtRevision, Ports, Put
from chalicelib.services import audit
from chalicelib.services.key_tokens import ID_PREFIX, SECRET_BYTES, spell_token, token_digest
from chalicelib.services.optimistic import retried

PUBLISHABLE_SCOPES: Final = (Scope.PAYWALL_READ,)
ALL_SCOPES: Final = tuple(Scope)
HINT_LENGTH: Final = 4


def create_api_key(
    ports: Ports,
    cause: Cause,
    *,
    name: str,
    kind: KeyKind,
    scopes: Sequence[Scope],
    entropy: bytes,
) -> tuple[ApiKey, str]:
    """The key, and its whole text, which nobody can find out again.

    `entropy` is 32 random bytes. Also makes an environment's first key, on whatever cause the tool has.

    Raises:
        InvalidError: A publishable key asks for more than reading the paywall.
        AlreadyExistsError: An earlier try of this operation made the key; its text is lost.
    """
    if len(entropy) != SECRET_BYTES:
        raise ValueError(f"a key needs {SECRET_BYTES} random bytes")
    if kind is KeyKind.PUBLISHABLE and set(scopes) - set(PUBLISHABLE_SCOPES):
        raise invalid("scopes", "not_allowed", "A publishable key only has paywall:read.")
    key_id = derived_id(ID_PREFIX, "api_key", cause.operation_id)
    if ports.store.get(ApiKey, key_id) is not None:
        raise AlreadyExistsError(
            f"The key {key_id!r} was made by this request before and is not shown again; revoke it."
        )
    token = spell_token(kind, ports.environment.name, key_id, entropy)
    key = ApiKey(
        id=key_id,
        name=name,
        kind=kind,
        scopes=tuple(dict.fromkeys(scopes)),
        digest=token_digest(token),
        hint=token[-HINT_LENGTH:],
        created_at=ports.clock.now(),
    )
    after = {"name": name, "kind": kind, "scopes": key.scopes}
    entry = audit.entry(ports, cause, f"api_key:{key_id}", "api_key.created", after=after)
    ports.store.commit(Put(key, Absent()), Put(entry, Absent()))
    return key, token


def get_api_key(ports: Ports, key_id: str) -> ApiKey:
    """The key without its secret; raises `NotFoundError` if there is none."""
    key = ports.store.get(ApiKey, key_id)
    if key is None:
        raise NotFoundError("API key", key_id)
    return key


def revoke_api_key(ports: Ports, cause: Cause, key_id: str) -> ApiKey:
    """The key opens nothing any more, within 30 seconds everywhere; it stays in the list."""

    def attempt() -> ApiKey:
        key = get_api_key(ports, key_id)
        if key.revoked_at is not None:
            return key
        revoked = replace(key, revoked_at=ports.clock.now(), revision=key.revision + 1)
        entry = audit.entry(
            ports,
            cause,
            f"api_key:{key_id}",
            "api_key.revoked",
            {"revoked_at": None},
            {"revoked_at": revoked.revoked_at},
        )
        ports.store.commit(Put(revoked, AtRevision(number=key.revision)), Put(entry, Absent()))
        return revoked

    return retried(attempt)
