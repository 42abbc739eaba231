"""The history of a customer's usage."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.check_models import moment
from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import ChosenId, ListOut, NoBody, Query, UtcInstant, Wire, listed
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.ids import CustomerId
from chalicelib.services.view_usage import Interval, view_usage

bp = Blueprint(__name__)


class HistoryQuery(Query):
    """Which part of the history, and how finely."""

    from_: Annotated[
        UtcInstant | None,
        Field(alias="from", description="30 days before the end without it."),
    ] = None
    to: Annotated[UtcInstant | None, Field(description="Now without it.")] = None
    interval: Interval = Interval.DAY
    resource_id: ChosenId | None = None


class SpanOut(Wire):
    """Usage within `start` (included) and `end` (not): a sum, or (of what goes up and down) its value, if known."""

    object: Literal["usage_interval"] = "usage_interval"
    start: datetime | None
    end: datetime | None
    usage: int | None


@endpoint(
    bp,
    "GET",
    "/customers/{customer_id}/usage/{feature_id}",
    scope=Scope.CUSTOMERS_READ,
    summary="The history of usage",
    query=HistoryQuery,
    answer=ListOut[SpanOut],
)
def usage_history(call: Call[NoBody, HistoryQuery]) -> ListOut[SpanOut]:
    """Usage by hour, day, week (from Monday) or month, in UTC; whole intervals, at most 1000, the oldest first."""
    query = call.query
    end = query.to or call.ports.clock.now()
    spans = view_usage(
        call.ports,
        CustomerId(call.path["customer_id"]),
        call.path["feature_id"],
        query.interval,
        query.from_ or end - timedelta(days=30),
        end,
        resource_id=query.resource_id,
    )
    shown = (
        SpanOut(start=moment(span.start_ms), end=moment(span.end_ms), usage=span.usage)
        for span in spans
    )
    return listed(shown, None)
