"""`paygrade dev`: all of Paygrade on this machine, in the foreground."""

import sys
from typing import Annotated

import typer

from infra.cli.connection import DEFAULT_STATE_DIR, Wanted
from infra.cli.errors import CliError
from infra.cli.output import Output
from infra.cli.session import AsJson, StateDir

CANNOT_START = 2
MAX_PORT = 65535


def dev(
    ctx: typer.Context,
    *,
    port: Annotated[
        int, typer.Option("--port", min=1, max=MAX_PORT, help="Where the API answers.")
    ] = 8000,
    stripe_port: Annotated[
        int,
        typer.Option("--stripe-port", min=1, max=MAX_PORT, help="Where the Stripe stand-in does."),
    ] = 8010,
    state_dir: StateDir = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget everything of earlier runs first.")
    ] = False,
    no_seed: Annotated[
        bool, typer.Option("--no-seed", help="Begin with an empty catalog.")
    ] = False,
    schedule_every: Annotated[
        float | None,
        typer.Option(
            "--schedule-every",
            min=0.1,
            metavar="SECONDS",
            help="Run every scheduled job this often. By default reconciliation runs each minute"
            " here, and each hour where it is deployed.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run everything on this machine until Ctrl-C: API, workers, schedules, emulated AWS, a Stripe stand-in.

    Data and keys stay in the state folder, so that the next start goes on where this one ended. With
    STRIPE_SECRET_KEY=sk_test_... it uses Stripe's test mode instead of the stand-in.
    """
    general = ctx.obj if isinstance(ctx.obj, Wanted) else Wanted()
    wanted = Wanted(state_dir=state_dir, as_json=as_json).over(general)
    output = Output(as_json=wanted.as_json)
    try:
        from infra.cli.local_run import Choices, run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        output.failure(
            CliError(
                f"The package {error.name!r} is not installed here: start with `make dev`, which"
                " installs all that the local stack needs.",
                code="not_installed",
                title="Cannot start",
            )
        )
        raise typer.Exit(CANNOT_START) from error
    choices = Choices(
        state_dir=wanted.state_dir or DEFAULT_STATE_DIR,
        port=port,
        stripe_port=stripe_port,
        fresh=fresh,
        seed=not no_seed,
        schedule_seconds=schedule_every,
    )
    code = run(choices, output, sys.stdout)
    if code:
        raise typer.Exit(code)
