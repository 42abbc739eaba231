"""What happens at Stripe, step by step, and how our side looks after hearing of it in some order.

Each step of a story is a `Truth`: Stripe as it is from then on. A notification can't arrive before what it tells
of has happened, but any number of further steps may have been taken by then.
"""

import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

import app
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.customers import Customer
from chalicelib.domain.plain import plain
from chalicelib.domain.snapshot_documents import document_of
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import QueueName
from chalicelib.services.run_sync_task import run_sync_task
from infra.local.stripe_stand_in import Request, StandIn
from infra.local.stripe_stand_in.deliveries import sign
from tests.integration.webhooks.deliveries import Delivery
from tests.integration.world import SECRET, StripeDeployment
from tests.unit.api.world import served

DAY: Final = 86_400
FEATURES: Final = ("sso", "api-calls", "seats", "unknown")

Step = Callable[[StripeDeployment], None]

CATALOG: Final = (
    ("products", {"id": "app", "name": "App"}),
    ("features", {"id": "sso", "name": "SSO", "type": "boolean"}),
    ("features", {"id": "api-calls", "name": "API calls", "type": "metered"}),
    ("features", {"id": "seats", "name": "Seats", "type": "metered"}),
    (
        "plans",
        {
            "id": "pro",
            "product_id": "app",
            "name": "Pro",
            "pricing_type": "paid",
            "entitlements": [
                {"feature_id": "sso", "value": True},
                {"feature_id": "api-calls", "usage_limit": 5000, "reset_period": "month"},
            ],
            "prices": [
                {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 1900},
                {
                    "model": "per_unit",
                    "billing_period": "month",
                    "currency": "usd",
                    "amount": 500,
                    "feature_id": "seats",
                },
            ],
        },
    ),
)


def told(deployment: StripeDeployment, path: str, body: Any = None, method: str = "POST") -> Any:
    """What our API answers to a request that succeeds."""
    answer = deployment.send(method, f"/v1/{path}", body)
    assert answer.status < 300, answer.body
    return answer.json


def open_checkout(deployment: StripeDeployment) -> None:
    """A plan is on sale, also at Stripe, and Acme stands before the payment page."""
    for path, body in CATALOG:
        told(deployment, path, body)
    told(deployment, "plans/pro/publish")
    deployment.work_off(
        QueueName.SYNC, lambda body: run_sync_task(deployment.ports, body["task_id"])
    )
    told(deployment, "customers", {"id": "acme", "name": "Acme", "email": "ops@acme.example"})
    order = {"customer_id": "acme", "plan_id": "pro", "quantities": {"seats": 3}}
    assert told(deployment, "subscriptions", order)["status"] == "payment_required"
    deployment.person("POST", "/_stand_in/deliveries", mode="hold")


def pay(deployment: StripeDeployment) -> None:
    [session] = deployment.store.all(CheckoutSession)
    deployment.person("POST", f"/_stand_in/checkout_sessions/{session.billing_id}/pay")


def cancel_now(deployment: StripeDeployment) -> None:
    deployment.person("DELETE", f"/v1/subscriptions/{_subscription(deployment)}")


def buy_more_seats(deployment: StripeDeployment) -> None:
    """In Stripe's dashboard; the difference is paid at once."""
    [held] = deployment.stand_in.account.all("subscription")
    seats = next(item for item in held["items"]["data"] if item.get("quantity") == 3)
    deployment.person(
        "POST",
        f"/v1/subscription_items/{seats['id']}",
        quantity=5,
        proration_behavior="always_invoice",
    )


def cancel_with_the_period(deployment: StripeDeployment) -> None:
    path = f"/v1/subscriptions/{_subscription(deployment)}"
    deployment.person("POST", path, cancel_at_period_end="true")


def let_the_period_end(deployment: StripeDeployment) -> None:
    deployment.clock.advance(days=32)
    deployment.person("POST", "/_stand_in/clock", advance_seconds=0)


def _subscription(deployment: StripeDeployment) -> str:
    [held] = deployment.stand_in.account.all("subscription")
    identity: str = held["id"]
    return identity


@dataclass(frozen=True)
class Truth:
    """Stripe from one step on, and when that was."""

    stripe: StandIn
    now: datetime


