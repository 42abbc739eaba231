"""Usage on the wire: reports, their answers, and what many of them at once are answered."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import Field

from chalicelib.api.check_models import moment
from chalicelib.api.problems import Problem, problem_of
from chalicelib.api.wire import MAX_INTEGER, ChosenId, UtcInstant, Wire
from chalicelib.domain.errors import DomainError
from chalicelib.services.record_event import Recorded
from chalicelib.services.report_usage import Reported, UpdateBehavior

T = TypeVar("T")
M = TypeVar("M", bound=Wire)

MAX_AT_ONCE = 100

UsageKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        description="The customer's usage is counted once under this key, for 40 days.",
    ),
]
When = Annotated[
    UtcInstant | None,
    Field(description="When it was: at most 35 days ago; now without it."),
]
Amount = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Units = Annotated[int, Field(ge=1, le=MAX_INTEGER)]


class UsageIn(Wire):
    """What was used."""

    customer_id: ChosenId
    feature_id: ChosenId
    value: Annotated[
        Amount, Field(description="More usage (`delta`), or all of the present period's (`set`).")
    ]
    update_behavior: UpdateBehavior = UpdateBehavior.DELTA
    idempotency_key: UsageKey
    timestamp: When = None
    resource_id: ChosenId | None = None


class UsageOut(Wire):
    """Usage that was counted, and where the customer stood after it."""

    object: Literal["usage_record"] = "usage_record"
    id: str
    customer_id: str
    feature_id: str
    resource_id: str | None
    value: int
    update_behavior: UpdateBehavior
    idempotency_key: str
    timestamp: datetime
    recorded_at: datetime
    current_usage: int | None
    usage_limit: int | None
    usage_period_start: datetime | None
    usage_period_end: datetime | None


class Outcome(Wire, Generic[T]):
    """What became of one of several: it was done, or not and why."""

    object: Literal["outcome"] = "outcome"
    status: int
    result: T | None
    error: Problem | None


class OutcomesOut(Wire, Generic[T]):
    """What became of each, in the order of the request."""

    object: Literal["list"] = "list"
    data: tuple[Outcome[T], ...]
    has_more: Literal[False] = False
    next_cursor: None = None


_Scalar = (
    Annotated[str, Field(max_length=1000)]
    | int
    | Annotated[float, Field(allow_inf_nan=False)]
    | bool
    | None
)


class EventIn(Wire):
    """Something that happened, from which meters compute usage."""

    customer_id: ChosenId
    event_name: Annotated[str, Field(min_length=1, max_length=100)]
    idempotency_key: UsageKey
    timestamp: When = None
    properties: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=100)], _Scalar],
        Field(max_length=50, description="What meters aggregate and filter by."),
    ] = Field(default_factory=dict)


class CountedOut(Wire):
    """What an event added to the usage of a feature in its present period."""

    feature_id: str
    counted: int


class EventOut(Wire):
    """An event that was taken. `counted` has a line for each feature whose meter looked at it."""

    object: Literal["usage_event"] = "usage_event"
    id: str
    customer_id: str
    event_name: str
    idempotency_key: str
    timestamp: datetime
    recorded_at: datetime
    counted: tuple[CountedOut, ...]


def from_recorded(done: Recorded) -> EventOut:
    """The event as it was taken."""
    event = done.event
    return EventOut(
        id=done.id,
        customer_id=event.customer_id,
        event_name=event.name,
        idempotency_key=event.key,
        timestamp=done.at,
        recorded_at=done.recorded_at,
        counted=tuple(
            CountedOut(feature_id=name, counted=amount) for name, amount in done.counted.items()
        ),
    )


def outcomes(items: Iterable[M], do: Callable[[M], T], request_id: str) -> tuple[Outcome[T], ...]:
    """Each is tried, whatever became of those before."""
    return tuple(_outcome(item, do, request_id) for item in items)


def _outcome(item: M, do: Callable[[M], T], request_id: str) -> Outcome[T]:
    try:
        return Outcome(status=200, result=do(item), error=None)
    except DomainError as error:
        problem, _ = problem_of(error, request_id)
        return Outcome(status=problem.status, result=None, error=problem)


def from_reported(done: Reported) -> UsageOut:
    """The report as it was counted."""
    report, state = done.report, done.state
    return UsageOut(
        id=done.id,
        customer_id=report.customer_id,
        feature_id=report.feature_id,
        resource_id=report.resource_id,
        value=report.value,
        update_behavior=report.behavior,
        idempotency_key=report.key,
        timestamp=done.at,
        recorded_at=done.recorded_at,
        current_usage=state.current_usage,
        usage_limit=state.usage_limit,
        usage_period_start=moment(state.period_start_ms),
        usage_period_end=moment(state.period_end_ms),
    )
