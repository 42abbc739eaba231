"""A world with any number of customers that takes no memory for them: each is made from its number when it is read.

Every tenth has a subscription, every other tenth is linked to no provider. Nothing differs anywhere, and each
provider call takes as long as reconciliation's share of Stripe's limit makes it.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, cast

from chalicelib.domain.billing import (
    ProviderCustomer,
    ProviderSubscription,
    ProviderSubscriptions,
)
from chalicelib.domain.customers import Customer
from chalicelib.domain.ids import CustomerId, SubscriptionId
from chalicelib.domain.references import Reference, customer_namespace
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Page, Ports, Providers, R
from chalicelib.services.snapshots import compile_for
from tests.factories import ACME, a_price, a_value
from tests.fakes.billing import Call, FakeBillingProvider, FakeProviders
from tests.fakes.store import InMemoryStore
from tests.fakes.system import FakeClock
from tests.fakes.world import World

CALL_SECONDS: Final = (
    0.1  # ten a second to an endpoint, see chalicelib/adapters/billing/stripe/throttle.py
)
_LISTED: Final = 100


@dataclass(slots=True)
class Template:
    """One customer with a subscription as both sides hold it."""

    customer: Customer
    subscription: Subscription
    truth: ProviderSubscription


class Crowd:
    """The customers by number."""

    def __init__(self, size: int, template: Template) -> None:
        self.size = size
        self.template = template
        self.ports: Ports | None = None

    def number(self, text: str) -> int:
        return int(text.rpartition("_")[2])

    def customer(self, number: int) -> Customer:
        held = self.template.customer
        links = tuple(replace(link, billing_id=f"cus_{number:07d}") for link in held.links)
        is_linked = number % 10 != 1
        return replace(held, id=CustomerId(f"c_{number:07d}"), links=links if is_linked else ())

    def subscription(self, number: int) -> tuple[Subscription, ...]:
        if number % 10:
            return ()
        held = replace(
            self.template.subscription,
            id=SubscriptionId(f"subs_{number:07d}"),
            customer_id=CustomerId(f"c_{number:07d}"),
            billing_id=f"sub_{number:07d}",
        )
        return (held,)

    def truth(self, number: int) -> tuple[ProviderSubscription, ...]:
        if number % 10:
            return ()
        marks = {
            **self.template.truth.metadata,
            "paygrade_entity_id": f"subs_{number:07d}",
            "paygrade_customer_id": f"c_{number:07d}",
        }
        truth = replace(
            self.template.truth,
            billing_id=f"sub_{number:07d}",
            customer_billing_id=f"cus_{number:07d}",
            metadata=marks,
        )
        return (truth,)

    def snapshot(self, number: int) -> Snapshot:
        assert self.ports is not None
        return compile_for(self.ports, self.customer(number), self.subscription(number), version=1)


class CrowdStore(InMemoryStore):
    """What is not of a customer is stored as ever. `reads` counts them by kind."""

    crowd: Crowd
    reads: Counter[str]

    def get(self, kind: type[R], *identity: str) -> R | None:
        self.reads[kind.__name__] += 1
        made: Any = None
        if kind is Customer and identity[0].startswith("c_"):
            made = self.crowd.customer(self.crowd.number(identity[0]))
        elif kind is Snapshot and identity[0].startswith("c_"):
            made = self.crowd.snapshot(self.crowd.number(identity[0]))
        elif kind is Reference and identity[0] == customer_namespace("stripe"):
            owner = f"c_{self.crowd.number(identity[1]):07d}"
            made = Reference(namespace=identity[0], key=identity[1], target=(owner,))
        else:
            return super().get(kind, *identity)
        return cast("R", made)

    def list_within(
        self,
        kind: type[R],
        *within: str,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[R]:
        self.reads[kind.__name__] += 1
        if kind is Customer:
            start = int(cursor or 0)
            end = min(start + limit, self.crowd.size)
            items: Any = tuple(self.crowd.customer(number) for number in range(start, end))
            return Page(items, str(end) if end < self.crowd.size else None)
        if kind is Subscription and within[0].startswith("c_"):
            held: Any = self.crowd.subscription(self.crowd.number(within[0]))
            return Page(held, None)
        return super().list_within(
            kind, *within, limit=limit, cursor=cursor, newest_first=newest_first
        )


@dataclass(slots=True)
class CrowdProvider(FakeBillingProvider):
    """`asked` counts the calls by method; each takes its time."""

    crowd: Crowd | None = None
    asked: Counter[str] = field(default_factory=Counter)

    def _enter(self, call: Call) -> None:
        self.asked[call.method] += 1
        cast("FakeClock", self.clock).advance(seconds=CALL_SECONDS)

    def _read(self, method: str, *arguments: Any) -> None:
        self._enter(Call(method, arguments))

    def list_subscriptions(self, customer_billing_id: str) -> tuple[ProviderSubscription, ...]:
        self._read("list_subscriptions")
        assert self.crowd is not None
        return self.crowd.truth(self.crowd.number(customer_billing_id))

    def get_customer(self, billing_id: str) -> ProviderCustomer | None:
        self._read("get_customer")
        assert self.crowd is not None
        marks = {
            "paygrade_entity_id": f"c_{self.crowd.number(billing_id):07d}",
            "paygrade_entity_type": "customer",
            "paygrade_environment": "test",
        }
        return ProviderCustomer(billing_id=billing_id, url=None, metadata=marks)

    def live_subscriptions(self, cursor: str | None) -> ProviderSubscriptions:
        self._read("live_subscriptions")
        assert self.crowd is not None
        start = int(cursor or 0)
        end = min(start + 10 * _LISTED, self.crowd.size)
        found = tuple(
            truth for number in range(start, end, 10) for truth in self.crowd.truth(number)
        )
        return ProviderSubscriptions(
            subscriptions=found, next_cursor=str(end) if end < self.crowd.size else None
        )


class CrowdedWorld:
    """`ports` over so many customers; `store.reads` and `billing.asked` count."""

    def __init__(self, size: int) -> None:
        world = World()
        world.sell("pro", a_price("m"), entitlements=[a_value("sso", True)])
        world.customer()
        world.buy()
        world.converge()
        world.clock.advance(minutes=30)
        crowd = Crowd(
            size,
            Template(
                world.stored_customer(ACME),
                world.subscriptions()[0],
                next(iter(world.billing.subscriptions.values())),
            ),
        )
        self.clock = world.clock
        self.queue = world.queue
        self.store = CrowdStore(world.clock)
        self.store.crowd = crowd
        self.store.reads = Counter()
        self.store.records = dict(world.store.records)
        self.store.commits = cast("Any", deque(maxlen=1))
        self.billing = CrowdProvider(world.clock, crowd=crowd)
        self.billing.products = world.billing.products
        self.billing._prices = world.billing._prices
        providers = cast("Providers", FakeProviders([self.billing]))
        self.ports = replace(world.ports, store=self.store, providers=providers)
        crowd.ports = self.ports

    def lambdas(self, seconds: float) -> Iterator["Invocation"]:
        """Deadlines, each for one invocation of so long."""
        while True:
            yield Invocation(self.clock, seconds)


class Invocation:
    """A `Deadline` by the world's clock."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        self._clock = clock
        self.began = clock.now()
        self._end = self.began + timedelta(seconds=seconds)

    def remaining_seconds(self) -> float:
        return (self._end - self._clock.now()).total_seconds()
