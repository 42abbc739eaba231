"""Usage: what was used, reported or asked for in one step with the check."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Annotated

from chalice.app import Blueprint
from pydantic import Field, RootModel

from chalicelib.api.check_models import CheckOut, from_domain
from chalicelib.api.http import Call, endpoint
from chalicelib.api.usage_models import (
    MAX_AT_ONCE,
    Amount,
    EventIn,
    EventOut,
    Outcome,
    OutcomesOut,
    Units,
    UsageIn,
    UsageKey,
    UsageOut,
    When,
    from_recorded,
    from_reported,
    outcomes,
)
from chalicelib.api.wire import ChosenId, NoQuery, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.errors import InvalidError, Violation, invalid
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import Ports
from chalicelib.services.consume import Consumption, consume
from chalicelib.services.record_event import UsageEvent, record_event
from chalicelib.services.report_together import AT_ONCE, report_together
from chalicelib.services.report_usage import UpdateBehavior, UsageReport, report_usage

bp = Blueprint(__name__)


class UsageRequest(Wire):
    """What was used: one report's fields, or up to 100 reports in `usages`."""

    customer_id: ChosenId | None = None
    feature_id: ChosenId | None = None
    value: Amount | None = None
    update_behavior: UpdateBehavior | None = None
    idempotency_key: UsageKey | None = None
    timestamp: When = None
    resource_id: ChosenId | None = None
    usages: Annotated[tuple[UsageIn, ...], Field(min_length=1, max_length=MAX_AT_ONCE)] | None = (
        None
    )


class UsageAnswer(RootModel[UsageOut | OutcomesOut[UsageOut]]):
    """The one report, or what became of each of several."""


class ConsumeIn(Wire):
    """How much is about to be used."""

    amount: Units = 1
    idempotency_key: UsageKey
    resource_id: ChosenId | None = None


@endpoint(
    bp,
    "POST",
    "/usage",
    scope=Scope.USAGE_WRITE,
    summary="Report usage",
    body=UsageRequest,
    answer=UsageAnswer,
)
def report(call: Call[UsageRequest, NoQuery]) -> UsageAnswer:
    """What was used is counted, once for each `idempotency_key` of the customer, even above the limit.

    A report says what has happened; to keep to a hard limit, consume. Of several reports in `usages` each is counted or
    has its own error. Features with a meter are counted by their events alone.
    """
    body = call.body
    if body.usages is None:
        return UsageAnswer(_reported(call.ports, _single(body)))
    alone = body.model_fields_set - {"usages"}
    if alone:
        raise invalid(min(alone), "not_allowed", "It belongs to a report, in `usages`.")
    done = tuple(
        outcome
        for group in _groups(body.usages)
        for outcome in _counted(call.ports, group, call.cause.request_id)
    )
    return UsageAnswer(OutcomesOut[UsageOut](data=done))


def _groups(usages: Sequence[UsageIn]) -> Iterator[Sequence[UsageIn]]:
    """What follows each other of one customer, as many as can be counted in one step."""
    for _, found in groupby(usages, key=lambda one: one.customer_id):
        group = list(found)
        for first in range(0, len(group), AT_ONCE):
            yield group[first : first + AT_ONCE]


def _counted(
    ports: Ports, group: Sequence[UsageIn], request_id: str
) -> tuple[Outcome[UsageOut], ...]:
    done = report_together(ports, [_wanted(one) for one in group])
    if done is None:
        return outcomes(group, lambda one: _reported(ports, one), request_id)
    return tuple(
        Outcome[UsageOut](status=200, result=from_reported(one), error=None) for one in done
    )


def _single(body: UsageRequest) -> UsageIn:
    fields = body.model_dump(exclude_unset=True)
    required = ("customer_id", "feature_id", "value", "idempotency_key")
    missing = [name for name in required if fields.get(name) is None]
    if missing:
        raise InvalidError(
            [Violation(param=name, code="required", detail="Field required.") for name in missing]
        )
    if body.update_behavior is None:
        fields.pop("update_behavior", None)
    return UsageIn(**fields)


def _reported(ports: Ports, one: UsageIn) -> UsageOut:
    return from_reported(report_usage(ports, _wanted(one)))


def _wanted(one: UsageIn) -> UsageReport:
    return UsageReport(
        customer_id=CustomerId(one.customer_id),
        feature_id=one.feature_id,
        value=one.value,
        behavior=one.update_behavior,
        key=one.idempotency_key,
        at=one.timestamp,
        resource_id=one.resource_id,
    )


class EventsIn(Wire):
    """Up to 100 events."""

    events: Annotated[tuple[EventIn, ...], Field(min_length=1, max_length=MAX_AT_ONCE)]


@endpoint(
    bp,
    "POST",
    "/events",
    scope=Scope.USAGE_WRITE,
    summary="Send events",
    body=EventsIn,
    answer=OutcomesOut[EventOut],
)
def send_events(call: Call[EventsIn, NoQuery]) -> OutcomesOut[EventOut]:
    """Each event is counted by every meter that looks at it, once for each `idempotency_key` of the customer.

    Meters see an event's properties and, as `event_name`, its name. Events may come late, by up to 35 days, in any
    order and more than once. Each is answered or has its own error.
    """
    return OutcomesOut[EventOut](
        data=outcomes(
            call.body.events, lambda one: _recorded(call.ports, one), call.cause.request_id
        )
    )


def _recorded(ports: Ports, one: EventIn) -> EventOut:
    event = UsageEvent(
        customer_id=CustomerId(one.customer_id),
        name=one.event_name,
        key=one.idempotency_key,
        properties=one.properties,
        at=one.timestamp,
    )
    return from_recorded(record_event(ports, event))


@endpoint(
    bp,
    "POST",
    "/customers/{customer_id}/entitlements/{feature_id}/consume",
    scope=Scope.USAGE_WRITE,
    summary="Check and count in one step",
    body=ConsumeIn,
    answer=CheckOut,
)
def consume_entitlement(call: Call[ConsumeIn, NoQuery]) -> CheckOut:
    """A yes, and the amount is counted; or a no with its reason, and nothing is.

    However many ask at once, under a hard limit no more is counted than the limit. `current_usage` and `remaining`
    are those after counting.
    """
    customer_id, feature_id = call.path["customer_id"], call.path["feature_id"]
    wanted = Consumption(
        customer_id=CustomerId(customer_id),
        feature_id=feature_id,
        amount=call.body.amount,
        key=call.body.idempotency_key,
        resource_id=call.body.resource_id,
    )
    return from_domain(customer_id, feature_id, consume(call.ports, wanted))
