"""Every minute: publish what is due, and send again what was left behind."""

from typing import Final

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib.events.chores import Chore, do_chores
from chalicelib.events.worker import wired_ports
from chalicelib.services.queue_migrations import resume_migrations
from chalicelib.services.report_charges import report_charges
from chalicelib.services.schedule_publication import publish_due
from chalicelib.services.settle_customer import sweep_timers
from chalicelib.services.sweep import sweep
from chalicelib.services.sweep_outbound import sweep_outbound

bp = Blueprint(__name__)

# In this order. The last one talks to providers and may take half of the minute.
CHORES: Final[tuple[Chore, ...]] = (
    publish_due,
    sweep,
    resume_migrations,
    sweep_timers,
    sweep_outbound,
    report_charges,
)


@bp.schedule(Rate(1, unit=Rate.MINUTES))
def sweep_outbox(event: CloudWatchEvent) -> None:
    """Due drafts are published; whatever is stuck, parked and due, or waiting is on its queue again."""
    del event
    do_chores(wired_ports(), CHORES, comes_again=True)