@dataclass(frozen=True)
class Notification:
    """An event as Stripe sends it, and the step that it tells of."""

    type: str
    body: bytes
    step: int


class Story:
    """A checkout that is paid, and what follows; `deployment` stands before its first step whenever a run begins."""

    def __init__(self, *steps: Step) -> None:
        self._open = ExitStack()
        self.truths = [self._lived(steps[: number + 1])[1] for number in range(len(steps))]
        self.deployment, _ = self._lived(())
        self._open.enter_context(served(self.deployment))
        self._records = dict(self.deployment.store.records)
        self._began = self.deployment.clock.now()
        self.notifications = self._sent(before=len(self.deployment.stand_in.account.all("event")))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    @staticmethod
    def _lived(steps: Iterable[Step]) -> tuple[StripeDeployment, Truth]:
        # Ids, times and seeds are fixed, so each deployment lives through the very same story.
        deployment = StripeDeployment(app.app)
        with served(deployment):
            open_checkout(deployment)
            for step in steps:
                step(deployment)
        return deployment, Truth(deployment.stand_in, deployment.clock.now())

    def _sent(self, *, before: int) -> tuple[Notification, ...]:
        """What the stand-in delivers of this story, each with the first step after which it is there."""
        known = [
            {event["id"] for event in truth.stripe.account.all("event")} for truth in self.truths
        ]
        last = self.truths[-1]
        told_before = {event["id"] for event in last.stripe.account.all("event")[:before]}
        found: list[Notification] = []

        def sink(_: str, headers: dict[str, str], body: bytes) -> int:
            event = json.loads(body)
            assert headers["Stripe-Signature"] == sign(body, [SECRET], int(last.now.timestamp()))
            if event["id"] not in told_before:
                step = next(number for number, ids in enumerate(known) if event["id"] in ids)
                found.append(Notification(event["type"], body, step))
            return 200

        control = Request("POST", "/_stand_in/deliveries/release", "", {}, b"{}")
        assert last.stripe.handle(control).status == 200
        last.stripe.deliver_due(sink)
        assert {one.step for one in found} == set(range(len(self.truths)))
        return tuple(found)

    def begin(self) -> None:
        """We are before the first step, and nothing of this story was heard yet."""
        deployment = self.deployment
        deployment.store.records = dict(self._records)
        deployment.store.commits.clear()
        deployment.queue.messages.clear()
        deployment.monitor.events.clear()
        self._turn_to(self._began)

    def go_to(self, step: int) -> None:
        """Stripe has taken this step, and it is the time of that."""
        self.deployment.stripe.stand_in = self.truths[step].stripe
        self._turn_to(self.truths[step].now)

    def _turn_to(self, moment: datetime) -> None:
        clock = self.deployment.clock
        clock.advance(seconds=(moment - clock.now()).total_seconds())

    def deliver(self, notification: Notification) -> str:
        """What became of it."""
        now = int(self.deployment.clock.now().timestamp())
        delivery = Delivery(notification.body, header=sign(notification.body, [SECRET], now))
        answer = delivery.to(self.deployment)
        assert answer.status == 200, answer.body
        status: str = answer.json["status"]
        return status

    def snapshot_version(self) -> int:
        snapshot = self.deployment.store.get(Snapshot, "acme")
        assert snapshot is not None
        return snapshot.version

    def outcome(self) -> dict[str, Any]:
        """How our side looks, but for how often it was written."""
        deployment = self.deployment
        checks = {}
        for feature in FEATURES:
            check = told(deployment, f"customers/acme/entitlements/{feature}", method="GET")
            checks[feature] = _without(check, "snapshot_version")
        snapshot = deployment.store.get(Snapshot, "acme")
        assert snapshot is not None
        return {
            "subscriptions": _all(deployment, Subscription, "version"),
            "checkouts": _all(deployment, CheckoutSession, "revision"),
            "customers": _all(deployment, Customer, "version"),
            "snapshot": _without(document_of(snapshot.document), "version"),
            "checks": checks,
        }


def _all(deployment: StripeDeployment, kind: type[Any], *left_out: str) -> list[dict[str, Any]]:
    return [_without(plain(record), *left_out) for record in deployment.store.all(kind)]


def _without(document: Any, *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}
