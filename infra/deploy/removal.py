"""`paygrade infra destroy`: a stage and all it holds, gone; never by accident."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.adapters.dynamodb.keys import Table, table_name
from chalicelib.adapters.sqs import dead_letters_name, queue_name
from chalicelib.ports import QueueName
from infra.deploy.aws import Aws, aws_failures, code
from infra.deploy.chalice_run import CHALICE, run_chalice
from infra.deploy.config import StageConfig
from infra.deploy.errors import DeployError
from infra.deploy.functions import refuse_functions_of_a_stack
from infra.deploy.policies import GRANTS
from infra.deploy.records import Records, write
from infra.deploy.recovery import recovered
from infra.deploy.stack import Stack, Tell

_ABSENT = (
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
)


def data_of(aws: Aws) -> list[str]:
    """What would be lost: tables that hold something and queues with work, in words."""
    dynamodb, sqs = aws.client("dynamodb"), aws.client("sqs")
    found: list[str] = []
    with aws_failures():
        for table in _tables(aws):
            answer = _unless_absent(lambda name=table: dynamodb.scan(TableName=name, Limit=1))  # type: ignore[misc]
            if answer is not None and answer["Count"]:
                found.append(f"table {table} holds data")
        for queue in _queues(aws):
            url = _queue_url(sqs, queue)
            if url is not None and (waiting := _waiting(sqs, url)):
                found.append(f"queue {queue} holds {waiting} messages")
    return found


def destroy(
    root: Path,
    aws: Aws,
    tell: Tell,
    *,
    profile: str | None = None,
    command: Sequence[str] = CHALICE,
    poll_seconds: float = 2.0,
    remove_webhook: Callable[[], Sequence[str]] | None = None,
    take_over: bool = False,
) -> bool:
    """Nothing of the stage is left in AWS but its secrets; whether there was anything. Repeating it finishes it.

    Whether that may be is the caller's to decide: what is deleted here can be had back from no backup, but for tables
    from DynamoDB's own, which AWS keeps for 35 days after the deletion.

    Raises:
        DeployError: Somebody deploys it at this moment, it is in another region, or a part could not be deleted.
    """
    with aws_failures(), ExitStack() as held:
        records = Records(aws)
        has_place = records.has_place()
        if has_place:
            held.enter_context(records.locked(take_over=take_over))
        refuse_functions_of_a_stack(aws)
        if remove_webhook is not None:
            for line in remove_webhook():
                tell(f"  {line}")
        stack = Stack(aws, tell, poll_seconds=poll_seconds)
        has_stack = stack.state() is not None
        if has_stack:
            _delete_functions(root, aws, records, tell, profile, command)
        tell("stack ...")
        stack.delete()
        tell("tables, queues and the record of deployments ...")
        has_data = _delete_data(aws)
        if has_place:
            # Last, as the lock is in it.
            _delete_bucket(aws)
    return has_place or has_stack or has_data


def _delete_functions(
    root: Path,
    aws: Aws,
    records: Records,
    tell: Tell,
    profile: str | None,
    command: Sequence[str],
) -> None:
    place = aws.place
    path = root / ".chalice" / "deployed" / f"{place.stage}.json"
    gateway_stage = StageConfig.read(root, place.stage).gateway_stage
    record = recovered(aws, records.restore(path), GRANTS, gateway_stage)
    if not record:
        return
    tell("functions ...")
    write(path, record)
    run_chalice("delete", root, aws.place, tell, profile=profile, command=command)
    path.unlink(missing_ok=True)


def _delete_data(aws: Aws) -> bool:
    """Tables, queues and logs are gone; whether there were tables or queues."""
    dynamodb, sqs, logs = aws.client("dynamodb"), aws.client("sqs"), aws.client("logs")
    has_data = False
    for table in _tables(aws):
        found = _unless_absent(lambda name=table: dynamodb.describe_table(TableName=name))  # type: ignore[misc]
        if found is None or found["Table"]["TableStatus"] == "DELETING":
            continue
        has_data = True
        if found["Table"].get("DeletionProtectionEnabled"):
            dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
            dynamodb.get_waiter("table_exists").wait(TableName=table)
        dynamodb.delete_table(TableName=table)
    for queue in _queues(aws):
        url = _queue_url(sqs, queue)
        if url is not None:
            has_data = True
            sqs.delete_queue(QueueUrl=url)
    for function in GRANTS:
        group = f"/aws/lambda/{aws.place.function_name(function)}"
        _unless_absent(lambda name=group: logs.delete_log_group(logGroupName=name))  # type: ignore[misc]
    return has_data


def _delete_bucket(aws: Aws) -> None:
    s3 = aws.client("s3")
    try:
        pages = s3.get_paginator("list_object_versions").paginate(Bucket=aws.place.bucket)
        for page in pages:
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                s3.delete_object(
                    Bucket=aws.place.bucket, Key=one["Key"], VersionId=one["VersionId"]
                )
        s3.delete_bucket(Bucket=aws.place.bucket)
    except ClientError as error:
        if code(error) not in ("NoSuchBucket", "404"):
            raise


def _tables(aws: Aws) -> list[str]:
    return [table_name(aws.place.stage, table) for table in Table]


def _queues(aws: Aws) -> list[str]:
    stage = aws.place.stage
    return [name(stage, queue) for name in (queue_name, dead_letters_name) for queue in QueueName]


def _queue_url(sqs: Any, name: str) -> str | None:
    found = _unless_absent(lambda: sqs.get_queue_url(QueueName=name))
    return None if found is None else str(found["QueueUrl"])


def _waiting(sqs: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(count) for count in answer["Attributes"].values())


def _unless_absent(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except ClientError as error:
        if code(error) in _ABSENT:
            return None
        raise


def refuse_live_data(stage: str, found: Sequence[str]) -> None:
    """Raises `DeployError` if there is any: it takes an option of its own to lose it."""
    if found:
        raise DeployError(
            f"The stage {stage!r} holds data:\n"
            + "\n".join(f"  {line}" for line in found)
            + "\nRepeat this with --delete-data if it may be lost.",
            code="live_data",
        )
