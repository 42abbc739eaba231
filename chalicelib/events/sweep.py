"""Every minute: publish what is due, and send again what was left behind."""

from chalice.app import Blueprint, CloudWatchEvent, Rate

from chalicelib.domain.errors import DomainError
from chalicelib.events.worker import wired_ports
from chalicelib.services.migrate_subscribers import resume_migrations
from chalicelib.services.report_charges import report_charges
from chalicelib.services.schedule_publication import publish_due
from chalicelib.services.settle_customer import sweep_timers
from chalicelib.services.sweep import sweep
from chalicelib.services.sweep_outbound import sweep_outbound

bp = Blueprint(__name__)


@bp.schedule(Rate(1, unit=Rate.MINUTES))
def sweep_outbox(event: CloudWatchEvent) -> None:
    """Due drafts are published; whatever is stuck, parked and due, or waiting is on its queue again."""
    del event
    ports = wired_ports()
    for chore in (
        publish_due,
        sweep,
        resume_migrations,
        sweep_timers,
        sweep_outbound,
        report_charges,
    ):
        try:
            chore(ports)
        except DomainError as error:
            # One that can't be done now must not keep the others from it; each comes again in a minute.
            ports.monitor.event("chore_failed", chore=chore.__name__, code=error.code)
