"""Usage charges: counted usage on its way to the billing providers that charge for it."""

from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import ListOut, NoBody, NoQuery, PageQuery, Wire, newest_of_status
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.usage_charges import ChargeStatus, UsageCharge
from chalicelib.services.report_charges import retry_charge

bp = Blueprint(__name__)


class UsageChargeOut(Wire):
    """Usage that a provider charges for. Its `id` is the identifier under which the provider knows it."""

    object: Literal["usage_charge"] = "usage_charge"
    id: str
    provider: str
    customer_id: str
    feature_id: str
    event_name: str
    value: int
    timestamp: datetime
    status: ChargeStatus
    attempts: int
    error: str | None
    created_at: datetime
    updated_at: datetime


def from_charge(charge: UsageCharge) -> UsageChargeOut:
    """The charge as it is shown."""
    return UsageChargeOut(
        id=charge.id,
        provider=charge.provider,
        customer_id=charge.customer_id,
        feature_id=charge.feature_id,
        event_name=charge.event_name,
        value=charge.value,
        timestamp=charge.at,
        status=charge.status,
        attempts=charge.attempts,
        error=charge.error,
        created_at=charge.created_at,
        updated_at=charge.updated_at,
    )


class UsageChargesQuery(PageQuery):
    """Which charges are wanted."""

    status: Annotated[ChargeStatus, Field(description="How far they are.")] = ChargeStatus.FAILED


@endpoint(
    bp,
    "GET",
    "/usage_charges",
    scope=Scope.OPERATIONS_READ,
    summary="List usage charges",
    query=UsageChargesQuery,
    answer=ListOut[UsageChargeOut],
)
def list_usage_charges(call: Call[NoBody, UsageChargesQuery]) -> ListOut[UsageChargeOut]:
    """Those of one status, newest first."""
    query = call.query
    return newest_of_status(call.ports.store, UsageCharge, query.status, query, from_charge)


@endpoint(
    bp,
    "POST",
    "/usage_charges/{charge_id}/retry",
    scope=Scope.OPERATIONS_WRITE,
    summary="Report a usage charge again",
    answer=UsageChargeOut,
)
def retry_usage_charge(call: Call[NoBody, NoQuery]) -> UsageChargeOut:
    """The provider is told at once, under the same id; a reported charge stays as it is."""
    return from_charge(retry_charge(call.ports, call.path["charge_id"]))
