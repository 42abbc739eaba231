"""The `paygrade` command. It starts fast: every command imports what it needs when it runs."""

from typing import Annotated

import typer

from infra.cli import (
    audit,
    catalog,
    customers,
    deploy,
    dev,
    events,
    keys,
    migrations,
    package,
    reconcile,
    stage,
    stripe_account,
)
from infra.cli.connection import Wanted
from infra.cli.session import PANEL, AsJson, StateDir

app = typer.Typer(
    name="paygrade",
    no_args_is_help=True,
    # Their frames would show what is in variables, keys included.
    pretty_exceptions_show_locals=False,
    help="Paygrade: monetization control plane. Run it here, or work with one that runs elsewhere.",
)
app.command("dev")(dev.dev)
app.add_typer(catalog.app, name="catalog")
app.add_typer(keys.app, name="keys")
app.add_typer(events.app, name="events")
app.add_typer(customers.app, name="customers")
app.add_typer(migrations.app, name="migrations")
app.add_typer(audit.app, name="audit")
app.add_typer(stripe_account.app, name="stripe")
app.command("reconcile")(reconcile.reconcile)
app.command("package")(package.package)
app.command("deploy")(deploy.deploy)
app.add_typer(stage.app, name="infra")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415

        print(version("paygrade"))
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    api_url: Annotated[
        str | None,
        typer.Option(
            "--api-url",
            envvar="PAYGRADE_API_URL",
            metavar="URL",
            rich_help_panel=PANEL,
            help="The API. Without it: the local stack that is running.",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            envvar="PAYGRADE_API_KEY",
            metavar="KEY",
            rich_help_panel=PANEL,
            help="A secret key of it. Without it: the local stack's.",
        ),
    ] = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Paygrade: monetization control plane. Run it here, or work with one that runs elsewhere."""
    del version
    ctx.obj = Wanted(api_url, api_key, state_dir, as_json)


def main() -> None:
    """The command line was carried out; the process ends with the command's exit code."""
    app()
