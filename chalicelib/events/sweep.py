"""Every minute: send again what was left behind."""

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib.events.worker import wired_ports
from chalicelib.services.sweep import sweep

bp = Blueprint(__name__)


@bp.schedule(Rate(1, unit=Rate.MINUTES))
def sweep_outbox(event: CloudWatchEvent) -> None:
    """Stuck outbox items and due parked events are on their queues again."""
    del event
    sweep(wired_ports())
