"""The emulated AWS is exact under concurrency, keeps its data and never outlives its parent."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from chalicelib.events.worker import RECEIPTS
from infra.local.emulator import Emulator, EmulatorError
from infra.local.ports import free_port
from infra.local.resources import Resources, ensure_resources
from tests.integration.conftest import Aws, connect

CLIENTS = 32


@pytest.fixture
def own_emulator(tmp_path: Path) -> Iterator[Emulator]:
    """One that a test may kill."""
    emulator = Emulator(tmp_path, free_port())
    yield emulator
    emulator.stop()


def at_once(act: Callable[[int], bool], times: int) -> int:
    """How many of the concurrent calls returned true."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(act, range(times)))


def kill(emulator: Emulator) -> None:
    assert emulator.pid is not None
    os.kill(emulator.pid, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def text_of(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_conditional_update_under_32_clients_never_passes_the_limit(
    aws: Aws, resources: Resources
) -> None:
    table, key = resources.tables[1], {"pk": {"S": "c"}, "sk": {"S": "USAGE"}}

    def consume(_: int) -> bool:
        try:
            aws.dynamodb.update_item(
                TableName=table,
                Key=key,
                UpdateExpression="ADD used :one",
                ConditionExpression="attribute_not_exists(used) OR used <= :below",
                ExpressionAttributeValues={":one": {"N": "1"}, ":below": {"N": "99"}},
            )
        except aws.dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    assert at_once(consume, 400) == 100
    item = aws.dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    assert item["used"]["N"] == "100"


def test_transaction_under_32_clients_is_all_or_nothing_and_once_per_key(
    aws: Aws, resources: Resources
) -> None:
    table, counter = resources.tables[1], {"pk": {"S": "c"}, "sk": {"S": "USAGE"}}

    def report(number: int) -> bool:
        try:
            aws.dynamodb.transact_write_items(
                TransactItems=[
                    {
                        "Put": {
                            "TableName": resources.tables[2],
                            "Item": {"pk": {"S": f"IDEM#{number % 50}"}, "sk": {"S": "K"}},
                            "ConditionExpression": "attribute_not_exists(pk)",
                        }
                    },
                    {
                        "Update": {
                            "TableName": table,
                            "Key": counter,
                            "UpdateExpression": "ADD used :one",
                            "ExpressionAttributeValues": {":one": {"N": "1"}},
                        }
                    },
                ]
            )
        except aws.dynamodb.exceptions.TransactionCanceledException as error:
            reasons = [reason["Code"] for reason in error.response["CancellationReasons"]]
            assert reasons == ["ConditionalCheckFailed", "None"]
            return False
        return True

    assert at_once(report, 400) == 50
    item = aws.dynamodb.get_item(TableName=table, Key=counter, ConsistentRead=True)["Item"]
    assert item["used"]["N"] == "50"


def test_fifo_queue_keeps_order_inside_a_group_and_redrives_after_all_receipts(
    aws: Aws, resources: Resources, stage: str
) -> None:
    url = resources.queue_urls[f"paygrade-{stage}-sync.fifo"]
    dead = resources.queue_urls[f"paygrade-{stage}-sync-dlq.fifo"]
    for group, body in [("a", "a1"), ("a", "a2"), ("b", "b1")]:
        aws.sqs.send_message(
            QueueUrl=url, MessageBody=body, MessageGroupId=group, MessageDeduplicationId=body
        )

    def receive() -> list[str]:
        answer = aws.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0, VisibilityTimeout=30)
        return [message["Body"] for message in answer.get("Messages", [])]

    assert sorted(receive() + receive() + receive()) == ["a1", "b1"], "a2 waits for a1"

    poison = resources.queue_urls[f"paygrade-{stage}-converge.fifo"]
    aws.sqs.send_message(
        QueueUrl=poison, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="1"
    )
    for _ in range(RECEIPTS):
        answer = aws.sqs.receive_message(QueueUrl=poison, VisibilityTimeout=0)
        assert answer["Messages"][0]["Body"] == "x"
    assert "Messages" not in aws.sqs.receive_message(QueueUrl=poison, WaitTimeSeconds=0)
    dead = resources.queue_urls[f"paygrade-{stage}-converge-dlq.fifo"]
    assert aws.sqs.receive_message(QueueUrl=dead)["Messages"][0]["Body"] == "x"


def test_fifo_send_of_the_same_deduplication_id_is_delivered_once(
    aws: Aws, resources: Resources, stage: str
) -> None:
    url = resources.queue_urls[f"paygrade-{stage}-sync.fifo"]
    for _ in range(2):
        aws.sqs.send_message(
            QueueUrl=url, MessageBody="x", MessageGroupId="g", MessageDeduplicationId="same"
        )
    answer = aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    assert len(answer["Messages"]) == 1


def test_send_without_deduplication_id_is_refused(
    aws: Aws, resources: Resources, stage: str
) -> None:
    url = resources.queue_urls[f"paygrade-{stage}-sync.fifo"]
    with pytest.raises(ClientError):
        aws.sqs.send_message(QueueUrl=url, MessageBody="x", MessageGroupId="g")


def test_data_is_saved_without_a_stop_and_is_there_after_a_kill(
    own_emulator: Emulator, tmp_path: Path
) -> None:
    own_emulator.start()
    aws = connect(own_emulator.endpoint_url)
    made = ensure_resources(aws.dynamodb, aws.sqs, stage="local")
    aws.dynamodb.put_item(
        TableName=made.tables[0],
        Item={"pk": {"S": "kept-item"}, "sk": {"S": "b"}, "raw": {"B": b"\xff"}},
    )
    queue = "paygrade-local-sync.fifo"
    aws.sqs.send_message(
        QueueUrl=made.queue_urls[queue],
        MessageBody="kept-message",
        MessageGroupId="g",
        MessageDeduplicationId="1",
    )
    saved = tmp_path / "aws"
    assert wait_until(lambda: "kept-item" in text_of(saved / "dynamodb.json"))
    assert wait_until(lambda: "kept-message" in text_of(saved / "sqs.json"))

    kill(own_emulator)
    own_emulator.stop()
    own_emulator.start()

    again = ensure_resources(aws.dynamodb, aws.sqs, stage="local")
    assert again.queue_urls == made.queue_urls
    (item,) = aws.dynamodb.scan(TableName=made.tables[0])["Items"]
    assert item["raw"]["B"] == b"\xff"
    (message,) = aws.sqs.receive_message(QueueUrl=again.queue_urls[queue])["Messages"]
    assert message["Body"] == "kept-message"


def test_data_written_just_before_a_stop_is_there_after_restart(own_emulator: Emulator) -> None:
    own_emulator.start()
    aws = connect(own_emulator.endpoint_url)
    table = ensure_resources(aws.dynamodb, aws.sqs, stage="local").tables[0]
    aws.dynamodb.put_item(TableName=table, Item={"pk": {"S": "a"}, "sk": {"S": "b"}})

    own_emulator.stop()
    own_emulator.start()

    assert aws.dynamodb.scan(TableName=table)["Count"] == 1


def test_kill_of_the_parent_ends_the_emulator_with_its_state_saved(tmp_path: Path) -> None:
    port = free_port()
    code = (
        "import sys, time; from pathlib import Path; from infra.local.emulator import Emulator;"
        f"e = Emulator(Path({str(tmp_path)!r}), {port}); e.start();"
        "print(e.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child_pid = int(parent.stdout.readline())
    aws = connect(f"http://127.0.0.1:{port}")
    table = ensure_resources(aws.dynamodb, aws.sqs, stage="local").tables[0]

    parent.kill()
    parent.wait()
    parent.stdout.close()

    # At once, without a wait: the next emulator lets the last one finish saving.
    successor = Emulator(tmp_path, free_port())
    successor.start()
    try:
        tables = connect(successor.endpoint_url).dynamodb.list_tables()["TableNames"]
        assert table in tables
    finally:
        successor.stop()
    assert wait_until(lambda: not Path(f"/proc/{child_pid}").exists() and not accepts(port))


def test_start_without_its_environment_says_to_run_make(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="run `make"):
        Emulator(tmp_path, free_port(), tmp_path / "venv/bin/python").start()


def test_start_on_a_busy_port_fails_naming_it(emulator: Emulator, tmp_path: Path) -> None:
    port = int(emulator.endpoint_url.rpartition(":")[2])
    with pytest.raises(EmulatorError, match=f"Port {port} is in use"):
        Emulator(tmp_path, port).start()


def test_start_of_a_broken_emulator_fails_with_the_end_of_its_log(
    own_emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "aws" / ".lock").mkdir(parents=True)
    with pytest.raises(EmulatorError, match=r"(?s)ended with status 1.*IsADirectoryError"):
        own_emulator.start()
