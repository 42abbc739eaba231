"""Starts reconciliations on schedule."""

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib.events.chores import do_chores
from chalicelib.events.worker import wired_ports
from chalicelib.ports import Ports
from chalicelib.services.start_reconciliation import start_reconciliation
from chalicelib.settings import reconcile_every_minutes

bp = Blueprint(__name__)


@bp.schedule(Rate(reconcile_every_minutes(), unit=Rate.MINUTES))
def start_reconcile(event: CloudWatchEvent) -> None:
    """A run is under way."""
    del event
    # The next tick may be an hour away: what can't be done now, Lambda repeats within minutes.
    do_chores(wired_ports(), [start_run], comes_again=False)


def start_run(ports: Ports) -> None:
    """A run is under way, because it is time for one."""
    start_reconciliation(ports, "schedule")
