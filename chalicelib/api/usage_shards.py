"""Over how many items a customer's counter is spread."""

from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import NoQuery, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.spreading import MAX_SHARDS
from chalicelib.services.spread_usage import spread_usage

bp = Blueprint(__name__)


class UsageShardsIn(Wire):
    """How far a counter is to be spread."""

    count: Annotated[
        int, Field(ge=1, le=MAX_SHARDS, description="Each takes some 500 counts a second.")
    ]


class UsageShardsOut(Wire):
    """How far a counter is spread: `count` are counted on, `total` have been."""

    object: Literal["usage_shards"] = "usage_shards"
    customer_id: str
    feature_id: str
    count: int
    total: int


@endpoint(
    bp,
    "POST",
    "/customers/{customer_id}/usage/{feature_id}/shards",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Spread a counter",
    body=UsageShardsIn,
    answer=UsageShardsOut,
)
def spread_counter(call: Call[UsageShardsIn, NoQuery]) -> UsageShardsOut:
    """The usage of this feature is counted on so many items, for a customer that counts more than one takes.

    For usage that only grows, without a meter; it can be neither set nor reserved from then on. Limits stay exact.
    """
    customer_id, feature_id = CustomerId(call.path["customer_id"]), call.path["feature_id"]
    over = spread_usage(call.ports, call.cause, customer_id, feature_id, call.body.count)
    return UsageShardsOut(
        customer_id=customer_id, feature_id=feature_id, count=over.count, total=over.total
    )
