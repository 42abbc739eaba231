"""`paygrade migrations`: subscribers on their way to a newly published version."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from infra.cli.errors import FAILURE, CliError
from infra.cli.output import listed
from infra.cli.paths import path
from infra.cli.session import Session, command

app = typer.Typer(no_args_is_help=True, help="Moving subscribers to newly published versions.")

POLL_SECONDS: Final = 1.0
MigrationId = Annotated[str, typer.Argument(metavar="ID", help="mig_...")]


@app.command("list")
@command
def list_migrations(
    session: Session,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 20,
) -> None:
    """List migrations, newest first."""
    runs = list(session.api.items(path("migrations"), limit))
    session.output.data(listed(runs))
    session.output.table(
        ("id", "package", "to", "status", "moved", "scheduled", "skipped", "failed", "started"),
        [
            (
                run["id"],
                f"{run['package_type']}:{run['package_id']}",
                run["to_version"],
                run["status"],
                *(run["counts"][name] for name in ("moved", "scheduled", "skipped", "failed")),
                run["started_at"],
            )
            for run in runs
        ],
        empty="There are no migrations.",
    )


@app.command("show")
@command
def show(session: Session, migration_id: MigrationId) -> int:
    """Show how far a migration is. Exit code 1: it failed for some subscribers."""
    return _report(session, session.api.get(path("migrations", migration_id)))


@app.command("watch")
@command
def watch(
    session: Session,
    migration_id: MigrationId,
    *,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to wait.")
    ] = 3600,
) -> int:
    """Wait until a migration has ended, and show it. Exit code 1: it failed for some subscribers."""
    deadline = time.monotonic() + timeout
    with session.output.waiting(f"Moving subscribers ({migration_id}) ..."):
        run = session.api.get(path("migrations", migration_id))
        while run["status"] == "running":
            if time.monotonic() > deadline:
                raise CliError(
                    f"{migration_id} is still running after {timeout:g} s; it goes on without us.",
                    code="timeout",
                )
            time.sleep(POLL_SECONDS)
            run = session.api.get(path("migrations", migration_id))
    return _report(session, run)


def _report(session: Session, run: Mapping[str, Any]) -> int:
    output = session.output
    output.data(run)
    package = f"{run['package_type']}:{run['package_id']}"
    output.line(
        f"{run['id']} {run['status']}: {package} to version {run['to_version']}, {run['effective']}"
    )
    for name, count in run["counts"].items():
        output.line(f"  {name}: {count}")
    if run["error"]:
        output.line(f"Waits until {run['retry_at']}: {run['error']}")
    output.table(
        ("customer", "subscription", "code", "why"),
        [
            (failure["customer_id"], failure["subscription_id"], failure["code"], failure["detail"])
            for failure in run["failures"]
        ],
        empty="",
    )
    return FAILURE if run["status"] == "failed" else 0
