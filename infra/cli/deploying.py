"""What the commands that deploy share: where to, and how a failure is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from infra.cli.errors import CliError
from infra.cli.session import Session

if TYPE_CHECKING:
    from infra.deploy.aws import Aws

ROOT: Final = Path(__file__).parents[2]

Stage = Annotated[
    str,
    typer.Option(
        "--stage", metavar="STAGE", help="The environment: a stage of .chalice/config.json."
    ),
]
Region = Annotated[
    str | None,
    typer.Option("--region", metavar="REGION", help="Also AWS_REGION, or the profile's."),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="Of the AWS credentials; also AWS_PROFILE."),
]
AlarmTopic = Annotated[
    str | None,
    typer.Option(
        "--alarm-topic",
        metavar="ARN",
        help="The SNS topic that alarms tell. Without it: as before.",
    ),
]


Webhook = Annotated[
    bool,
    typer.Option("--webhook/--no-webhook", help="See to the endpoint at Stripe, or leave it."),
]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Another deployment of this stage has died.")
]
SignEntitlements = Annotated[
    bool | None,
    typer.Option(
        "--sign-entitlements/--no-sign-entitlements",
        help="Whether there is a key that signs entitlement tokens. Without it: as before.",
    ),
]


@contextmanager
def deploying(stage: str, region: str | None, profile: str | None) -> "Iterator[Aws]":
    """The account that is deployed to; what fails there fails as the command line's errors do."""
    # Imported late: boto3 is more than most commands need.
    from infra.deploy.aws import aws_failures, connect  # noqa: PLC0415
    from infra.deploy.errors import DeployError  # noqa: PLC0415

    try:
        with aws_failures():
            yield connect(stage, region=region, profile=profile)
    except DeployError as error:
        raise CliError(str(error), code=error.code, title="Deployment failed") from error


def teller(session: Session) -> Callable[[str], None]:
    """Progress goes to stderr, whatever is asked for on stdout."""
    return session.output.note
