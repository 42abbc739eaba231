"""`paygrade reconcile`: a comparison with the billing providers, now, and what it found."""

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from infra.cli.errors import FAILURE, CliError
from infra.cli.paths import path
from infra.cli.session import Session, command

DRIFT_FOUND: Final = 2
POLL_SECONDS: Final = 0.5


class Policy(StrEnum):
    """What is done about drift of a provider's catalog."""

    RESTORE = "restore"
    REPORT = "report"


@command
def reconcile(
    session: Session,
    *,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the end and print the report.")
    ] = True,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to wait.")
    ] = 600,
    policy: Annotated[
        Policy | None,
        typer.Option(
            "--policy", help="Restore what differs in a provider's catalog, or only report it."
        ),
    ] = None,
) -> int:
    """Compare everything with the billing providers and repair what differs.

    Exit code 0: no drift. 2: drift was found, or is left from an earlier run (the report says what was
    repaired). 1: it failed.
    """
    body = None if policy is None else {"policy": policy.value}
    run = session.api.post(path("reconciliations"), body)
    if policy is not None and run["policy"] != policy.value:
        raise CliError(
            f"{run['id']} was under way already, with the policy '{run['policy']}'; try again when it has ended.",
            code="policy_differs",
        )
    if not wait:
        session.output.data(run)
        session.output.line(f"{run['id']} is {run['status']}.")
        return 0
    with session.output.waiting(f"Comparing ({run['id']}) ..."):
        run = _finished(session, run, timeout)
    session.output.data(run)
    _print_report(session, run)
    if run["status"] != "succeeded":
        return FAILURE
    found = run["drifts"] or run["drifts_omitted"] or run["standing"]
    return DRIFT_FOUND if found else 0


def _finished(session: Session, run: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_seconds
    while run["status"] == "running":
        if time.monotonic() > deadline:
            raise CliError(
                f"{run['id']} is still running after {timeout_seconds:g} s; it goes on without us.",
                code="timeout",
            )
        time.sleep(POLL_SECONDS)
        run = session.api.get(path("reconciliations", run["id"]))
    return run


def _nothing(run: Mapping[str, Any]) -> str:
    if run["status"] != "succeeded":
        return ""
    return "No new drift." if run["standing"] else "No drift."


def _print_report(session: Session, run: Mapping[str, Any]) -> None:
    output = session.output
    output.line(f"{run['id']} {run['status']}: {run['started_at']} to {run['finished_at']}")
    for name, count in sorted(run["counts"].items()):
        output.line(f"  {name}: {count}")
    if run["error"]:
        output.line(f"Error: {run['error']}")
    output.table(
        ("drift", "entity", "ours", "theirs", "action"),
        [
            (drift["kind"], drift["entity"], drift["ours"], drift["theirs"], drift["action"])
            for drift in run["drifts"]
        ],
        empty=_nothing(run),
    )
    if run["standing"]:
        output.line("Reported before, and still so:")
        output.table(
            ("drift", "entity", "ours", "theirs"),
            [
                (drift["kind"], drift["entity"], drift["ours"], drift["theirs"])
                for drift in run["standing"]
            ],
            empty="",
        )
    if run["drifts_omitted"]:
        output.line(f"... and {run['drifts_omitted']} more.")
