"""What each function may do: one table, from which the policy of every function in every stage is made.

Chalice takes policies as static files, and resources without wildcards hold account, region and stage: so the files
are made when these are known, by `paygrade deploy` and `paygrade infra policies`. A test runs every function over
emulated AWS and holds its requests against this table, both ways (tests/integration/cloud/test_policies.py).

Rights come in units, not single actions: who may put items of a table may overwrite each of them, so that being
allowed to delete or to check one adds nothing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chalicelib.adapters.dynamodb.keys import Table, table_name
from chalicelib.adapters.sqs import dead_letters_name, queue_name
from chalicelib.ports import QueueName
from chalicelib.settings import SECRETS_MANAGER_PREFIX, SSM_PREFIX
from infra.deploy.errors import DeployError
from infra.deploy.keys import SECRETS_KEYS, SIGNING_KEYS, stage_keys
from infra.deploy.place import API_FUNCTION, Place

INDEX: Final = "by_index"
READ: Final = ("dynamodb:GetItem", "dynamodb:Query")
FIND: Final = ("dynamodb:Query",)
CHANGE: Final = (
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:DeleteItem",
    "dynamodb:ConditionCheckItem",
)
SEND: Final = ("sqs:GetQueueUrl", "sqs:SendMessage")
MEASURE: Final = ("sqs:GetQueueUrl", "sqs:GetQueueAttributes")
# Used by Lambda's poller in the function's name, never by the function itself.
WORK_OFF: Final = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
# When a message of its queue comes again.
POSTPONE: Final = ("sqs:GetQueueUrl", "sqs:ChangeMessageVisibility")
LOG: Final = ("logs:CreateLogStream", "logs:PutLogEvents")
TRACE: Final = ("xray:PutTraceSegments", "xray:PutTelemetryRecords")

STRIPE_KEY: Final = "STRIPE_SECRET_KEY"
WEBHOOK_SECRETS: Final = "STRIPE_WEBHOOK_SECRETS"
TOKEN_SECRETS: Final = "PAYGRADE_TOKEN_SECRETS"  # noqa: S105 -- where they are, none itself
SIGN: Final = ("kms:Sign", "kms:GetPublicKey")
DECRYPT: Final = ("kms:Decrypt",)
# What SSM and Secrets Manager tell KMS of whatever they have it decrypt. Held to it, a right to use a key is one to
# read just these secrets, whatever else is under that key.
PARAMETER_CONTEXT: Final = "kms:EncryptionContext:PARAMETER_ARN"
SECRET_CONTEXT: Final = "kms:EncryptionContext:SecretARN"  # noqa: S105 -- the name of a condition

_CATALOG, _CUSTOMERS, _OPERATIONS = Table.CATALOG, Table.CUSTOMERS, Table.OPERATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """What one function may do. Secrets are named by the setting that refers to them."""

    reads: tuple[Table, ...] = ()
    finds: tuple[Table, ...] = ()
    changes: tuple[Table, ...] = ()
    sends: tuple[QueueName, ...] = ()
    works_off: QueueName | None = None
    measures: tuple[QueueName, ...] = ()
    secrets: tuple[str, ...] = ()
    signs: bool = False


GRANTS: Final[Mapping[str, Grants]] = {
    API_FUNCTION: Grants(
        reads=(_CATALOG, _CUSTOMERS, _OPERATIONS),
        finds=(_CUSTOMERS, _OPERATIONS),
        changes=(_CATALOG, _CUSTOMERS, _OPERATIONS),
        sends=(
            QueueName.SYNC,
            QueueName.CONVERGE,
            QueueName.RECONCILE,
            QueueName.MIGRATE,
            QueueName.DELIVER,
        ),
        measures=tuple(QueueName),
        secrets=(STRIPE_KEY, WEBHOOK_SECRETS, TOKEN_SECRETS),
        signs=True,
    ),
    "sync": Grants(
        reads=(_CATALOG, _OPERATIONS),
        changes=(_CATALOG, _CUSTOMERS, _OPERATIONS),
        sends=(QueueName.DELIVER,),
        works_off=QueueName.SYNC,
        secrets=(STRIPE_KEY,),
    ),
    "converge": Grants(
        reads=(_CATALOG, _CUSTOMERS, _OPERATIONS),
        changes=(_CUSTOMERS, _OPERATIONS),
        sends=(QueueName.DELIVER,),
        works_off=QueueName.CONVERGE,
        secrets=(STRIPE_KEY,),
    ),
    "start_reconcile": Grants(
        reads=(_OPERATIONS,), changes=(_OPERATIONS,), sends=(QueueName.RECONCILE,)
    ),
    "reconcile": Grants(
        reads=(_CATALOG, _CUSTOMERS, _OPERATIONS),
        finds=(_CUSTOMERS, _OPERATIONS),
        changes=(_CATALOG, _CUSTOMERS, _OPERATIONS),
        sends=(QueueName.SYNC, QueueName.CONVERGE, QueueName.RECONCILE, QueueName.DELIVER),
        works_off=QueueName.RECONCILE,
        secrets=(STRIPE_KEY,),
    ),
    "migrate": Grants(
        reads=(_CATALOG, _CUSTOMERS, _OPERATIONS),
        changes=(_CUSTOMERS, _OPERATIONS),
        sends=(QueueName.MIGRATE, QueueName.DELIVER),
        works_off=QueueName.MIGRATE,
        secrets=(STRIPE_KEY,),
    ),
    "deliver": Grants(
        reads=(_CATALOG, _CUSTOMERS, _OPERATIONS),
        changes=(_CUSTOMERS, _OPERATIONS),
        sends=(QueueName.DELIVER,),
        works_off=QueueName.DELIVER,
    ),
    "sweep_outbox": Grants(
        reads=(_CATALOG, _CUSTOMERS, _OPERATIONS),
        finds=(_OPERATIONS,),
        changes=(_CATALOG, _OPERATIONS),
        sends=(QueueName.SYNC, QueueName.CONVERGE, QueueName.MIGRATE, QueueName.DELIVER),
        secrets=(STRIPE_KEY,),
    ),
}


def file_name(stage: str, function: str) -> str:
    """What .chalice/config.json calls the policy of this function."""
    return f"policy-{stage}-{function}.json"


def policy(
    place: Place, function: str, settings: Mapping[str, str], *, xray: bool = False
) -> dict[str, Any]:
    """The policy document. `settings` are the stage's environment variables: they say where secrets are.

    Raises:
        DeployError: The table has no line for the function, or a setting names what is no KMS key.
    """
    if function not in GRANTS:
        raise DeployError(
            f"The function {function!r} has no policy: say in infra/deploy/policies.py what it may do."
        )
    statements = list(_statements(place, function, GRANTS[function], settings))
    if xray:
        # X-Ray knows no resources: the one place where there is nothing narrower to say.
        statements.append(_allow(TRACE, "*"))
    return {"Version": "2012-10-17", "Statement": statements}


def write_policies(
    folder: Path, place: Place, settings: Mapping[str, str], *, xray: bool = False
) -> list[Path]:
    """Every function's policy of the stage is a file in the folder; which ones."""
    written = []
    for function in GRANTS:
        path = folder / file_name(place.stage, function)
        document = policy(place, function, settings, xray=xray)
        path.write_text(json.dumps(document, indent=2) + "\n")
        written.append(path)
    return written


