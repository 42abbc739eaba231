"""`paygrade stripe`: the account at Stripe that an environment works with, where it is connected by OAuth."""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from infra.cli.errors import CliError
from infra.cli.paths import path
from infra.cli.session import Session, command

app = typer.Typer(no_args_is_help=True, help="Connecting a Stripe account by OAuth.")

POLL_SECONDS: Final = 2.0
_WHERE: Final = ("integrations", "stripe")


@app.command("status")
@command
def status(session: Session) -> None:
    """Show whose Stripe account is worked with."""
    _show(session, session.api.get(path(*_WHERE)))


@app.command("connect")
@command
def connect(
    session: Session,
    *,
    wait: Annotated[
        bool, typer.Option(help="Wait until the account's owner has come back from Stripe.")
    ] = True,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to wait.")
    ] = 1800,
) -> None:
    """Print the URL at which the account's owner connects it, and wait until that is done."""
    before = session.api.get(path(*_WHERE))
    way = session.api.get(path(*_WHERE, "connect"))
    if not wait:
        session.output.data(way)
        session.output.line(way["url"])
        return
    session.output.note(
        f"Open this page as the owner of the Stripe account, until {way['expires_at']}:\n\n  {way['url']}\n"
    )
    deadline = time.monotonic() + timeout
    with session.output.waiting("Waiting for the owner to come back from Stripe ..."):
        now = before
        while now["status"] != "connected" or now["connected_at"] == before["connected_at"]:
            if time.monotonic() > deadline:
                raise CliError(
                    f"Nobody has come back within {timeout:g} s; the page stays open until"
                    f" {way['expires_at']}, and `paygrade stripe status` shows what became of it.",
                    code="timeout",
                )
            time.sleep(POLL_SECONDS)
            now = session.api.get(path(*_WHERE))
    _show(session, now)


@app.command("disconnect")
@command
def disconnect(
    session: Session,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End the connection. What is sold at Stripe goes on there, unseen, until it is connected again."""
    if not yes:
        shown = session.api.get(path(*_WHERE))
        typer.confirm(f"Disconnect {shown['account_id'] or 'Stripe'}?", abort=True, err=True)
    _show(session, session.api.delete(path(*_WHERE)))


def _show(session: Session, found: Mapping[str, Any]) -> None:
    session.output.data(found)
    if found["method"] == "key":
        session.output.line(f"Stripe is {_words(found)}, by the environment's own key.")
    else:
        who = found["account_id"] or "an account"
        session.output.line(f"{who} is {_words(found)}, by OAuth.")


def _words(found: Mapping[str, Any]) -> str:
    return str(found["status"]).replace("_", " ")
