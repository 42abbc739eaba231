"""What may happen in a simulated world, each thing by name with plain arguments, so that a run can be told again."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Self

from tests.integration.time_stories.life import CARD_THAT_FAILS_LATER, GOOD_CARD
from tests.simulation.failures import DiedError, FailingLife

CUSTOMERS: Final = 3
PLANS: Final = ("pro", "team")
STRIPE_FAULTS: Final = ("429", "500_before", "500_after", "timeout_after", "reset", "409")
STORE_FAULTS: Final = ("before", "after", "conflict")
APPLICATION: Final = "https://app.example.test/paygrade"
KEY_BINDS: Final = timedelta(days=40)
REFUSALS: Final = (500, 404, "timeout")
DELIVERIES: Final = ("normal", "hold", "drop", "duplicate", "reverse")


@dataclass(frozen=True, slots=True)
class Action:
    """Something that happens; `name` is a method of the world."""

    name: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.args))})"


@dataclass(frozen=True, slots=True)
class Used:
    """How many calls were said to be counted in the usage period that begins then."""

    period: str
    amount: int


@dataclass
class SimulatedWorld:
    """An environment with a few customers, and what the simulation itself knows of it.

    `limits` says how many calls each version of a plan gives, by its monthly amount, which no two versions share.
    `used` has what was said to be counted, `counted` under which keys; `keys` each customer's latest one. `promised`
    says who will be on the free plan from when on, `broken` what an answer said and was not so.
    """

    life: FailingLife
    limits: dict[str, dict[int, int]] = field(default_factory=dict)
    versions: dict[str, dict[int, int]] = field(default_factory=dict)
    snapshots: dict[str, int] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    operations: int = 0
    shown: list[str] = field(default_factory=list)
    used: dict[str, Used] = field(default_factory=dict)
    keys: dict[str, tuple[str, int, datetime]] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    promised: dict[str, datetime] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def begun(cls) -> Iterator[Self]:
        """The world before anything has happened in it."""
        with FailingLife.begun("2027-01-28 10:00") as life:
            world = cls(life)
            life.tell("webhook_endpoints", {"url": APPLICATION})
            life.tell("products", {"id": "files", "name": "Files"})
            world.limits["pro"] = {1000: 100, 10_000: 100}
            world.versions["pro"] = {1: 100}
            world.publish("team", 0)
            life.tell(
                "plans",
                {
                    "id": "free",
                    "product_id": "app",
                    "name": "Free",
                    "pricing_type": "free",
                    "entitlements": [world.calls(5)],
                    "prices": [],
                },
            )
            life.tell("plans/free/publish", {"migration": "new_customers"})
            world.limits["free"] = {0: 5}
            world.versions["free"] = {1: 5}
            for number in range(CUSTOMERS):
                life.customer(f"c{number}")
            life.deployment.monitor.events.clear()
            yield world

    @staticmethod
    def calls(limit: int) -> dict[str, Any]:
        return {"feature_id": "calls", "usage_limit": limit, "reset_period": "month"}

    def act(self, action: Action) -> None:
        """It has happened, or the process that was about it has died."""
        if action.name not in _KEEPS_PROMISES:
            self.promised.clear()
        method: Callable[..., None] = getattr(self, action.name)
        self.life.guarded(lambda: method(*action.args))
        self.life.guarded(self.life.settle)

    def send(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        """The answer of our API if the request succeeded; the key makes a repetition the same operation."""
        self.operations += 1
        key = {"Idempotency-Key": f"op-{self.operations}"} if method != "GET" else {}
        answer = self.life.deployment.send(method, f"/v1/{path}", body, headers=key)
        self.statuses.append(answer.status)
        if answer.status == 503:  # as a careful client does
            answer = self.life.deployment.send(method, f"/v1/{path}", body, headers=key)
            self.statuses.append(answer.status)
        if answer.status < 300 and "checkout_url" in answer.body.decode():
            self.shown.append(answer.body.decode())
        return answer.json if answer.status < 300 else None

    def person(self, method: str, path: str, **fields: Any) -> None:
        """Somebody at Stripe tries this; Stripe may refuse it."""
        with suppress(AssertionError):
            self.life.deployment.person(method, path, **fields)

    # --- Customers --------------------------------------------------------------------------------------

    def order(self, customer: int, plan: str, period: str | None) -> None:
        body = {"customer_id": f"c{customer}", "plan_id": plan}
        if period is not None and plan != "free":
            body["billing_period"] = period
        self.send("POST", "subscriptions", body)

    def buy(self, customer: int, plan: str, period: str | None, is_good: int) -> None:
        self.order(customer, plan, period)
        self.life.settle()
        self.pay(0, is_good)

    def pay(self, number: int, is_good: int) -> None:
        """Somebody pays one of the open checkouts whose address was given to anybody."""
        account = self.life.deployment.stand_in.account
        sessions = [
            one
            for one in account.all("checkout.session")
            if one["status"] == "open" and any(one["id"] in answer for answer in self.shown)
        ]
        if not sessions:
            return
        session = sorted(sessions, key=lambda one: str(one["id"]))[number % len(sessions)]
        path = f"/_stand_in/checkout_sessions/{session['id']}/pay"
        card = GOOD_CARD if is_good else CARD_THAT_FAILS_LATER
        self.person("POST", path, card=card)

    def cancel(self, customer: int, effective: str) -> None:
        self._on_subscription(customer, "cancel", {"effective": effective})

    def resume(self, customer: int) -> None:
        self._on_subscription(customer, "resume", None)

    def pause(self, customer: int) -> None:
        self._on_subscription(customer, "pause", None)

    def drop_change(self, customer: int) -> None:
        for held in self._live(f"c{customer}")[:1]:
            path = f"subscriptions/{held['id']}/scheduled_change"
            if self.send("DELETE", path) is not None:
                found = [one for one in self._live(f"c{customer}") if one["id"] == held["id"]]
                if any(one["scheduled_change"] is not None for one in found):
                    self.broken.append(f"c{customer} dropped what is still there: {found}")

    def change(
        self, customer: int, plan: str | None, period: str | None, effective: str, proration: str
    ) -> None:
        """PATCH; where it is answered by a subscription, what the answer says is so."""
        body: dict[str, Any] = {"effective": effective, "proration": proration}
        if plan is not None:
            body["plan_id"] = plan
        if period is not None and plan != "free":
            body["billing_period"] = period
        self.promised.pop(f"c{customer}", None)
        live = self._live(f"c{customer}")
        for held in live[:1]:
            answer = self.send("PATCH", f"subscriptions/{held['id']}", body)
            # Two that were paid are two until we hear of it and settle them.
            is_plain = answer is not None and answer["object"] == "subscription" and len(live) == 1
            if answer is not None and is_plain and plan is not None:
                self._believe(f"c{customer}", answer["id"], plan, effective)

    def _believe(self, customer: str, subscription: str, plan: str, effective: str) -> None:
        now = next((one for one in self._live(customer) if one["id"] == subscription), None)
        if now is None:
            self.broken.append(f"{customer} was told of {subscription}, which is not there")
            return
        coming = now["scheduled_change"]
        follows = coming["plan_id"] if coming is not None else None
        if plan != (now["plan_id"] if effective == "immediate" else follows or now["plan_id"]):
            self.broken.append(f"{customer} was told of {plan} {effective}, and has {now}")
        if plan == "free" and coming is not None and now["billing"]:
            self.promised[customer] = datetime.fromisoformat(coming["at"])

    def _on_subscription(self, customer: int, verb: str, body: Any) -> None:
        for held in self._live(f"c{customer}")[:1]:
            self.send("POST", f"subscriptions/{held['id']}/{verb}", body)

    def _live(self, customer: str) -> list[dict[str, Any]]:
        """Those of its subscriptions that have not ended."""
        held = self.subscriptions(customer)
        return [one for one in held if one["status"] not in ("canceled", "expired")]

    def grant(self, customer: int, limit: int, days: int) -> None:
        expires = (self.life.clock.now() + timedelta(days=days)).isoformat() if days else None
        body = {**self.calls(limit), "expires_at": expires}
        self.send("POST", f"customers/c{customer}/grants", body)

    def revoke(self, customer: int) -> None:
        listed = self.send("GET", f"customers/c{customer}/grants")
        for grant in (listed or {"data": []})["data"][:1]:
            self.send("DELETE", f"customers/c{customer}/grants/{grant['id']}")

    def use(self, customer: int, amount: int) -> None:
        key = f"use-{self.operations}"
        self.keys[f"c{customer}"] = (key, amount, self.life.clock.now())
        self._consume(f"c{customer}", key, amount)

    def use_again(self, customer: int) -> None:
        """The application sends its latest use once more: it does not know that it was counted."""
        if f"c{customer}" in self.keys:
            key, amount, since = self.keys[f"c{customer}"]
            if self.life.clock.now() - since < KEY_BINDS:
                self._consume(f"c{customer}", key, amount)

    def _consume(self, customer: str, key: str, amount: int) -> None:
        """The application asks under the same key until it is answered; what the answer says is written down."""
        path = f"customers/{customer}/entitlements/calls/consume"
        answer: dict[str, Any] | None = None
        for _ in range(_ASKED_AT_MOST):
            with suppress(DiedError):
                answer = self.send("POST", path, {"amount": amount, "idempotency_key": key})
            if answer is not None:
                break
        if answer is None or not answer["has_access"] or key in self.counted:
            return
        self.counted.add(key)
        period = str(answer["usage_period_start"])
        before = self.used.get(customer)
        known = before.amount if before is not None and before.period == period else 0
        self.used[customer] = Used(period, known + amount)

    def look(self, customer: int) -> None:
        self.send("GET", f"customers/c{customer}/entitlements/calls")

    def subscriptions(self, customer: str) -> list[dict[str, Any]]:
        answer = self.life.deployment.send(
            "GET", f"/v1/subscriptions?customer_id={customer}&limit=100"
        )
        found: list[dict[str, Any]] = answer.json["data"] if answer.status == 200 else []
        return found

    # --- The business -------------------------------------------------------------------------------------

    def publish(self, plan: str, kind: int) -> None:
        """A new version of the plan costs another amount and gives another number of calls."""
        known = self.limits.setdefault(plan, {})
        step = len(known) + 1
        amount = 1000 * (PLANS.index(plan) + 1) + step
        limit = 100 * (PLANS.index(plan) + 1) + 10 * step
        price = {"model": "flat_fee", "currency": "usd", "billing_period": "month"}
        body: dict[str, Any] = {
            "name": plan.title(),
            "pricing_type": "paid",
            "entitlements": [self.calls(limit)],
            "prices": [
                {**price, "amount": amount},
                {**price, "billing_period": "year", "amount": 10 * amount},
            ],
        }
        product = "app" if plan in PLANS else "files"
        path, method = (f"plans/{plan}", "PATCH") if plan in self.versions else ("plans", "POST")
        if method == "POST":
            body |= {"id": plan, "product_id": product}
        if self.send(method, path, body) is None:
            return
        known[amount] = known[10 * amount] = limit
        rollout = ("new_customers", "all_customers", "all_customers")[kind % 3]
        how: dict[str, Any] = {"migration": rollout}
        if rollout == "all_customers":
            how["effective"] = ("immediate", "immediate", "end_of_period")[kind % 3]
        self.send("POST", f"plans/{plan}/publish", how)
        for version in self._published(plan):
            self.versions.setdefault(plan, {})[version] = limit

    def _published(self, plan: str) -> list[int]:
        answer = self.life.deployment.send("GET", f"/v1/plans/{plan}/versions")
        listed = answer.json["data"] if answer.status == 200 else []
        return [
            one["version"] for one in listed if one["version"] not in self.versions.get(plan, {})
        ]

    def archive(self, plan: str) -> None:
        self.send("POST", f"plans/{plan}/archive")

    def unarchive(self, plan: str) -> None:
        self.send("POST", f"plans/{plan}/unarchive")

    # --- People at Stripe ---------------------------------------------------------------------------------

    def dashboard(self, what: str, number: int) -> None:
        account = self.life.deployment.stand_in.account
        live = [
            one
            for one in account.all("subscription")
            if one["status"] not in ("canceled", "incomplete_expired")
        ]
        person = self.person
        if what == "archive_price":
            prices = [one for one in account.all("price") if one["active"]]
            default = {one["default_price"] for one in account.all("product")}
            free = [one for one in prices if one["id"] not in default]
            if free:
                person("POST", f"/v1/prices/{free[number % len(free)]['id']}", active="false")
        elif what == "rename_product":
            products = account.all("product")
            person("POST", f"/v1/products/{products[number % len(products)]['id']}", name="Renamed")
        elif live:
            held = sorted(live, key=lambda one: str(one["id"]))[number % len(live)]
            if what == "cancel":
                person("DELETE", f"/v1/subscriptions/{held['id']}")
            elif held["schedule"] is None and held["status"] != "paused":
                person("POST", f"/v1/subscriptions/{held['id']}", cancel_at_period_end="true")

    # --- Time, the network and the machines ---------------------------------------------------------------

    def wait(self, hours: int) -> None:
        self.life.later(hours=hours)

    def deliveries(self, mode: str) -> None:
        self.life.deployment.person("POST", "/_stand_in/deliveries", mode=mode)

    def release(self) -> None:
        self.life.deployment.person("POST", "/_stand_in/deliveries/release")

    def stripe_fault(self, kind: str, after: int, times: int) -> None:
        self.life.deployment.person(
            "POST", "/_stand_in/faults", kind=kind, times=times, after=after
        )

    def application_fault(self, answer: int, times: int) -> None:
        """The operator's application does not take what it is sent next."""
        self.life.deployment.webhooks.answers += [REFUSALS[answer]] * times

    def store_fault(self, kind: str, after: int) -> None:
        self.life.store_faults += [*([None] * after), kind]

    def die(self, steps: int) -> None:
        self.life.die_in = steps

    def twice(self) -> None:
        """The queue delivers again what it has delivered."""
        messages = self.life.deployment.queue.messages
        messages += list(messages)

    def reconcile(self) -> None:
        self.send("POST", "reconciliations")


