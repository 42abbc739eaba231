"""Where billing providers deliver their notifications."""

from typing import Literal

from chalice.app import Blueprint

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import NoBody, NoQuery, Wire
from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing_events import BillingEventStatus
from chalicelib.services.apply_billing_event import receive_billing_event

bp = Blueprint(__name__)


class Received(Wire):
    """The delivery is stored: it need not be sent again."""

    object: Literal["billing_event"] = "billing_event"
    id: str
    status: BillingEventStatus


@endpoint(
    bp,
    "POST",
    "/webhooks/stripe",
    scope=None,
    raw=True,
    summary="Take a Stripe event",
    answer=Received,
)
def stripe_webhook(call: Call[NoBody, NoQuery]) -> Received:
    """Verifies the exact bytes, stores the event once, then looks at Stripe's truth.

    2xx means stored, whatever becomes of it; a bad signature is 400; 5xx asks Stripe to deliver again.
    """
    ports = call.ports
    event = ports.billing_events.read(call.raw, call.headers.get("stripe-signature"))
    cause = Cause(actor="webhook:stripe", request_id=call.cause.request_id, operation_id=event.id)
    kept = receive_billing_event(ports, cause, "stripe", event)
    return Received(id=kept.id, status=kept.status)
