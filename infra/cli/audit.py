"""`paygrade audit`: is the audit log what was written? Told here, from the entries themselves, not by the API."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from infra.cli.errors import FAILURE
from infra.cli.output import listed
from infra.cli.paths import path
from infra.cli.session import Session, command

app = typer.Typer(no_args_is_help=True, help="The audit log: who changed what.")

_EVERYTHING: Final = 10**9


@app.callback()
def root() -> None:
    """The audit log: who changed what."""


@app.command("verify")
@command
def verify(
    session: Session,
    entity: Annotated[
        str | None,
        typer.Option("--entity", metavar="KIND:ID", help="`plan:pro`; everything unless named."),
    ] = None,
) -> int:
    """Check that no entry was changed, removed or put in between since it was written.

    Exit code 0: every chain is whole. 1: one is broken. With --json each chain's last hash is printed: kept
    elsewhere, it also shows whether a later log has lost its newest entries.
    """
    entities = [entity] if entity is not None else sorted(_entities(session))
    chains = [_verified(session, one) for one in entities]
    session.output.data(listed(chains))
    broken = [chain for chain in chains if chain["broken"]]
    for chain in broken:
        for link in chain["broken"]:
            session.output.line(f"{chain['entity']}: entry {link['sequence']} {link['detail']}.")
    entries = sum(chain["entries"] for chain in chains)
    session.output.line(
        f"{len(chains)} chains with {entries} entries: {len(broken) or 'none'} broken."
    )
    return FAILURE if broken else 0


def _entities(session: Session) -> Iterator[str]:
    for one in session.api.items(path("audit_log", "entities"), _EVERYTHING):
        yield one["entity"]


def _verified(session: Session, entity: str) -> dict[str, Any]:
    from chalicelib.domain.audit_log import AuditEntry, broken_links  # noqa: PLC0415 -- starts fast

    newest_first = list(session.api.items(path("audit_log"), _EVERYTHING, entity=entity))
    fields = ("id", "entity", "action", "actor", "cause", "before", "after", "metadata")
    entries = [
        AuditEntry(
            **{name: shown[name] for name in fields},
            at=datetime.fromisoformat(shown["at"]),
            sequence=shown["sequence"],
            previous_hash=shown["previous_hash"],
            hash=shown["hash"],
        )
        for shown in reversed(newest_first)
    ]
    return {
        "entity": entity,
        "entries": len(entries),
        "last_hash": entries[-1].hash if entries else None,
        "broken": [
            {"sequence": link.sequence, "detail": link.detail}
            for link in broken_links(entity, entries)
        ],
    }
