"""`paygrade infra`: the parts of a deployment, one by one."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from infra.cli.deploying import ROOT, AlarmTopic, Profile, Region, Stage, deploying, teller
from infra.cli.errors import CliError
from infra.cli.session import Session, command

app = typer.Typer(no_args_is_help=True, help="What a stage has in AWS: see it, make it, end it.")
DIFFERS: Final = 2


@app.command("deploy")
@command
def deploy(
    session: Session,
    *,
    stage: Stage,
    region: Region = None,
    profile: Profile = None,
    alarm_topic: AlarmTopic = None,
) -> None:
    """Make or change the stack alone: tables, queues, alarms, dashboard."""
    from infra.deploy.config import StageConfig  # noqa: PLC0415
    from infra.deploy.stack import Stack  # noqa: PLC0415

    with deploying(stage, region, profile) as aws:
        parameters = StageConfig.read(ROOT, stage).stack_parameters
        changes = Stack(aws, teller(session), parameters=parameters).deploy(alarm_topic)
    session.output.data({"changes": [str(change) for change in changes]})
    session.output.line(f"{len(changes)} resources changed." if changes else "Nothing differed.")


@app.command("diff")
@command
def diff(
    session: Session,
    *,
    stage: Stage,
    region: Region = None,
    profile: Profile = None,
    alarm_topic: AlarmTopic = None,
) -> int:
    """Show what `infra deploy` would change; change nothing.

    Exit code 0: nothing differs. 2: something does. 1: it failed.
    """
    from infra.deploy.config import StageConfig  # noqa: PLC0415
    from infra.deploy.stack import Stack  # noqa: PLC0415

    with deploying(stage, region, profile) as aws:
        parameters = StageConfig.read(ROOT, stage).stack_parameters
        changes = Stack(aws, teller(session), parameters=parameters).diff(alarm_topic)
    session.output.data({"changes": [str(change) for change in changes]})
    for change in changes:
        session.output.line(str(change))
    if not changes:
        session.output.line("Nothing differs.")
    return DIFFERS if changes else 0


@app.command("destroy")
@command
def destroy(
    session: Session,
    *,
    stage: Stage,
    region: Region = None,
    profile: Profile = None,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Also if there is data that would be lost.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End a stage: functions, API, alarms, queues, tables. Secrets stay where they are.

    It refuses while tables or queues hold anything, unless --delete-data says that it may be lost.
    """
    from infra.deploy.config import StageConfig  # noqa: PLC0415
    from infra.deploy.removal import data_of, refuse_live_data  # noqa: PLC0415
    from infra.deploy.removal import destroy as end  # noqa: PLC0415
    from infra.deploy.webhook import of_stage  # noqa: PLC0415

    with deploying(stage, region, profile) as aws:
        config = StageConfig.read(ROOT, stage)
        found = data_of(aws)
        if not delete_data:
            refuse_live_data(stage, found)
        for line in found:
            session.output.note(f"  {line}")
        if not yes and typer.prompt(f"Type {stage!r} to end it") != stage:
            raise CliError("Nothing was ended.", code="not_confirmed")
        webhook = of_stage(aws, config)
        end(
            ROOT,
            aws,
            teller(session),
            profile=profile,
            remove_webhook=None if webhook is None else webhook.remove,
        )
    session.output.data({"stage": stage, "destroyed": True})
    session.output.line(f"{stage} is gone.")


@app.command("policies")
@command
def policies(
    session: Session,
    *,
    stage: Stage,
    region: Region = None,
    profile: Profile = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The folder that Chalice looks into.")
    ] = ROOT / ".chalice",
) -> None:
    """Write each function's IAM policy for this stage's account, as plain `chalice deploy` wants them."""
    from infra.deploy.config import StageConfig  # noqa: PLC0415
    from infra.deploy.policies import write_policies  # noqa: PLC0415

    with deploying(stage, region, profile) as aws:
        config = StageConfig.read(ROOT, stage)
        written = write_policies(out, aws.place, config.variables, xray=config.xray)
    session.output.data({"files": [str(path) for path in written]})
    for path in written:
        session.output.line(str(path))


@app.command("secret")
@command
def secret(
    session: Session,
    name: Annotated[
        str, typer.Argument(help="The setting, e.g. STRIPE_SECRET_KEY or STRIPE_WEBHOOK_SECRETS.")
    ],
    *,
    stage: Stage,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Keep a secret where the stage's settings say: typed without echo, or from standard input.

    The functions take the new one within five minutes, without a deploy.
    """
    from infra.deploy.config import StageConfig  # noqa: PLC0415
    from infra.deploy.secrets import Secrets  # noqa: PLC0415

    with deploying(stage, region, profile) as aws:
        config = StageConfig.read(ROOT, stage)
        secrets = Secrets(aws, config.variables, live=config.live)
        where = secrets.where(name)
        text = typer.prompt(name, hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
        secrets.write(name, text.strip())
    session.output.data({"name": name, "kept": where})
    session.output.line(f"{name} is kept in {where}.")
