"""A deployed stage, seen from outside: its URL, its functions, its queues, its schedules."""

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx

from chalicelib import settings, wiring
from chalicelib.domain.api_keys import KeyKind
from chalicelib.domain.audit_log import Cause
from chalicelib.services.manage_api_keys import ALL_SCOPES, create_api_key
from infra.local.environment import STAND_IN_KEY, aws_variables, variables
from infra.local.lambda_events import scheduled_event
from tests.integration.conftest import Aws
from tests.integration.deploy.checkout import Checkout


@dataclass
class Cloud:
    """What runs of a checkout."""

    checkout: Checkout
    aws: Aws
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.functions = self._client("lambda")
        self.events = self._client("events")
        self.iam = self._client("iam")
        self.gateway = self._client("apigateway")
        self.token = self._new_token()
        self.api = httpx.Client(
            base_url=f"{self.url}/v1",
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=40,
        )
        self.stripe = httpx.Client(
            base_url=self.checkout.variables["STRIPE_API_BASE"],
            headers={"Authorization": f"Bearer {STAND_IN_KEY}"},
            timeout=40,
        )

    def close(self) -> None:
        self.api.close()
        self.stripe.close()

    @property
    def stage(self) -> str:
        return self.checkout.stage

    @property
    def api_id(self) -> str:
        """Of the REST API, as Chalice noted it."""
        (api,) = (one for one in self.checkout.record if one["resource_type"] == "rest_api")
        found: str = api["rest_api_id"]
        return found

    @property
    def url(self) -> str:
        """The deployed REST API's stage, behind the emulated gateway."""
        return f"{self.aws.endpoint_url}/restapis/{self.api_id}/api/_user_request_"

    def configurations(self) -> list[dict[str, Any]]:
        """Of all functions of the stage."""
        found = self.functions.list_functions()["Functions"]
        prefix = f"paygrade-{self.stage}"
        return [
            one
            for one in found
            if one["FunctionName"] == prefix or one["FunctionName"].startswith(f"{prefix}-")
        ]

    def mappings(self) -> list[dict[str, Any]]:
        """Which queue starts which function, and how."""
        found = self.functions.list_event_source_mappings()["EventSourceMappings"]
        return [one for one in found if f":paygrade-{self.stage}-" in one["EventSourceArn"]]

    def rules(self) -> list[dict[str, Any]]:
        """The schedules."""
        found = self.events.list_rules(NamePrefix=f"paygrade-{self.stage}-")["Rules"]
        return list(found)

    def run_schedule(self, rule: dict[str, Any]) -> None:
        """The rule's function has run as if its time had come."""
        (target,) = self.events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        event = scheduled_event(rule["Name"], datetime.now(UTC))
        answer = self.functions.invoke(FunctionName=target["Arn"], Payload=json.dumps(event))
        assert "FunctionError" not in answer, answer["Payload"].read()

    def queue_url(self, name: str) -> str:
        """The stage's queue of that name."""
        full_name = f"paygrade-{self.stage}-{name}.fifo"
        return self.aws.sqs.get_queue_url(QueueName=full_name)["QueueUrl"]

    def send(self, queue: str, body: str, *, group: str) -> None:
        self.aws.sqs.send_message(
            QueueUrl=self.queue_url(queue),
            MessageBody=body,
            MessageGroupId=group,
            MessageDeduplicationId=os.urandom(8).hex(),
        )

    def give_up_after(self, queue: str, *, receipts: int) -> None:
        """A message that has failed so often is a dead letter."""
        url = self.queue_url(queue)
        answer = self.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])
        policy = json.loads(answer["Attributes"]["RedrivePolicy"]) | {"maxReceiveCount": receipts}
        self.aws.sqs.set_queue_attributes(
            QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(policy)}
        )

    def waiting(self, queue: str) -> int:
        """How many messages are in the queue, those in work included."""
        attributes = self.aws.sqs.get_queue_attributes(
            QueueUrl=self.queue_url(queue), AttributeNames=["All"]
        )["Attributes"]
        ready = attributes["ApproximateNumberOfMessages"]
        return int(ready) + int(attributes["ApproximateNumberOfMessagesNotVisible"])

    def _client(self, service: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.aws.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def _new_token(self) -> str:
        """The first key, made beside the API as `paygrade keys bootstrap` makes it."""
        deployed = {**self.checkout.variables, "PAYGRADE_STAGE": self.stage}
        with variables(aws_variables(self.aws.endpoint_url) | deployed):
            _, token = create_api_key(
                wiring.build(settings.load()),
                Cause(actor="test", request_id="test", operation_id="test"),
                name="test",
                kind=KeyKind.SECRET,
                scopes=ALL_SCOPES,
                entropy=os.urandom(32),
            )
        return token
