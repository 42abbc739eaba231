"""`paygrade infra`: the parts of a deployment, one by one."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from infra.cli.deploying import (
    ROOT,
    AlarmTopic,
    Profile,
    Region,
    SignEntitlements,
    Stage,
    TakeOver,
    Webhook,
    deploying,
    teller,
)
from infra.cli.errors import CliError
from infra.cli.session import Session, command

if TYPE_CHECKING:
    from infra.deploy.aws import Aws
    from infra.deploy.stack import Stack

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
    sign_entitlements: SignEntitlements = None,
    take_over: TakeOver = False,
) -> None:
    """Make or change the stack alone: tables, queues, alarms, dashboard, the key that signs entitlement tokens."""
    from infra.deploy.records import Records  # noqa: PLC0415

    tell = teller(session)
    with deploying(stage, region, profile) as aws, ExitStack() as held:
        tell(str(aws.place))
        records = Records(aws)
        if records.has_place():
            held.enter_context(records.locked(take_over=take_over))
        stack = stack_of(aws, tell, sign_entitlements=sign_entitlements)
        changes = stack.deploy(alarm_topic)
        signing_key = stack.outputs().get("SigningKeyArn")
    session.output.data(
        {"changes": [str(change) for change in changes], "signing_key": signing_key}
    )
    session.output.line(f"{len(changes)} resources changed." if changes else "Nothing differed.")
    if signing_key is not None:
        session.output.line(f"PAYGRADE_SIGNING_KEYS: {signing_key}")


@app.command("diff")
@command
def diff(
    session: Session,
    *,
    stage: Stage,
    region: Region = None,
    profile: Profile = None,
    alarm_topic: AlarmTopic = None,
    sign_entitlements: SignEntitlements = None,
) -> int:
    """Show what `infra deploy` would change; change nothing.

    Exit code 0: nothing differs. 2: something does. 1: it failed.
    """
    tell = teller(session)
    with deploying(stage, region, profile) as aws:
        tell(str(aws.place))
        changes = stack_of(aws, tell, sign_entitlements=sign_entitlements).diff(alarm_topic)
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
    webhook: Webhook = True,
    take_over: TakeOver = False,
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
        if not yes and typer.prompt(f"Type {stage!r} to end {aws.place}") != stage:
            raise CliError("Nothing was ended.", code="not_confirmed")
        endpoint = of_stage(aws, config) if webhook else None
        existed = end(
            ROOT,
            aws,
            teller(session),
            profile=profile,
            remove_webhook=None if endpoint is None else endpoint.remove,
            take_over=take_over,
        )
    session.output.data({"stage": stage, "destroyed": existed})
    session.output.line(
        f"{aws.place} is gone." if existed else f"There was nothing of {aws.place}."
    )


def stack_of(
    aws: "Aws", tell: Callable[[str], None], *, sign_entitlements: bool | None = None
) -> "Stack":
    """The stack with what the stage's configuration says of it, and what was chosen."""
    from infra.deploy.config import StageConfig  # noqa: PLC0415
    from infra.deploy.stack import Stack  # noqa: PLC0415

    parameters = StageConfig.read(ROOT, aws.place.stage).stack_parameters
    if sign_entitlements is not None:
        parameters["SignEntitlements"] = str(sign_entitlements).lower()
    return Stack(aws, tell, parameters=parameters)


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
        session.output.note(str(aws.place))
        text = typer.prompt(name, hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
        secrets.write(name, text.strip())
    session.output.data({"name": name, "kept": where})
    session.output.line(f"{name} is kept in {where}.")
