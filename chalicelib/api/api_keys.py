"""API keys over HTTP."""

import secrets
from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api import runtime
from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import ListOut, Name, NoBody, NoQuery, PageQuery, Wire, list_answer
from chalicelib.domain.api_keys import ApiKey, KeyKind, Scope
from chalicelib.services import manage_api_keys
from chalicelib.services.key_tokens import SECRET_BYTES

bp = Blueprint(__name__)


class ApiKeyCreate(Wire):
    """A key to be. Without scopes: a secret key may do everything, a publishable one read paywalls."""

    name: Name
    kind: KeyKind = KeyKind.SECRET
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=len(Scope))] | None = None


class ApiKeyOut(Wire):
    """A key without its secret; `hint` is its last four characters."""

    object: Literal["api_key"] = "api_key"
    id: str
    name: str
    kind: KeyKind
    scopes: tuple[Scope, ...]
    hint: str
    created_at: datetime
    revoked_at: datetime | None


class ApiKeyCreated(ApiKeyOut):
    """A new key with its secret, which is shown this once."""

    secret: str


@endpoint(
    bp,
    "POST",
    "/api_keys",
    scope=Scope.KEYS_WRITE,
    summary="Create an API key",
    answer=ApiKeyCreated,
    body=ApiKeyCreate,
    status=201,
    secret_answer=True,
)
def create_api_key(call: Call[ApiKeyCreate, NoQuery]) -> ApiKeyCreated:
    """`secret` is shown this once and stored nowhere.

    For the same reason a repetition under the same Idempotency-Key is not replayed: it is refused
    with `already_exists`, naming the key, so that it can be revoked.
    """
    body = call.body
    default = (
        manage_api_keys.ALL_SCOPES
        if body.kind is KeyKind.SECRET
        else manage_api_keys.PUBLISHABLE_SCOPES
    )
    key, token = manage_api_keys.create_api_key(
        call.ports,
        call.cause,
        name=body.name,
        kind=body.kind,
        scopes=body.scopes or default,
        entropy=secrets.token_bytes(SECRET_BYTES),  # noqa: TID251 -- there is no port for secrets
    )
    return ApiKeyCreated(**_from_domain(key).model_dump(exclude={"object"}), secret=token)


@endpoint(
    bp,
    "GET",
    "/api_keys",
    scope=Scope.KEYS_WRITE,
    summary="List API keys",
    answer=ListOut[ApiKeyOut],
    query=PageQuery,
)
def list_api_keys(call: Call[NoBody, PageQuery]) -> ListOut[ApiKeyOut]:
    """Revoked ones included."""
    page = call.ports.store.list_within(ApiKey, limit=call.query.limit, cursor=call.query.cursor)
    return list_answer(page, _from_domain)


@endpoint(
    bp,
    "GET",
    "/api_keys/{key_id}",
    scope=Scope.KEYS_WRITE,
    summary="Get an API key",
    answer=ApiKeyOut,
)
def get_api_key(call: Call[NoBody, NoQuery]) -> ApiKeyOut:
    """The key without its secret."""
    return _from_domain(manage_api_keys.get_api_key(call.ports, call.path["key_id"]))


@endpoint(
    bp,
    "DELETE",
    "/api_keys/{key_id}",
    scope=Scope.KEYS_WRITE,
    summary="Revoke an API key",
    answer=ApiKeyOut,
)
def revoke_api_key(call: Call[NoBody, NoQuery]) -> ApiKeyOut:
    """Effective within 30 seconds: processes trust a key that they verified for that long."""
    key = manage_api_keys.revoke_api_key(call.ports, call.cause, call.path["key_id"])
    runtime.keys().forget(key.id)
    return _from_domain(key)


def _from_domain(key: ApiKey) -> ApiKeyOut:
    return ApiKeyOut(
        id=key.id,
        name=key.name,
        kind=key.kind,
        scopes=key.scopes,
        hint=key.hint,
        created_at=key.created_at,
        revoked_at=key.revoked_at,
    )
