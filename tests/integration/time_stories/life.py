"""One environment that lives through time: its API, its workers, its schedules, and Stripe with its webhooks.

Time never jumps. It goes from one instant at which something happens, here or at Stripe, to the next; at each of them
what was notified is delivered and the workers have their turn, and once a day the schedules run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Self

import app
from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing_events import BillingEvent
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.outbound_events import OutboundEvent
from chalicelib.ports import Message, QueueName
from chalicelib.services.apply_billing_event import apply_billing_event
from chalicelib.services.deliver_webhooks import attempt_delivery, dispatch_event
from chalicelib.services.migrate_subscribers import continue_migration
from chalicelib.services.queue_migrations import resume_migrations
from chalicelib.services.reconcile import continue_reconciliation
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.schedule_publication import publish_due
from chalicelib.services.settle_customer import settle_customer, sweep_timers
from chalicelib.services.start_reconciliation import start_reconciliation
from chalicelib.services.sweep import sweep
from chalicelib.services.sweep_outbound import sweep_outbound
from infra.local.stripe_stand_in import timeline
from infra.local.stripe_stand_in.deliveries import next_due, sign
from tests.fakes.system import AmpleTime, FakeClock
from tests.integration.webhooks.deliveries import Delivery
from tests.integration.world import SECRET, StripeDeployment
from tests.unit.api.world import served

GOOD_CARD: Final = "4242424242424242"
CARD_THAT_FAILS_LATER: Final = "4000000000000341"
TOLD: Final = ("customer.subscription.", "invoice.paid", "invoice.payment_failed")
_TURNS: Final = 50


def instant(text: str) -> datetime:
    """`2027-01-31` or `2027-01-31 10:00`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class Life:
    """An environment from `start` on. It sells `pro` (10.00 a month, 100.00 a year) with 100 calls a month."""

    def __init__(self, start: str) -> None:
        self.clock = FakeClock(instant(start))
        self.deployment = StripeDeployment(app.app, clock=self.clock)
        self.skew = timedelta(0)  # how far the clock of our side is ahead of Stripe's
        self.is_deaf = False  # nothing that is delivered reaches us, and nothing of ours runs

    @classmethod
    @contextmanager
    def begun(cls, start: str) -> Iterator[Self]:
        """The environment, while its API is served."""
        life = cls(start)
        with served(life.deployment):
            life.tell("products", {"id": "app", "name": "App"})
            life.tell("features", {"id": "sso", "name": "SSO", "type": "boolean"})
            life.tell("features", {"id": "calls", "name": "Calls", "type": "metered"})
            life.sell("pro")
            yield life

    # --- What people do -------------------------------------------------------------------------

    def tell(self, path: str, body: Any = None, method: str = "POST") -> Any:
        """What our API answers to a request that succeeds; then everything that follows has happened."""
        answer = self.deployment.send(method, f"/v1/{path}", body)
        assert answer.status < 300, answer.body
        self.settle()
        return answer.json

    def refused(self, path: str, body: Any = None, method: str = "POST") -> str:
        """The code with which our API refuses the request."""
        answer = self.deployment.send(method, f"/v1/{path}", body)
        assert 400 <= answer.status < 500, answer.body
        code: str = answer.json["code"]
        return code

    def ask(self, path: str) -> Any:
        """What our API shows."""
        answer = self.deployment.send("GET", f"/v1/{path}")
        assert answer.status == 200, answer.body
        return answer.json

    def sell(
        self,
        plan: str,
        *,
        month: int | None = 1000,
        year: int | None = 10_000,
        prices: Sequence[Mapping[str, Any]] = (),
        calls: int = 100,
        reset: str = "month",
        anchor: str = "subscription_start",
        **content: Any,
    ) -> None:
        """The plan is published with these terms; a repetition publishes its next version."""
        flat = {"model": "flat_fee", "currency": "usd"}
        amounts = {"month": month, "year": year}
        entitlements = [
            {"feature_id": "sso", "value": True},
            {
                "feature_id": "calls",
                "usage_limit": calls,
                "reset_period": reset,
                "reset_anchor": anchor,
            },
        ]
        listed = [
            {**flat, "billing_period": period, "amount": amount}
            for period, amount in amounts.items()
            if amount is not None
        ]
        body = {
            "name": plan.title(),
            "pricing_type": "paid" if listed or prices else "free",
            "entitlements": entitlements,
            "prices": [*listed, *prices],
            **content,
        }
        known = self.deployment.send("GET", f"/v1/plans/{plan}").status == 200
        if known:
            self.tell(f"plans/{plan}", body, "PATCH")
        else:
            self.tell("plans", {"id": plan, "product_id": "app", **body})
        self.tell(f"plans/{plan}/publish", {"migration": "new_customers"})

    def customer(self, customer: str = "acme") -> None:
        self.tell("customers", {"id": customer, "email": f"{customer}@example.test"})

    def orders(self, plan: str = "pro", customer: str = "acme", **order: Any) -> Any:
        """What our API makes of the customer's order."""
        if self.deployment.send("GET", f"/v1/customers/{customer}").status != 200:
            self.customer(customer)
        return self.tell("subscriptions", {"customer_id": customer, "plan_id": plan, **order})

    def buys(
        self, plan: str = "pro", customer: str = "acme", card: str = GOOD_CARD, **order: Any
    ) -> str:
        """The customer ordered the plan and paid; our subscription's id."""
        answer = self.orders(plan, customer, **order)
        assert answer["status"] == "payment_required", answer
        self.pays(answer["checkout_session_id"], card)
        return str(self.subscription(customer)["id"])

    def pays(self, checkout: str, card: str = GOOD_CARD) -> None:
        """The customer pays the checkout with this card."""
        session = self.ask(f"checkout_sessions/{checkout}")["billing_id"]
        self.at_stripe("POST", f"/_stand_in/checkout_sessions/{session}/pay", card=card)

    def at_stripe(self, method: str, path: str, **fields: Any) -> Any:
        """Somebody at Stripe does this, and we hear of it."""
        done = self.deployment.person(method, path, **fields)
        self.settle()
        return done

    def changes_card(self, card: str, customer: str = "acme") -> None:
        """The customer's invoices are charged to another card from now on."""
        billing_id = self.ask(f"customers/{customer}")["billing"][0]["billing_id"]
        token = {GOOD_CARD: "pm_card_visa", CARD_THAT_FAILS_LATER: "pm_card_chargeCustomerFail"}
        method = self.deployment.person(
            "POST", f"/v1/payment_methods/{token[card]}/attach", customer=billing_id
        )
        for held in self.deployment.stand_in.account.all("subscription"):
            if held["customer"] == billing_id and held["status"] != "canceled":
                self.at_stripe(
                    "POST", f"/v1/subscriptions/{held['id']}", default_payment_method=method["id"]
                )

    # --- Time ---------------------------------------------------------------------------------------

    def until(self, moment: str | datetime) -> None:
        """It is that instant, and whatever was due by then has happened in its order."""
        end = instant(moment) if isinstance(moment, str) else moment
        assert end >= self._now, "time does not go back"
        while self._now < end:
            self._turn_to(min(self._next_event(), self._next_midnight(), end))
            self.settle()
            if self._now.time() == datetime.min.time() and not self.is_deaf:
                self._run_schedules()

    def later(self, **delta: float) -> None:
        """So much time passes."""
        self.until(self._now + timedelta(**delta))

    @property
    def _now(self) -> datetime:
        """Stripe's time: the world's."""
        return self.clock.now() - self.skew

    def _turn_to(self, moment: datetime) -> None:
        self.clock.advance(seconds=(moment - self._now).total_seconds())
        self.deployment.person("POST", "/_stand_in/clock", advance_seconds=0)

    def _next_event(self) -> datetime:
        account = self.deployment.stand_in.account
        moments = [timeline.next_moment(account), next_due(account)]
        now = self._now.timestamp()
        coming = [moment for moment in moments if moment is not None and moment > now]
        return datetime.fromtimestamp(min(coming, default=2**33), UTC)

    def _next_midnight(self) -> datetime:
        return datetime.combine(self._now.date() + timedelta(days=1), datetime.min.time(), UTC)

    def _run_schedules(self) -> None:
        ports = self.deployment.ports
        for chore in (publish_due, sweep, resume_migrations, sweep_timers, sweep_outbound):
            chore(ports)
        self.settle()

    def reconcile(self) -> list[str]:
        """The kinds of drift that a reconciliation found; what it found is repaired."""
        run = start_reconciliation(self.deployment.ports, "test")
        self.settle()
        return [drift["kind"] for drift in self.ask(f"reconciliations/{run.id}")["drifts"]]

    def settle(self) -> None:
        """What was notified has been delivered and every worker has had its turn, until nothing is left to do."""
        if self.is_deaf:
            self.deployment.stand_in.deliver_due(lambda *_: 503)
            return
        for _ in range(_TURNS):
            messages = len(self.deployment.queue.messages)
            self.deployment.stand_in.deliver_due(self._hear)
            self._work()
            if not messages and not self.deployment.queue.messages:
                return

    def _hear(self, _: str, headers: Mapping[str, str], body: bytes) -> int:
        # Signed anew where the clocks differ: signatures are the transport's, not this story's subject.
        stamp = int(self.clock.now().timestamp())
        header = headers["Stripe-Signature"] if not self.skew else sign(body, [SECRET], stamp)
        return Delivery(body, header=header).to(self.deployment).status

    def _work(self) -> None:
        ports, cause = self.deployment.ports, self._cause("worker")
        work: dict[QueueName, Callable[[Mapping[str, str]], object]] = {
            QueueName.SYNC: lambda body: run_sync_task(ports, body["task_id"]),
            QueueName.CONVERGE: lambda body: apply_billing_event(ports, cause, body["event_id"]),
            QueueName.RECONCILE: lambda body: continue_reconciliation(
                ports, cause, body["reconciliation_id"], AmpleTime()
            ),
            QueueName.MIGRATE: lambda body: continue_migration(
                ports, cause, body["migration_id"], AmpleTime()
            ),
            QueueName.DELIVER: lambda body: self._deliver(cause, body),
        }
        for queue, one in work.items():
            self.deployment.queue.drain(queue, partial(self.handle, one))

    def handle(self, work: Callable[[Mapping[str, str]], object], message: Message) -> None:
        """A worker has its turn with this message."""
        work(message.body)

    def _deliver(self, cause: Cause, body: Mapping[str, str]) -> None:
        ports = self.deployment.ports
        if "customer_id" in body:
            settle_customer(ports, cause, CustomerId(body["customer_id"]))
        elif "event_ids" in body:
            for event_id in body["event_ids"].split(","):
                dispatch_event(ports, event_id)
        else:
            attempt_delivery(ports, cause, body["endpoint_id"], body["event_id"])

    def _cause(self, actor: str) -> Cause:
        operation = self.deployment.ids.new("op_")
        return Cause(actor=actor, request_id=operation, operation_id=operation)

    # --- What is so now ---------------------------------------------------------------------------------

    def check(self, feature: str = "calls", customer: str = "acme", usage: int = 1) -> Any:
        query = f"?requested_usage={usage}" if feature == "calls" else ""
        return self.ask(f"customers/{customer}/entitlements/{feature}{query}")

    def has(self, feature: str = "sso", customer: str = "acme") -> bool:
        return bool(self.check(feature, customer)["has_access"])

    def subscription(self, customer: str = "acme") -> Any:
        """The customer's newest subscription."""
        held = self.ask(f"subscriptions?customer_id={customer}&limit=100")["data"]
        return max(
            held, key=lambda one: (one["status"] not in ("canceled", "expired"), one["started_at"])
        )

    def status(self, customer: str = "acme") -> str:
        return str(self.subscription(customer)["status"])

    def period(self, customer: str = "acme") -> tuple[str, str]:
        """First and last day of the running billing period, the last not in it."""
        held = self.subscription(customer)
        return held["current_period_start"][:10], held["current_period_end"][:10]

    def usage_period(self, customer: str = "acme") -> tuple[str, str]:
        """The same of the usage period of `calls`."""
        found = self.check("calls", customer)
        return found["usage_period_start"][:10], found["usage_period_end"][:10]

    def paid(self) -> list[int]:
        """What was collected, in the order of time; what cost nothing is left out."""
        invoices = self.deployment.stand_in.account.all("invoice")
        paid = [one for one in invoices if one["status"] == "paid" and one["amount_paid"]]
        return [
            one["amount_paid"]
            for one in sorted(paid, key=lambda one: one["status_transitions"]["paid_at"])
        ]

    def told(self) -> list[str]:
        """What Stripe told us of subscriptions and payments, in the order of its happening, without its prefixes."""
        events = sorted(
            self.deployment.store.all(BillingEvent), key=lambda one: (one.created_at, one.id)
        )
        return [one.type.removeprefix("customer.") for one in events if one.type.startswith(TOLD)]

    def announced(self) -> list[str]:
        """What our own events told of the subscriptions, in the order of its happening."""
        events = sorted(self.deployment.store.all(OutboundEvent), key=lambda one: one.id)
        return [one.type for one in events if one.type.startswith(("subscription.", "trial."))]

    def unprocessed(self) -> list[str]:
        """What was told and not taken in."""
        return [
            one.type
            for one in self.deployment.store.all(BillingEvent)
            if one.status not in ("processed", "ignored")
        ]
