"""Health and environment: is the API up, and which environment is this."""

from typing import Literal

from chalice.app import Blueprint

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import NoBody, NoQuery, Wire
from chalicelib.domain.api_keys import Scope

bp = Blueprint(__name__)


class Health(Wire):
    """The API answers."""

    object: Literal["health"] = "health"
    status: Literal["ok"] = "ok"
    environment: str


class EnvironmentOut(Wire):
    """What this environment is called and may do."""

    object: Literal["environment"] = "environment"
    id: str
    live: bool
    public_url: str
    return_origins: tuple[str, ...]
    billing_providers: tuple[str, ...]


@endpoint(bp, "GET", "/health", scope=None, summary="Is the API up?", answer=Health)
def get_health(call: Call[NoBody, NoQuery]) -> Health:
    """Answers as long as the process is configured; asks neither the database nor a provider."""
    return Health(environment=call.ports.environment.name)


@endpoint(
    bp,
    "GET",
    "/environment",
    scope=Scope.OPERATIONS_READ,
    summary="Describe the environment",
    answer=EnvironmentOut,
)
def get_environment(call: Call[NoBody, NoQuery]) -> EnvironmentOut:
    """The environment is the key's: no request can choose another."""
    environment = call.ports.environment
    return EnvironmentOut(
        id=environment.name,
        live=environment.live,
        public_url=environment.public_url,
        return_origins=environment.return_origins,
        billing_providers=tuple(call.ports.providers.names()),
    )
