"""The deployed functions, one by one: each gets the events that AWS would hand it, over emulated AWS and Stripe."""

import io
import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from chalice.app import Chalice, ScheduledEventConfig, SQSEventConfig

import app as deployed
from chalicelib import wiring
from chalicelib.adapters.sqs import queue_name
from chalicelib.api import runtime
from chalicelib.domain.api_keys import KeyKind
from chalicelib.events.worker import MessageFailedError
from chalicelib.ports import Ports, QueueName
from infra.cli.first_key import create_key
from infra.local.environment import app_variables, aws_variables, variables
from infra.local.lambda_events import LambdaContext, scheduled_event, sqs_event
from infra.local.resources import ensure_resources
from infra.local.stripe_stand_in import Request, StandIn
from infra.local.stripe_stand_in.deliveries import sign
from infra.local.stripe_stand_in.server import StandInServer
from tests.fakes.system import START
from tests.integration.cloud.recorder import Recorder
from tests.integration.gateway import gateway_event, invoke
from tests.unit.api.world import Answer

API = "api_handler"
SECRET = "whsec_current"
STRIPE_KEY = "sk_test_policies"


def function_names(app: Chalice) -> set[str]:
    """What Chalice deploys for the app: a function for all routes, and one for each event source."""
    return {API, *(source.name for source in app.event_sources)}


@dataclass
class Functions:
    """One environment's functions."""

    stage: str
    recorder: Recorder
    stripe: StandIn
    sqs: Any
    queue_urls: dict[str, str]
    app: Chalice = field(default_factory=lambda: deployed.app)
    token: str = ""
    delivered: set[str] = field(default_factory=set)
    last: str = ""
    log: io.StringIO = field(default_factory=io.StringIO)
    hurried: dict[str, float] = field(default_factory=dict)  # seconds of the next invocation

    # --- the API's function

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent.setdefault("Authorization", f"Bearer {self.token}")
        data = body if isinstance(body, bytes) else json.dumps(body) if body is not None else None
        if data:
            sent["Content-Type"] = "application/json"
        event = gateway_event(
            self.app,
            method,
            path,
            body=data.decode() if isinstance(data, bytes) else data,
            headers=sent,
        )
        with self._in(API):
            return invoke(self.app, event)

    def told(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """What the API answers to a request that succeeds."""
        answer = self.request(method, f"/v1/{path}", body, **headers)
        assert answer.status < 400, (method, path, answer.status, answer.body)
        return json.loads(answer.body) if answer.body else None

    def deliver(self) -> int:
        """Stripe's new events have reached the webhook; how many there were."""
        count = 0
        for event in reversed(self.at_stripe("GET", "/v1/events", limit=100)["data"]):
            if event["id"] in self.delivered:
                continue
            self.delivered.add(event["id"])
            body = json.dumps(event).encode()
            signature = sign(body, [SECRET], int(wiring.ports().clock.now().timestamp()))
            answer = self.request("POST", "/v1/webhooks/stripe", body, Stripe_Signature=signature)
            assert answer.status == 200, (answer.body, self.crashes())
            count += 1
        return count

    def crashes(self) -> list[str]:
        """What the log says of faults of ours."""
        return [line for line in self.log.getvalue().splitlines() if "crash" in line]

    @contextmanager
    def _in(self, name: str) -> Iterator[None]:
        """The process of this function: what another one has read or connected, it does not have."""
        if self.last != name:
            keep_clients()
            forget_wiring()
            self.last = name
        with self.recorder.acting_as(name), redirect_stdout(self.log):
            yield

    # --- queues and schedules

    def work_off(self) -> int:
        """Every queue is empty, each message handled by its function; how many there were."""
        total = 0
        while handled := sum(self._work(source) for source in self._sources(SQSEventConfig)):
            total += handled
        return total

    def tick(self, name: str) -> None:
        """The schedule has started this function."""
        (source,) = [one for one in self._sources(ScheduledEventConfig) if one.name == name]
        with self._in(name):
            self.app.handler_map[source.name](scheduled_event(name, START), LambdaContext(name, 60))

    def _sources(self, kind: type[Any]) -> list[Any]:
        return [source for source in self.app.event_sources if isinstance(source, kind)]

    def _work(self, source: SQSEventConfig) -> int:
        queue = str(source.queue).rpartition("-")[2]
        url = self.queue_urls[f"paygrade-{self.stage}-{queue}"]
        handled = 0
        while messages := self.sqs.receive_message(
            QueueUrl=url, AttributeNames=["All"], MaxNumberOfMessages=1, WaitTimeSeconds=0
        ).get("Messages"):
            arn = f"arn:aws:sqs:us-east-1:000000000000:paygrade-{self.stage}-{queue}"
            event = sqs_event(messages, arn)
            with self._in(source.name):
                seconds = self.hurried.pop(source.name, 60)
                self.app.handler_map[source.name](event, LambdaContext(source.name, seconds))
            self.sqs.delete_message(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])
            handled += 1
        return handled

    def send_rubbish(self, queue: QueueName) -> None:
        """The queue's function fails at a message that is no JSON."""
        url = self.queue_urls[queue_name(self.stage, queue)]
        self.sqs.send_message(
            QueueUrl=url, MessageBody="rubbish", MessageGroupId="g", MessageDeduplicationId=queue
        )
        with pytest.raises(MessageFailedError):
            self.work_off()
        self.sqs.purge_queue(QueueUrl=url)

    def put_stripe_key(self, key: str) -> None:
        """From the next process on the key is this one."""
        boto3.client("ssm").put_parameter(
            Name=f"/paygrade/{self.stage}/stripe_secret_key",
            Value=key,
            Type="SecureString",
            Overwrite=True,
        )
        self.last = ""

    # --- Stripe

    def at_stripe(self, method: str, path: str, **fields: Any) -> Any:
        """Somebody does this in Stripe's dashboard or at its payment page."""
        control = path.startswith("/_stand_in/")
        text = json.dumps(fields) if control else urlencode(fields)
        query, body = (text, b"") if method == "GET" else ("", text.encode())
        headers = {"Authorization": f"Bearer {STRIPE_KEY}"}
        answer = self.stripe.handle(Request(method, path, query, headers, body))
        assert answer.status == 200, answer.body
        return json.loads(answer.body)