def _statements(
    place: Place, function: str, grants: Grants, settings: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    def tables(wanted: tuple[Table, ...]) -> list[str]:
        return [place.arn("dynamodb", f"table/{table_name(place.stage, one)}") for one in wanted]

    def queues(wanted: tuple[QueueName, ...]) -> list[str]:
        return [place.arn("sqs", queue_name(place.stage, one)) for one in wanted]

    def dead_letters(wanted: tuple[QueueName, ...]) -> list[str]:
        return [place.arn("sqs", dead_letters_name(place.stage, one)) for one in wanted]

    # The streams' names are Lambda's choice: what comes after the group's name can't be known.
    group = f"log-group:/aws/lambda/{place.function_name(function)}:*"
    yield _allow(LOG, place.arn("logs", group))
    for actions, resources in (
        (READ, tables(grants.reads)),
        (FIND, [f"{table}/index/{INDEX}" for table in tables(grants.finds)]),
        (CHANGE, tables(grants.changes)),
        (SEND, queues(grants.sends)),
        (WORK_OFF, queues((grants.works_off,)) if grants.works_off else []),
        (POSTPONE, queues((grants.works_off,)) if grants.works_off else []),
        (MEASURE, [*queues(grants.measures), *dead_letters(grants.measures)]),
    ):
        if resources:
            yield _allow(actions, *resources)
    signing_keys = _keys(place, SIGNING_KEYS, settings)
    if grants.signs and signing_keys:
        yield _allow(SIGN, *signing_keys)
    yield from _secrets(place, grants, settings)


def _secrets(place: Place, grants: Grants, settings: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The function reads its secrets, and has the stage's own keys open them if there are any.

    The account's own keys of the two services open for everybody who may read the secret.
    """
    parameters, others = [], []
    for name in grants.secrets:
        setting = settings.get(name, "")
        if setting.startswith(SSM_PREFIX):
            path = setting.removeprefix(SSM_PREFIX).lstrip("/")
            parameters.append(place.arn("ssm", f"parameter/{path}"))
        elif setting.startswith(SECRETS_MANAGER_PREFIX):
            secret = setting.removeprefix(SECRETS_MANAGER_PREFIX)
            # Secrets Manager ends each ARN with six characters of its own.
            others.append(place.arn("secretsmanager", f"secret:{secret}-??????"))
    for parameter in parameters:
        yield _allow(("ssm:GetParameter",), parameter)
    for other in others:
        yield _allow(("secretsmanager:GetSecretValue",), other)
    keys = _keys(place, SECRETS_KEYS, settings)
    if keys and parameters:
        yield _allow(DECRYPT, *keys) | {
            "Condition": {"StringEquals": {PARAMETER_CONTEXT: parameters}}
        }
    if keys and others:
        yield _allow(DECRYPT, *keys) | {"Condition": {"StringLike": {SECRET_CONTEXT: others}}}


def _keys(place: Place, name: str, settings: Mapping[str, str]) -> list[str]:
    """ARNs of the KMS keys that the setting names."""
    named = stage_keys(name, settings)
    return [key if key.startswith("arn:") else place.arn("kms", f"key/{key}") for key in named]


def _allow(actions: tuple[str, ...], *resources: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
