"""The `Queue` port on SQS FIFO queues."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from chalicelib.adapters.hot_client import ODD, HotClient, UnexpectedError
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.ports import Ids, Message, Monitor, QueueDepth, QueueName

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html (MessageGroupId)
_GROUP: Final = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")


def queue_name(stage: str, queue: QueueName) -> str:
    """What infra/template.yaml calls the queue."""
    return f"paygrade-{stage}-{queue}.fifo"


def dead_letters_name(stage: str, queue: QueueName) -> str:
    """What infra/template.yaml calls the queue of what the queue's function could not do."""
    return f"paygrade-{stage}-{queue}-dlq.fifo"


class SqsQueue:
    """The queues of one environment."""

    def __init__(
        self,
        *,
        stage: str,
        region: str,
        endpoint_url: str | None,
        ids: Ids,
        hot_client: HotClient | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        """No request is made. With `hot_client` messages go by hand-signed calls, or else by botocore.

        The monitor is told whenever it is botocore that sends after all.
        """
        self._hot_client = hot_client
        self._monitor = monitor
        self._stage = stage
        self._region = region
        self._endpoint_url = endpoint_url
        self._ids = ids
        self._urls: dict[str, str] = {}

    @cached_property
    def _client(self) -> "SQSClient":
        from boto3.session import Session  # noqa: PLC0415 -- checks never send anything
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            connect_timeout=1, read_timeout=4, retries={"total_max_attempts": 3, "mode": "standard"}
        )
        # A session of its own: making clients of the shared one is not safe in threads.
        return Session().client(
            "sqs", region_name=self._region, endpoint_url=self._endpoint_url, config=config
        )

    def send(self, message: Message) -> None:
        """The message will be delivered, after earlier ones of its group.

        Whatever fails, a wrong queue name and a missing permission too: the work is in the store already, and the
        sweep sends it again until somebody has mended the cause.
        """
        request: dict[str, Any] = {
            "MessageBody": json.dumps(dict(message.body)),
            "MessageGroupId": _group(message.group),
            # Never equal: the sweep must be able to send the same work again within SQS's 5 minutes.
            "MessageDeduplicationId": self._ids.new(""),
        }
        if self._sent_quickly(message.queue, request):
            return
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            # If the quick way was taken after all, SQS knows it by the same id and delivers it once.
            self._client.send_message(QueueUrl=self._url(message.queue), **request)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailableError("The queue did not take the message.") from error

    def postpone(self, queue: QueueName, receipt: str, seconds: int) -> None:
        """See `Queue`. Whatever fails is told to the monitor: the message comes again in any case."""
        request: dict[str, str | int] = {"ReceiptHandle": receipt, "VisibilityTimeout": seconds}
        try:
            if self._hot_client is not None:
                url = self._found_quickly(self._hot_client, queue)
                _call(self._hot_client, "ChangeMessageVisibility", QueueUrl=url, **request)
                return
        except UnexpectedError as error:
            self._tell("message_not_postponed", str(error))
            return
        except ODD:
            self._tell("message_not_postponed", "odd_answer")
            return
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            self._client.change_message_visibility(
                QueueUrl=self._url(queue), ReceiptHandle=receipt, VisibilityTimeout=seconds
            )
        except (BotoCoreError, ClientError) as error:
            self._tell("message_not_postponed", type(error).__name__)

    def _sent_quickly(self, queue: QueueName, request: Mapping[str, Any]) -> bool:
        """Whether SQS has said so; making a client of botocore's takes longer than a worker's whole answer."""
        if self._hot_client is None:
            return False
        try:
            url = self._found_quickly(self._hot_client, queue)
            sent = _call(self._hot_client, "SendMessage", QueueUrl=url, **request)
            return bool(sent["MessageId"])
        except UnexpectedError as error:
            self._tell("hot_send_fell_back", str(error))
        except ODD:
            self._tell("hot_send_fell_back", "odd_answer")
        return False

    def _found_quickly(self, client: HotClient, queue: QueueName) -> str:
        name = queue_name(self._stage, queue)
        if name not in self._urls:
            self._urls[name] = _call(client, "GetQueueUrl", QueueName=name)["QueueUrl"]
        return self._urls[name]

    def _tell(self, event: str, why: str) -> None:
        if self._monitor is not None:
            self._monitor.event(event, why=why)

    def depths(self) -> dict[QueueName, QueueDepth]:
        """What every queue and its dead letters hold, as near as SQS knows."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            return {
                queue: QueueDepth(
                    waiting=self._count(queue_name(self._stage, queue)),
                    dead=self._count(dead_letters_name(self._stage, queue)),
                )
                for queue in QueueName
            }
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailableError("The queues do not tell what they hold.") from error

    def _count(self, name: str) -> int:
        answer = self._client.get_queue_attributes(
            QueueUrl=self._url_of(name),
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        return sum(int(count) for count in answer["Attributes"].values())

    def _url(self, queue: QueueName) -> str:
        return self._url_of(queue_name(self._stage, queue))

    def _url_of(self, name: str) -> str:
        if name not in self._urls:
            self._urls[name] = self._client.get_queue_url(QueueName=name)["QueueUrl"]
        return self._urls[name]


def _call(client: HotClient, operation: str, **request: str | int) -> Any:  # noqa: ANN401 -- JSON
    return client.call(operation, json.dumps(request).encode())


def _group(name: str) -> str:
    return name if _GROUP.fullmatch(name) else hashlib.sha256(name.encode()).hexdigest()