@contextmanager
def functions(cloud: str) -> Iterator[Functions]:
    """A fresh environment, its settings and secrets those of a deployed one."""
    stage = f"t{uuid.uuid4().hex[:8]}"
    with ExitStack() as stack:
        recorder = Recorder(cloud)
        stack.callback(recorder.close)
        stripe = StandIn()
        stack.callback(stripe.close)
        server = StandInServer(stripe, port=0)
        server.start()
        stack.callback(server.stop)
        stack.enter_context(variables(aws_variables(cloud)))
        ssm, sqs = boto3.client("ssm"), boto3.client("sqs")
        made = ensure_resources(
            boto3.client("dynamodb"), sqs, stage=stage, visibility_timeout_seconds=30
        )
        for name, text in (
            ("stripe_secret_key", STRIPE_KEY),
            ("stripe_webhook_secrets", SECRET),
        ):
            ssm.put_parameter(Name=f"/paygrade/{stage}/{name}", Value=text, Type="SecureString")
        stack.enter_context(
            variables(
                {
                    **aws_variables(recorder.url),
                    **app_variables("https://api.example.test"),
                    "PAYGRADE_STAGE": stage,
                    "PAYGRADE_WEBHOOK_TARGETS": "local",
                    "PAYGRADE_BILLING_PROVIDERS": "stripe,manual",
                    "STRIPE_API_BASE": server.url,
                    "STRIPE_SECRET_KEY": f"ssm:/paygrade/{stage}/stripe_secret_key",
                    "STRIPE_WEBHOOK_SECRETS": f"ssm:/paygrade/{stage}/stripe_webhook_secrets",
                }
            )
        )
        forget_wiring()
        stack.callback(forget_wiring)
        stack.callback(keep_clients)
        made_functions = Functions(stage, recorder, stripe, sqs, made.queue_urls)
        _, made_functions.token = create_key(wiring.ports(), "test", KeyKind.SECRET)
        recorder.uses.clear()
        stack.enter_context(_logging_to(made_functions.log))
        yield made_functions


@contextmanager
def _logging_to(log: io.StringIO) -> Iterator[None]:
    """What libraries log is in the log of the function, too, as Lambda has it."""
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


# A process of Lambda has its clients as long as it lives, and nobody closes them.
_KEPT: list[Ports] = []


def keep_clients() -> None:
    """Nothing is collected with its connections open."""
    _KEPT.extend((wiring.ports(), wiring.ports(interactive=True)))


def forget_wiring() -> None:
    """The next handler finds its environment anew, as in a new process."""
    wiring.ports.cache_clear()
    runtime.set_ports_factory(None)
