"""Starts reconciliations on schedule."""

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib.events.worker import wired_ports
from chalicelib.services.start_reconciliation import start_reconciliation
from chalicelib.settings import reconcile_every_minutes

bp = Blueprint(__name__)


@bp.schedule(Rate(reconcile_every_minutes(), unit=Rate.MINUTES))
def start_reconcile(event: CloudWatchEvent) -> None:
    """A run is under way."""
    del event
    start_reconciliation(wired_ports(), "schedule")
