"""Health and environment: is the API up, and which environment is this."""

from enum import StrEnum
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api import auth, runtime
from chalicelib.api.http import Call, endpoint
from chalicelib.api.rate_limits import count_request
from chalicelib.api.wire import NoBody, NoQuery, Query, Wire
from chalicelib.domain.api_keys import ApiKey, Scope
from chalicelib.domain.errors import ForbiddenError

bp = Blueprint(__name__)


class Depth(StrEnum):
    """How closely to look."""

    FULL = "full"


class HealthQuery(Query):
    """How closely to look."""

    depth: Annotated[
        Depth | None,
        Field(description="With `full` tables and queues are asked, too. Needs operations:read."),
    ] = None


class QueueOut(Wire):
    """What a queue holds, as near as it is known."""

    waiting: int
    dead: int


class HealthDetails(Wire):
    """What the environment stands on."""

    tables: dict[str, bool]
    queues: dict[str, QueueOut] | None
    oldest_pending_seconds: int | None


class Health(Wire):
    """The API answers; `degraded` only if it was asked to look closely."""

    object: Literal["health"] = "health"
    status: Literal["ok", "degraded"] = "ok"
    environment: str
    details: HealthDetails | None = None


class EnvironmentOut(Wire):
    """What this environment is called and may do."""

    object: Literal["environment"] = "environment"
    id: str
    live: bool
    public_url: str
    return_origins: tuple[str, ...]
    billing_providers: tuple[str, ...]


@endpoint(
    bp,
    "GET",
    "/health",
    scope=None,
    summary="Is the API up?",
    answer=Health,
    query=HealthQuery,
    also={
        401: "Looking closely needs an API key.",
        403: "It needs operations:read.",
        429: "The key asks too often.",
    },
)
def get_health(call: Call[NoBody, HealthQuery]) -> Health:
    """Answers as long as the process is configured; asks neither the database nor a provider.

    With `depth=full`, which needs a key, it tells whether tables and queues are reached, how much lies in the queues
    and in their dead letters, and how old the oldest work is that waits for a provider or was reported by one.
    `degraded`: something is not reached, or there are dead letters.
    """
    ports = call.ports
    if call.query.depth is None:
        return Health(environment=ports.environment.name)
    caller = auth.authenticate(ports, runtime.keys(), call.headers)
    if not isinstance(caller, ApiKey) or Scope.OPERATIONS_READ not in caller.scopes:
        raise ForbiddenError(f"Looking closely needs the scope {Scope.OPERATIONS_READ.value!r}.")
    count_request(ports, runtime.buckets(), caller.actor)
    # Imported late: it brings what it looks at, and most who ask want to know no more than that somebody answers.
    from chalicelib.services.check_health import check_health  # noqa: PLC0415

    found = check_health(ports)
    return Health(
        environment=ports.environment.name,
        status="ok" if found.is_well else "degraded",
        details=HealthDetails(
            tables=dict(found.tables),
            queues=None
            if found.queues is None
            else {
                queue: QueueOut(waiting=depth.waiting, dead=depth.dead)
                for queue, depth in found.queues.items()
            },
            oldest_pending_seconds=found.oldest_pending_seconds,
        ),
    )


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