# Store faults and deaths that wait for their turn are fewer.
_ASKED_AT_MOST: Final = 60
# What ends no subscription and begins none, changes none and moves none.
_KEEPS_PROMISES: Final = frozenset(
    (
        *("change", "wait", "grant", "revoke", "use", "use_again", "look", "deliveries", "release"),
        *("stripe_fault", "application_fault", "store_fault", "die", "twice", "reconcile"),
    )
)
_GOOD_CARDS: Final = 0.75
_WEIGHTS: Final[Mapping[str, int]] = {
    "buy": 22,
    "order": 8,
    "pay": 10,
    "wait": 14,
    "cancel": 7,
    "change": 12,
    "drop_change": 2,
    "resume": 3,
    "pause": 1,
    "grant": 3,
    "revoke": 1,
    "use": 7,
    "use_again": 2,
    "look": 2,
    "publish": 4,
    "archive": 1,
    "unarchive": 1,
    "dashboard": 5,
    "deliveries": 5,
    "release": 2,
    "stripe_fault": 7,
    "application_fault": 4,
    "store_fault": 6,
    "die": 7,
    "twice": 2,
    "reconcile": 3,
}


def drawn(chance: Random) -> Action:
    """What happens next."""
    name = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
    customer = chance.randrange(CUSTOMERS)
    plan = chance.choice(PLANS)
    number = chance.randrange(8)
    arguments: dict[str, tuple[Any, ...]] = {
        "order": (
            customer,
            chance.choice((*PLANS, *PLANS, "free")),
            chance.choice((None, "month", "year")),
        ),
        "wait": (chance.choice((1, 5, 24, 24 * 8, 24 * 32)),),
        "cancel": (customer, chance.choice(("immediate", "end_of_period"))),
        "change": (
            customer,
            chance.choice((*PLANS, *PLANS, "free", None)),
            chance.choice((None, None, "month", "year")),
            chance.choice(("immediate", "end_of_period")),
            chance.choice(("create", "invoice_now", "none")),
        ),
        "application_fault": (chance.randrange(len(REFUSALS)), chance.choice((1, 2, 4))),
        "grant": (customer, chance.choice((1, 50, 5000)), chance.choice((0, 7, 60))),
        "use": (customer, chance.choice((1, 3, 40, 200))),
        "publish": (plan, chance.randrange(3)),
        "archive": (plan,),
        "unarchive": (plan,),
        "dashboard": (
            chance.choice(("cancel", "cancel_later", "archive_price", "rename_product")),
            number,
        ),
        "deliveries": (chance.choice(DELIVERIES),),
        "stripe_fault": (chance.choice(STRIPE_FAULTS), number, chance.choice((1, 1, 2, 4))),
        "store_fault": (chance.choice(STORE_FAULTS), number),
        "die": (chance.randrange(25),),
    }
    is_good = int(chance.random() < _GOOD_CARDS)
    arguments["buy"] = (*arguments["order"], is_good)
    arguments["pay"] = (number, is_good)
    arguments |= dict.fromkeys(
        ("resume", "pause", "revoke", "look", "drop_change", "use_again"), (customer,)
    )
    return Action(name, arguments.get(name, ()))


def told(actions: list[Action]) -> str:
    """The actions as a text that `read` understands."""
    return json.dumps([[action.name, *action.args] for action in actions])


def read(text: str) -> list[Action]:
    """The actions of such a text."""
    return [Action(name, tuple(args)) for name, *args in json.loads(text)]
