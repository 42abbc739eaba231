"""The sweep of events on their way to the operator: what a lost message left behind, and attempts that are due."""

from datetime import timedelta
from typing import Final

from chalicelib.domain.outbound_events import OutboundEvent, OutboundStatus
from chalicelib.domain.webhook_endpoints import Delivery, DeliveryStatus
from chalicelib.ports import Ports
from chalicelib.services.deliver_webhooks import queue_deliveries
from chalicelib.services.outbound import hurry

# Old enough that the message sent with the change has surely had its chance.
_STUCK_AFTER: Final = timedelta(seconds=60)
_AT_MOST: Final = 500


def sweep_outbound(ports: Ports) -> int:
    """Every event without deliveries and every delivery that is due is on its queue; returns how many were sent."""
    now = ports.clock.now()
    events = sum(
        hurry(ports, [event])
        for event in ports.store.find_by(
            OutboundEvent, "status", OutboundStatus.PENDING, limit=_AT_MOST
        ).items
        if now - event.created_at > _STUCK_AFTER
    )
    # By the time at which they are due. The first attempt's message was sent with the delivery.
    deliveries = queue_deliveries(
        ports,
        None,
        [
            delivery
            for delivery in ports.store.find_by(
                Delivery, "status", DeliveryStatus.PENDING, limit=_AT_MOST
            ).items
            if now - delivery.next_attempt_at
            > (timedelta(0) if delivery.attempts else _STUCK_AFTER)
        ],
    )
    if events or deliveries:
        ports.monitor.event("swept_outbound", outbound_events=events, deliveries=deliveries)
    return events + deliveries
