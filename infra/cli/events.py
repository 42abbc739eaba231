"""`paygrade events`: what billing providers notified us of, and another look at it."""

from enum import StrEnum
from typing import Annotated

import typer

from infra.cli.output import listed
from infra.cli.paths import path
from infra.cli.session import Session, command

app = typer.Typer(no_args_is_help=True, help="Billing events: webhooks that arrived.")


class Status(StrEnum):
    """What became of an event, as the API has it."""

    PROCESSED = "processed"
    PENDING = "pending"
    FAILED = "failed"
    IGNORED = "ignored"


@app.command("list")
@command
def list_events(
    session: Session,
    status: Annotated[Status, typer.Option("--status", help="What became of them.")] = (
        Status.PROCESSED
    ),
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 20,
) -> None:
    """List the events of one status, newest first."""
    events = list(session.api.items(path("billing_events"), limit, status=status.value))
    session.output.data(listed(events))
    session.output.table(
        ("id", "type", "status", "reason", "customer", "tries", "received"),
        [
            (
                event["id"],
                event["type"],
                event["status"],
                event["reason"],
                event["customer_id"],
                event["attempts"],
                event["received_at"],
            )
            for event in events
        ],
        empty=f"There are no {status.value} events.",
    )


@app.command("replay")
@command
def replay(
    session: Session, event_id: Annotated[str, typer.Argument(metavar="ID", help="evt_...")]
) -> None:
    """Take an event again: its customer is compared with the provider anew. Always harmless."""
    event = session.api.post(path("billing_events", event_id, "replay"))
    session.output.data(event)
    reason = f" ({event['reason']})" if event["reason"] else ""
    session.output.line(f"{event['id']} is {event['status']}{reason}.")
