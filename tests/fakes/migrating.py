"""A shop whose plan gets a second version, with subscribers to move: billed by a provider, and by nobody."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

from chalicelib.domain.features import FeatureType
from chalicelib.domain.ids import CustomerId, PackageId
from chalicelib.domain.migrations import MigrationRun
from chalicelib.domain.plans import (
    Effective,
    Migration,
    PackageKind,
    Rollout,
)
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Providers, QueueName
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.edit_package import edit_package
from chalicelib.services.migrate_subscribers import continue_migration
from chalicelib.services.provision_subscription import provision_subscription
from chalicelib.services.publish_package import publish_package
from chalicelib.services.queue_migrations import resume_migrations
from tests.factories import a_limit, a_price, a_product, a_value
from tests.fakes.billing import FakeProviders
from tests.fakes.moving import MovingProvider
from tests.fakes.world import World, a_cause, an_order

EVERYBODY = Rollout(migration=Migration.ALL_CUSTOMERS, effective=Effective.IMMEDIATE)
WITH_THE_PERIOD = replace(EVERYBODY, effective=Effective.END_OF_PERIOD)
PLAN = PackageKind.PLAN
PRO = PackageId("pro")
FREE = PackageId("free")


@dataclass
class Migrating(World):
    """A world with short ways to draft, publish and migrate. `free` costs nothing, `pro` is paid: 100 calls each."""

    def stock(self) -> None:
        """Both plans are sold."""
        self.put(a_product())
        self.publish("free", entitlements=[a_limit("calls", 100)])
        self.sell("pro", a_price("monthly", 1000), entitlements=[a_limit("calls", 100)])

    def subscribe_free(self, *customer_ids: str) -> None:
        for customer_id in customer_ids:
            self.customer(customer_id)
            cause = a_cause(f"subscribe_{customer_id}")
            provision_subscription(self.ports, cause, an_order("free", customer_id))

    def subscribe_pro(self, *customer_ids: str) -> None:
        for customer_id in customer_ids:
            self.customer(customer_id)
            self.buy("pro", customer_id)
            self.converge(customer_id)

    def draft(self, package_id: PackageId = PRO, **changes: Any) -> None:
        changes.setdefault("entitlements", (a_limit("calls", 50), a_value("sso", True)))
        self.features(sso=FeatureType.BOOLEAN)
        edit_package(self.ports, a_cause("edit"), PLAN, package_id, changes)

    def roll_out(
        self, package_id: PackageId = PRO, rollout: Rollout = EVERYBODY, operation: str = "roll"
    ) -> MigrationRun:
        """The draft is published, the provider knows it, and nobody has been moved yet."""
        publish_package(self.ports, a_cause(operation), PLAN, package_id, rollout)
        self.sync()
        return self.migrations()[-1]

    def migrations(self) -> list[MigrationRun]:
        return self.store.all(MigrationRun)

    def work(self, seconds: float = 60.0, costs: float = 0.0) -> None:
        """Every message about migrations is worked off, and those that follow from it."""
        while any(one.queue is QueueName.MIGRATE for one in self.queue.messages):
            self.queue.drain(
                QueueName.MIGRATE,
                lambda message: continue_migration(
                    self.ports,
                    a_cause("worker"),
                    message.body["migration_id"],
                    Countdown(seconds, costs),
                ),
            )

    def recover(self) -> None:
        """Whatever was lost, the sweep found it; everything is worked off."""
        for _ in range(20):
            self.clock.advance(minutes=10)
            resume_migrations(self.ports)
            self.work()

    def versions(self, package_id: str = "pro") -> dict[str, int]:
        """Which version every customer holds."""
        return {
            held.customer_id: held.plan_version
            for held in self.store.all(Subscription)
            if held.plan_id == package_id and held.is_live
        }

    def run(self, rollout: Rollout = EVERYBODY, operation: str = "roll") -> MigrationRun:
        """The draft of `pro` is published and everybody seen to."""
        self.roll_out(rollout=rollout, operation=operation)
        self.work()
        return self.migrations()[-1]

    def converge_all(self, *customer_ids: str) -> None:
        for customer_id in customer_ids:
            converge_customer(
                self.ports, a_cause("webhook"), CustomerId(customer_id), self.billing.name
            )


@dataclass
class Shop(Migrating):
    """Over a provider in memory."""

    moving: MovingProvider = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.moving = MovingProvider(self.clock)
        self.billing = self.moving
        self.ports = replace(self.ports, providers=cast("Providers", FakeProviders([self.moving])))
        self.stock()


@dataclass
class Countdown:
    """A `Deadline` that comes nearer by `costs` whenever it is looked at."""

    seconds: float
    costs: float = 0.0

    def remaining_seconds(self) -> float:
        self.seconds -= self.costs
        return self.seconds
