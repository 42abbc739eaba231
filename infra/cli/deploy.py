"""`paygrade deploy`: a stage, from the checkout to AWS."""

from typing import Annotated

import typer

from infra.cli.deploying import (
    ROOT,
    AlarmTopic,
    Profile,
    Region,
    Stage,
    TakeOver,
    Webhook,
    deploying,
    teller,
)
from infra.cli.session import Session, command


@command
def deploy(  # noqa: PLR0913 -- every option of the command
    session: Session,
    *,
    stage: Stage,
    region: Region = None,
    profile: Profile = None,
    alarm_topic: AlarmTopic = None,
    stack: Annotated[
        bool,
        typer.Option(
            "--stack/--no-stack",
            help="Bring the stack to this checkout's template, or leave it: for the way back.",
        ),
    ] = True,
    webhook: Webhook = True,
    smoke: Annotated[
        bool, typer.Option("--smoke/--no-smoke", help="Ask the deployed API whether it is alive.")
    ] = True,
    take_over: TakeOver = False,
) -> None:
    """Bring a stage to AWS: tables and queues, package, functions, webhook; then look whether it lives.

    Repeat it whenever you like: it changes what differs, and goes on from wherever an earlier run failed. Two people
    at once are kept apart. See infra/docs/deploy.md.
    """
    from infra.deploy.deployment import Deployment, Options  # noqa: PLC0415

    options = Options(
        alarm_topic=alarm_topic, stack=stack, webhook=webhook, smoke=smoke, take_over=take_over
    )
    with deploying(stage, region, profile) as aws:
        report = Deployment(ROOT, aws, options, teller(session), profile=profile).run()
    session.output.data(
        {
            "stage": report.stage,
            "account": report.account,
            "region": report.region,
            "url": report.url,
            "steps": [{"name": step.name, "changes": step.changes} for step in report.steps],
        }
    )
    session.output.line(f"{report.stage} is at {report.url} ({report.account}, {report.region})")
    session.output.table(
        ("step", "changed"),
        [(step.name, "; ".join(step.changes) or "nothing") for step in report.steps],
        empty="",
    )
