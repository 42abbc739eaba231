"""One environment with every port in memory, and short ways to say what is in it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from chalicelib.domain.audit_log import AuditEntry, Cause
from chalicelib.domain.billing import ProviderEvent
from chalicelib.domain.customers import Customer
from chalicelib.domain.decisions import Question
from chalicelib.domain.features import Feature, FeatureType, Lifecycle
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId
from chalicelib.domain.orders import Order
from chalicelib.domain.plans import Package, PackageKind, PackageVersion
from chalicelib.domain.prices import Price
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import Subscription
from chalicelib.domain.sync import CatalogLink, SyncTask, SyncTaskStatus
from chalicelib.ports import Anyhow, Environment, Ports, Providers, Put, Record
from chalicelib.services.audit_chain import ChainedLedger, ChainedStore
from chalicelib.services.check_access import Checked, check_access
from chalicelib.services.converge_customer import Converged, converge_customer
from chalicelib.services.listing import all_within
from chalicelib.services.manage_customers import CustomerDetails, create_customer
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.start_checkout import start_checkout
from tests.factories import ACME, ENVIRONMENT, a_feature, a_package, a_version
from tests.fakes.billing import FakeBillingProvider, FakeProviders
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import InMemorySnapshotReader, InMemoryStore
from tests.fakes.system import FakeClock, RecordingMonitor, SequentialIds
from tests.fakes.webhooks import FakeWebhookSender

API_VERSION = "2030-01-01.test"
SHOP = "https://shop.example.test"


def a_cause(operation_id: str = "op_1") -> Cause:
    return Cause(actor="test", request_id=f"req_{operation_id}", operation_id=operation_id)


@dataclass
class World:
    """`billing` is the only provider and called stripe; without `has_billing` there is none."""

    clock: FakeClock = field(default_factory=FakeClock)
    ids: SequentialIds = field(default_factory=SequentialIds)
    queue: RecordingQueue = field(default_factory=RecordingQueue)
    monitor: RecordingMonitor = field(default_factory=RecordingMonitor)
    webhooks: FakeWebhookSender = field(default_factory=FakeWebhookSender)
    has_billing: bool = True

    def __post_init__(self) -> None:
        self.webhooks.clock = self.clock
        self.store = InMemoryStore(self.clock)
        self.reader = InMemorySnapshotReader(self.store)
        self.billing = FakeBillingProvider(self.clock)
        self.ports = Ports(
            environment=Environment(
                name=ENVIRONMENT,
                live=False,
                public_url="https://api.example.test",
                return_origins=(SHOP,),
                billing_api_version=API_VERSION,
            ),
            store=ChainedStore(self.store),
            snapshots=self.reader,
            usage=ChainedLedger(self.reader.ledger, self.store),
            queue=self.queue,
            providers=cast("Providers", FakeProviders([self.billing] if self.has_billing else [])),
            billing_events=cast("Any", None),
            webhooks=self.webhooks,
            clock=self.clock,
            ids=self.ids,
            monitor=self.monitor,
        )

    def limit_checkouts(self, per_minute: int) -> None:
        """So many a minute may a customer begin."""
        environment = replace(self.ports.environment, checkouts_per_minute=per_minute)
        self.ports = replace(self.ports, environment=environment)

    # --- The catalog --------------------------------------------------------------------------------------

    def put(self, *records: Record) -> None:
        self.store.commit(*(Put(record, Anyhow()) for record in records))

    def features(self, **kinds: FeatureType) -> None:
        for feature_id, kind in kinds.items():
            if self.store.get(Feature, feature_id) is None:
                self.put(a_feature(feature_id, kind))

    def publish(
        self,
        package_id: str = "pro",
        *prices: Price,
        kind: PackageKind = PackageKind.PLAN,
        product_id: str = "app",
        **content: Any,
    ) -> PackageVersion:
        """The next version, with its task in the outbox; features it names are made as needed."""
        held = self.store.get(Package, kind, package_id)
        number = (held.latest_version if held else 0) + 1
        version = a_version(
            package_id, number, kind=kind, product_id=product_id, prices=prices, **content
        )
        for entitlement in version.entitlements:
            self.features(**{entitlement.feature_id: _kind_of(entitlement.value)})
        for price in prices:
            if price.feature_id is not None:
                self.features(**{price.feature_id: FeatureType.METERED})
        package = held or a_package(package_id, kind=kind, product_id=product_id)
        package = replace(
            package,
            published_version=number,
            latest_version=number,
            revision=package.revision + 1,
        )
        self.put(version, package, self._task(package, f"sync_{package_id}_{number}"))
        return version

    def archive(self, package_id: str = "pro", status: Lifecycle = Lifecycle.ARCHIVED) -> SyncTask:
        held = self.store.get(Package, PackageKind.PLAN, package_id)
        assert held is not None
        task = self._task(held, self.ids.new("sync_"))
        self.put(replace(held, status=status, revision=held.revision + 1), task)
        return task

    def _task(self, package: Package, task_id: str) -> SyncTask:
        now = self.clock.now()
        return SyncTask(
            id=task_id,
            kind=package.kind,
            package_id=package.id,
            status=SyncTaskStatus.PENDING,
            reason="published",
            created_at=now,
            updated_at=now,
        )

    def sync(self) -> None:
        """Every task in the outbox is done."""
        for task in self.store.all(SyncTask):
            if task.status is SyncTaskStatus.PENDING:
                run_sync_task(self.ports, task.id)

    def sell(self, package_id: str = "pro", *prices: Price, **fields: Any) -> PackageVersion:
        """Published, and known to the provider."""
        version = self.publish(package_id, *prices, **fields)
        self.sync()
        return version

    def link(self, package_id: str = "pro", kind: PackageKind = PackageKind.PLAN) -> CatalogLink:
        found = self.store.get(CatalogLink, kind, package_id, self.billing.name)
        assert found is not None
        return found

    def price_id(self, package_id: str, price_id: str, **fields: Any) -> str:
        """The provider's id of the price that is sold now."""
        return next(
            price.billing_id
            for price in self.link(package_id, **fields).prices
            if price.price_id == price_id and price.active
        )

    # --- Customers -------------------------------------------------------------------------------------------

    def customer(self, customer_id: str = ACME, **details: Any) -> Customer:
        details.setdefault("metadata", {})
        made, _ = create_customer(
            self.ports, a_cause(), CustomerId(customer_id), CustomerDetails(**details)
        )
        return made

    def stored_customer(self, customer_id: str = ACME) -> Customer:
        found = self.store.get(Customer, customer_id)
        assert found is not None
        return found

    def subscriptions(self, customer_id: str = ACME) -> tuple[Subscription, ...]:
        return all_within(self.store, Subscription, customer_id)

    def snapshot(self, customer_id: str = ACME) -> Snapshot:
        found = self.store.get(Snapshot, customer_id)
        assert found is not None
        return found

    def check(
        self, feature_id: str, question: Question | None = None, customer_id: str = ACME
    ) -> Checked:
        def feature_type(wanted: str) -> str | None:
            found = self.store.get(Feature, wanted)
            return found.type if found is not None else None

        return check_access(
            self.reader,
            feature_type,
            CustomerId(customer_id),
            feature_id,
            question or Question(),
            self.clock.now(),
        )

    def audited(self, entity: str) -> tuple[AuditEntry, ...]:
        return all_within(self.store, AuditEntry, entity)

    def buy(self, plan_id: str = "pro", customer_id: str = ACME, **fields: Any) -> str:
        """The customer paid for the plan, and we have not heard of it; the provider's id of the subscription."""
        order = an_order(plan_id, customer_id, **fields)
        session = start_checkout(self.ports, a_cause(), order)
        assert session.billing_id is not None
        return self.billing.pay(session.billing_id).billing_id

    def converge(self, customer_id: str = ACME) -> Converged:
        return converge_customer(self.ports, a_cause(), CustomerId(customer_id), self.billing.name)

    # --- What the provider notifies us of ------------------------------------------------------------------------

    def event(
        self,
        event_id: str = "evt_1",
        event_type: str = "customer.subscription.updated",
        customer_billing_id: str | None = "cus_1",
        **fields: Any,
    ) -> ProviderEvent:
        fields.setdefault("live", False)
        fields.setdefault("api_version", API_VERSION)
        fields.setdefault("object_id", None)
        fields.setdefault("created_at", self.clock.now())
        return ProviderEvent(
            id=event_id, type=event_type, customer_billing_id=customer_billing_id, **fields
        )


def an_order(
    plan_id: str = "pro",
    customer_id: str = ACME,
    *,
    quantities: Mapping[str, int] | None = None,
    **fields: Any,
) -> Order:
    held = {FeatureId(key): number for key, number in (quantities or {}).items()}
    return Order(
        customer_id=CustomerId(customer_id),
        plan_id=PackageId(plan_id),
        quantities=held,
        **fields,
    )


def calls_of(world: World, methods: Iterable[str]) -> int:
    """How often the provider was asked for these."""
    wanted = set(methods)
    return sum(call.method in wanted for call in world.billing.calls)


def _kind_of(value: object) -> FeatureType:
    if isinstance(value, bool):
        return FeatureType.BOOLEAN
    return FeatureType.NUMERIC if isinstance(value, int) else FeatureType.METERED
