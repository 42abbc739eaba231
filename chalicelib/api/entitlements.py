"""Checks: may this customer use this feature?"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.whose import IN_PATH
from chalicelib.api.wire import (
    MAX_INTEGER,
    ListOut,
    NoBody,
    Query,
    QueryBool,
    QueryInt,
    Wire,
    listed,
)
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.decisions import DeniedReason, Question
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import SourceDocument
from chalicelib.services.check_access import Checked, check_access, check_all
from chalicelib.services.known_features import feature_types

bp = Blueprint(__name__)


class ConsistencyQuery(Query):
    """How fresh the answer has to be."""

    consistent: Annotated[
        QueryBool,
        Field(description="Read after the last write for sure; costs twice as much."),
    ] = False


class CheckQuery(ConsistencyQuery):
    """What is asked of the feature."""

    requested_usage: Annotated[
        QueryInt | None,
        Field(
            ge=0,
            le=MAX_INTEGER,
            description="Units about to be used; 1 without it, 0 asks for the state.",
        ),
    ] = None
    requested_values: Annotated[
        tuple[str, ...],
        Field(max_length=100, description="Enum values that are all needed; repeat the parameter."),
    ] = ()


class SourceOut(Wire):
    """Where an entitlement comes from."""

    type: Literal["plan", "addon", "grant"]
    id: str
    version: int | None = None
    subscription_id: str | None = None
    quantity: int = 1


class CheckOut(Wire):
    """The answer. A denial is a success of the request: look at `has_access`."""

    object: Literal["entitlement_check"] = "entitlement_check"
    customer_id: str
    feature_id: str
    feature_type: str | None
    has_access: bool
    denied_reason: DeniedReason | None
    requested_usage: int | None
    current_usage: int | None
    usage_limit: int | None
    is_unlimited: bool
    has_soft_limit: bool
    remaining: int | None
    value: bool | int | None
    values: tuple[str, ...] | None
    reset_period: str | None
    usage_period_start: datetime | None
    usage_period_end: datetime | None
    valid_until: datetime | None
    sources: tuple[SourceOut, ...]
    snapshot_version: int | None


def moment(epoch_ms: int | None) -> datetime | None:
    """The instant as it is shown."""
    if epoch_ms is None:
        return None
    return datetime.fromtimestamp(0, tz=UTC) + timedelta(milliseconds=epoch_ms)


def _source(source: SourceDocument) -> SourceOut:
    return SourceOut(
        type=source["type"],
        id=source["id"],
        version=source.get("version"),
        subscription_id=source.get("subscription_id"),
        quantity=source.get("quantity", 1),
    )


def from_domain(customer_id: str, feature_id: str, checked: Checked) -> CheckOut:
    """The decision as it is shown."""
    decision = checked.decision
    return CheckOut(
        customer_id=customer_id,
        feature_id=feature_id,
        feature_type=decision.feature_type,
        has_access=decision.has_access,
        denied_reason=decision.denied_reason,
        requested_usage=decision.requested_usage,
        current_usage=decision.current_usage,
        usage_limit=decision.usage_limit,
        is_unlimited=decision.is_unlimited,
        has_soft_limit=decision.has_soft_limit,
        remaining=decision.remaining,
        value=decision.value,
        values=decision.values,
        reset_period=decision.reset_period,
        usage_period_start=moment(decision.period_start_ms),
        usage_period_end=moment(decision.period_end_ms),
        valid_until=moment(decision.valid_until_ms),
        sources=tuple(_source(source) for source in decision.sources),
        snapshot_version=checked.snapshot_version,
    )


@endpoint(
    bp,
    "GET",
    "/customers/{customer_id}/entitlements/{feature_id}",
    scope=Scope.CHECK,
    whose=IN_PATH,
    summary="May the customer use the feature?",
    query=CheckQuery,
    answer=CheckOut,
)
def check_entitlement(call: Call[NoBody, CheckQuery]) -> CheckOut:
    """A yes, or a no with its reason, in one database read. Nothing is counted."""
    ports = call.ports
    customer_id, feature_id = call.path["customer_id"], call.path["feature_id"]
    query = call.query
    checked = check_access(
        ports.snapshots,
        lambda wanted: feature_types(ports).get(wanted),
        CustomerId(customer_id),
        feature_id,
        Question(query.requested_usage, query.requested_values),
        ports.clock.now(),
        consistent=query.consistent,
    )
    return from_domain(customer_id, feature_id, checked)


@endpoint(
    bp,
    "GET",
    "/customers/{customer_id}/entitlements",
    scope=Scope.CHECK,
    whose=IN_PATH,
    summary="Everything the customer is entitled to",
    query=ConsistencyQuery,
    answer=ListOut[CheckOut],
    etag=True,
)
def list_entitlements(call: Call[NoBody, ConsistencyQuery]) -> ListOut[CheckOut]:
    """The state of each feature that a plan or add-on of the customer names, by feature id."""
    ports = call.ports
    customer_id = CustomerId(call.path["customer_id"])
    answers = check_all(
        ports.snapshots, customer_id, ports.clock.now(), consistent=call.query.consistent
    )
    if answers is None:
        raise NotFoundError("customer", customer_id)
    return listed(
        (from_domain(customer_id, name, checked) for name, checked in answers.items()), None
    )
