"""The account that is deployed to, as the deployer's own credentials open it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy.errors import DeployError
from infra.deploy.place import Place


@dataclass(frozen=True, slots=True)
class Aws:
    """Clients of one account and region, and where the stage is in it."""

    session: boto3.Session
    place: Place

    def client(self, service: str) -> Any:
        """A client of that service (their stubs are not among our tools)."""
        return self.session.client(service)  # type: ignore[call-overload]


def connect(stage: str, *, region: str | None, profile: str | None) -> Aws:
    """The account of the credentials at hand.

    Raises:
        DeployError: There are none, or no region is named.
    """
    with aws_failures():
        session = boto3.Session(region_name=region, profile_name=profile)
        if session.region_name is None:
            raise DeployError("No region: name one with --region or AWS_REGION.", code="no_region")
        caller = session.client("sts").get_caller_identity()
    partition = caller["Arn"].split(":")[1]
    return Aws(session, Place(stage, caller["Account"], session.region_name, partition))


@contextmanager
def aws_failures() -> Iterator[None]:
    """What AWS refuses, and what keeps it from being asked, comes out as a `DeployError`."""
    try:
        yield
    except ClientError as error:
        raise DeployError(f"AWS refused {error.operation_name}: {message(error)}") from error
    except BotoCoreError as error:
        raise DeployError(str(error), code="aws_unreachable") from error


def code(error: ClientError) -> str:
    """Which error it is."""
    return error.response.get("Error", {}).get("Code", "")


def message(error: ClientError) -> str:
    """What AWS says about it."""
    return error.response.get("Error", {}).get("Message", "") or str(error)
