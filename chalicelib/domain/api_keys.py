"""API keys: who may call the API and for what; only digests of them are ever stored."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class KeyKind(StrEnum):
    """A secret key stays on servers; a publishable one may stand in a browser."""

    SECRET = "secret"  # noqa: S105 -- a kind of key, none itself
    PUBLISHABLE = "publishable"


class Scope(StrEnum):
    """What a key may do."""

    CATALOG_READ = "catalog:read"
    CATALOG_WRITE = "catalog:write"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    CHECK = "check"
    USAGE_WRITE = "usage:write"
    OPERATIONS_READ = "operations:read"
    OPERATIONS_WRITE = "operations:write"
    KEYS_WRITE = "keys:write"
    PAYWALL_READ = "paywall:read"
    TOKENS_WRITE = "tokens:write"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key without its secret; `digest` is the SHA-256 of the whole key, `hint` its last four characters."""

    id: str
    name: str
    kind: KeyKind
    scopes: tuple[Scope, ...]
    digest: str
    hint: str
    created_at: datetime
    revoked_at: datetime | None = None
    revision: int = 1

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells one key from another."""
        return (self.id,)

    @property
    def actor(self) -> str:
        """Who is said to have done what is done with it."""
        return f"api_key:{self.id}"
