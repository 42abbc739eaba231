"""Keys written straight to the store, for when there is none to call the API with."""

import os
import secrets
import uuid

from boto3.session import Session
from botocore.exceptions import BotoCoreError
from pynamodb.exceptions import PynamoDBException

from chalicelib import wiring
from chalicelib.domain.api_keys import ApiKey, KeyKind
from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import DomainError
from chalicelib.ports import Ports
from chalicelib.services.key_tokens import SECRET_BYTES
from chalicelib.services.manage_api_keys import ALL_SCOPES, PUBLISHABLE_SCOPES, create_api_key
from chalicelib.settings import SettingsError, stage
from infra.cli.errors import CliError

ACTOR = "cli:bootstrap"


def bootstrap_key(name: str, *, even_if_there_are_some: bool) -> tuple[str, str]:
    """The environment has a secret key that may do everything: its id and its text.

    Raises:
        CliError: The settings are wrong, the database can't be reached, or there are keys already.
    """
    try:
        ports = _ports()
        if not even_if_there_are_some and has_live_key(ports):
            raise CliError(
                f"The environment {ports.environment.name!r} has keys already: make more with"
                " `paygrade keys create`. If all are lost, repeat this with --another.",
                code="already_bootstrapped",
            )
        return create_key(ports, name, KeyKind.SECRET)
    except SettingsError as error:
        raise CliError(str(error), code="bad_settings", title="Bad settings") from error
    except DomainError as error:
        reason = f" {error.__cause__}" if error.__cause__ else ""
        raise CliError(error.detail + reason, code=error.code) from error
    except (PynamoDBException, BotoCoreError) as error:
        # No such table, no credentials, no permission: the stage or the account is another one.
        raise CliError(
            f"Could not use the tables of the environment {stage()!r}: {error}",
            code="store_unavailable",
        ) from error


def _ports() -> Ports:
    """As the functions have them, in the region that the deployer's other commands take: its profile's, too."""
    if not {"AWS_REGION", "AWS_DEFAULT_REGION"} & os.environ.keys():
        region = Session().region_name
        if region is not None:
            os.environ["AWS_REGION"] = region
    return wiring.ports()


def create_key(ports: Ports, name: str, kind: KeyKind) -> tuple[str, str]:
    """A new key of that kind with all it may have: its id and its text."""
    operation = str(uuid.uuid4())
    key, token = create_api_key(
        ports,
        Cause(actor=ACTOR, request_id=operation, operation_id=operation),
        name=name,
        kind=kind,
        scopes=ALL_SCOPES if kind is KeyKind.SECRET else PUBLISHABLE_SCOPES,
        entropy=secrets.token_bytes(SECRET_BYTES),
    )
    return key.id, token


def has_live_key(ports: Ports) -> bool:
    """Somebody can call this environment's API with a secret key."""
    cursor: str | None = None
    while True:
        page = ports.store.list_within(ApiKey, cursor=cursor)
        if any(key.kind is KeyKind.SECRET and key.revoked_at is None for key in page.items):
            return True
        cursor = page.next_cursor
        if cursor is None:
            return False
