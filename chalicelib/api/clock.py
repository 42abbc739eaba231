"""The test clock: where an environment has one, its time can be moved forward."""

from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import AwareDatetime, Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import NoBody, NoQuery, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.services.move_clock import MovedClock, move_clock, view_clock

bp = Blueprint(__name__)


class ClockIn(Wire):
    """Where to: one of the two."""

    advance_seconds: Annotated[
        int | None, Field(ge=0, description="So much later; 0 only moves the providers after us.")
    ] = None
    now: Annotated[AwareDatetime | None, Field(description="The instant that it then is.")] = None


class ClockOut(Wire):
    """The environment's time. `providers` are those whose clock moves with it."""

    object: Literal["test_clock"] = "test_clock"
    now: datetime
    advanced_seconds: int
    providers: tuple[str, ...]


def from_domain(moved: MovedClock) -> ClockOut:
    """The clock as it is shown."""
    return ClockOut(now=moved.now, advanced_seconds=moved.shift_seconds, providers=moved.providers)


@endpoint(
    bp,
    "GET",
    "/test_clock",
    scope=Scope.OPERATIONS_READ,
    summary="Retrieve the test clock",
    answer=ClockOut,
    also={404: "The environment has no test clock."},
)
def get_test_clock(call: Call[NoBody, NoQuery]) -> ClockOut:
    """What time it is in the environment; 404 where it has no test clock, as in every live one."""
    return from_domain(view_clock(call.ports))


@endpoint(
    bp,
    "POST",
    "/test_clock",
    scope=Scope.OPERATIONS_WRITE,
    summary="Move the test clock forward",
    body=ClockIn,
    answer=ClockOut,
    also={404: "The environment has no test clock."},
)
def post_test_clock(call: Call[ClockIn, NoQuery]) -> ClockOut:
    """Trials end, periods renew, grants expire: here by the clock, at the provider with its events."""
    body = call.body
    moved = move_clock(call.ports, call.cause, by_seconds=body.advance_seconds, to=body.now)
    return from_domain(moved)
