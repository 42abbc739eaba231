"""What an endpoint is: the request it is handed, the answers it may give, and its description."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from pydantic import BaseModel

from chalicelib.domain.api_keys import ApiKey, Scope
from chalicelib.domain.audit_log import Cause
from chalicelib.domain.customer_tokens import CustomerToken
from chalicelib.ports import Ports

if TYPE_CHECKING:
    from chalicelib.api.whose import Whose

Method = Literal["GET", "POST", "PATCH", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """An answer that is no JSON object of ours."""

    body: str
    media_type: str


B_co = TypeVar("B_co", bound=BaseModel, covariant=True)
Q_co = TypeVar("Q_co", bound=BaseModel, covariant=True)
A = TypeVar("A", bound=BaseModel | Text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[B_co, Q_co]):
    """A request that may be served; `path` is decoded, `raw` is the body's exact bytes.

    It was made with the API key or with the customer token, or by anybody.
    """

    body: B_co
    query: Q_co
    path: Mapping[str, str]
    ports: Ports
    cause: Cause
    key: ApiKey | None
    headers: Mapping[str, str]
    raw: bytes
    token: CustomerToken | None = None


@dataclass(frozen=True, slots=True)
class Reply(Generic[A]):
    """An answer with another status than the operation's usual one, or with headers."""

    model: A
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """All that is known of an endpoint; the OpenAPI document is made of these."""

    method: Method
    path: str
    name: str
    tag: str
    summary: str
    description: str
    scope: Scope | None
    body: type[BaseModel]
    query: type[BaseModel]
    answer: type[BaseModel | Text]
    status: int
    etag: bool
    raw: bool
    secret_answer: bool
    whose: "Whose | None"
    also: Mapping[int, str]
    media_type: str

    @property
    def for_browsers(self) -> bool:
        """Whether a page on another origin may call it: with a customer token, or with a publishable key."""
        return self.whose is not None or self.scope is Scope.PAYWALL_READ

    @property
    def takes_idempotency_key(self) -> bool:
        """Whether a repetition under the same key gets the first answer."""
        return self.method != "GET" and self.scope is not None
