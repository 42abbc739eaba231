"""What a draft would mean for its package's subscribers: at once for a few, in slices for many."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

from chalicelib.domain.customers import Customer
from chalicelib.domain.entitlements import inherit
from chalicelib.domain.errors import NothingToPublishError, StoreConflictError
from chalicelib.domain.features import Feature
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId
from chalicelib.domain.impacts import (
    Consequence,
    ImpactRun,
    ImpactStatus,
    Tally,
    added,
    effects_between,
)
from chalicelib.domain.migrations import at_version, held_quantity, held_version
from chalicelib.domain.monthly import monthly_charge
from chalicelib.domain.plans import (
    Migration,
    Package,
    PackageKind,
    PackageVersion,
    version_key,
)
from chalicelib.domain.prices import Terms
from chalicelib.domain.snapshot_documents import SnapshotDocument, document_of, epoch_ms
from chalicelib.domain.snapshots import compile_snapshot
from chalicelib.domain.spans import VersionKey, spans
from chalicelib.domain.subscribers import SHARDS, Subscriber, shard_key
from chalicelib.domain.subscriptions import Subscription, SubscriptionStatus
from chalicelib.ports import (
    Absent,
    AtRevision,
    Deadline,
    Message,
    Ports,
    Put,
    QueueName,
)
from chalicelib.services.count_subscribers import subscribers
from chalicelib.services.listing import all_within
from chalicelib.services.optimistic import retried
from chalicelib.services.snapshots import current_grants
from chalicelib.services.view_packages import get_package, sold_version

AT_ONCE: Final = 500
_SLICE: Final = 50
_SLICE_SECONDS: Final = 15.0
_PAYING: Final = frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """The tally, and whether everybody is in it."""

    status: ImpactStatus
    tally: Tally


def reckon_impact(ports: Ports, package: Package) -> Impact:
    """The impact of the package's draft: counted now if few subscribe, otherwise as far as its run has come."""
    draft = draft_version(ports, package)
    reckoner = _Reckoner(ports, draft)
    tally = Tally()
    for one in subscribers(ports.store, package.kind, package.id):
        if tally.subscribers == AT_ONCE:
            run = ports.store.get(ImpactRun, package.kind, package.id)
            if run is None or run.package_revision != package.revision:
                return Impact(status=ImpactStatus.NOT_STARTED, tally=Tally())
            return Impact(status=run.status, tally=run.tally)
        tally = _counted(tally, reckoner, one)
    return Impact(status=ImpactStatus.COMPLETE, tally=tally)


def start_impact(ports: Ports, kind: PackageKind, package_id: PackageId) -> ImpactRun:
    """A count of the draft as it is now is under way or done.

    Raises:
        NotFoundError: There is no such package.
        NothingToPublishError: It has no draft.
    """

    def attempt() -> ImpactRun:
        package = get_package(ports.store, kind, package_id)
        draft_version(ports, package)
        held = ports.store.get(ImpactRun, kind, package_id)
        if held is not None and held.package_revision == package.revision:
            return held
        now = ports.clock.now()
        run = ImpactRun(
            kind=kind,
            package_id=package_id,
            package_revision=package.revision,
            started_at=now,
            updated_at=now,
            revision=1 if held is None else held.revision + 1,
        )
        condition = Absent() if held is None else AtRevision(number=held.revision)
        ports.store.commit(Put(run, condition))
        return run

    run = retried(attempt)
    if run.status is ImpactStatus.RUNNING:
        _send(ports, run)
    return run


def _send(ports: Ports, run: ImpactRun) -> None:
    body = {"impact_of": run.kind.value, "package_id": run.package_id}
    group = f"impact:{run.kind}:{run.package_id}"
    ports.queue.send(Message(queue=QueueName.MIGRATE, group=group, body=body))


def continue_impact(
    ports: Ports, kind: PackageKind, package_id: PackageId, deadline: Deadline
) -> ImpactRun | None:
    """The count is complete, or has come as far as the time allowed and is queued to go on; None if there is none."""
    run = ports.store.get(ImpactRun, kind, package_id)
    reckoner: _Reckoner | None = None
    while run is not None and run.status is ImpactStatus.RUNNING:
        if deadline.remaining_seconds() < _SLICE_SECONDS:
            _send(ports, run)
            return run
        package = get_package(ports.store, kind, package_id)
        if package.revision != run.package_revision:
            following = replace(run, status=ImpactStatus.STALE)
        else:
            reckoner = reckoner or _Reckoner(ports, draft_version(ports, package))
            following = _slice(ports, reckoner, run)
        stored = replace(following, updated_at=ports.clock.now(), revision=run.revision + 1)
        try:
            ports.store.commit(Put(stored, AtRevision(number=run.revision)))
        except StoreConflictError:
            # A second delivery of the message works on the same run; one of the two is enough.
            return ports.store.get(ImpactRun, kind, package_id)
        run = stored
    return run


def _slice(ports: Ports, reckoner: "_Reckoner", run: ImpactRun) -> ImpactRun:
    page = ports.store.list_within(
        Subscriber, run.kind, run.package_id, shard_key(run.shard), limit=_SLICE, cursor=run.cursor
    )
    tally = run.tally
    for one in page.items:
        tally = _counted(tally, reckoner, one)
    shard = run.shard if page.next_cursor is not None else run.shard + 1
    status = ImpactStatus.COMPLETE if shard == SHARDS else run.status
    return replace(run, tally=tally, shard=shard, cursor=page.next_cursor, status=status)


def _counted(tally: Tally, reckoner: "_Reckoner", one: Subscriber) -> Tally:
    consequence = reckoner.consequence(one)
    return tally if consequence is None else added(tally, consequence)


def draft_version(ports: Ports, package: Package) -> PackageVersion:
    """The draft as the version that it would be, whether or not it can be published."""
    content = package.draft
    if content is None:
        raise NothingToPublishError(f"The {package.kind} {package.id!r} has no draft.")
    parent = None
    if content.parent_plan_id is not None:
        held = ports.store.get(Package, PackageKind.PLAN, content.parent_plan_id)
        parent = sold_version(ports.store, held) if held is not None else None
    entitlements = inherit(parent.entitlements if parent else (), content.entitlements)
    known = tuple(
        one for one in entitlements if ports.store.get(Feature, one.feature_id) is not None
    )
    return PackageVersion(
        kind=package.kind,
        id=package.id,
        number=package.latest_version + 1,
        product_id=package.product_id,
        content=content,
        entitlements=known,
        migration=Migration.NEW_CUSTOMERS,
        published_at=ports.clock.now(),
    )


@dataclass(slots=True)
class _Reckoner:
    """Works out consequences of one draft; what many subscribers share is read once."""

    ports: Ports
    draft: PackageVersion
    versions: dict[VersionKey, PackageVersion] = field(default_factory=dict)
    features: dict[FeatureId, Feature] = field(default_factory=dict)

    def consequence(self, one: Subscriber) -> Consequence | None:
        """What the draft means for the subscriber; None if it is one no more."""
        store, draft = self.ports.store, self.draft
        customer = store.get(Customer, one.customer_id)
        hot = self.ports.snapshots.read(one.customer_id, consistent=False)
        held = all_within(store, Subscription, one.customer_id)
        mine = next((sub for sub in held if sub.id == one.subscription_id), None)
        number = held_version(mine, draft.kind, draft.id)
        if customer is None or mine is None or number is None:
            return None
        moved = at_version(mine, draft.kind, draft.id, draft.number)
        after = tuple(moved if sub.id == moved.id else sub for sub in held)
        effects = effects_between(
            self._document(customer, held),
            self._document(customer, after),
            hot.usage if hot is not None else {},
            epoch_ms(self.ports.clock.now()),
            mine.resource_id,
        )
        found = Consequence(customer_id=CustomerId(customer.id), version=number, effects=effects)
        if mine.provider is None or mine.status not in _PAYING:
            return found
        if mine.currency is None or mine.billing_period is None:
            return found
        terms = Terms(
            billing_period=mine.billing_period,
            interval_count=mine.interval_count,
            currency=mine.currency,
        )
        quantity = held_quantity(mine, draft.kind, draft.id)
        now_held = self._version((draft.kind, draft.id, number))
        if not now_held.content.prices and not draft.content.prices:
            return found
        before, after_all = (
            monthly_charge(version, terms, customer.country, quantity, mine.quantities)
            for version in (now_held, draft)
        )
        return replace(found, currency=mine.currency, before=before or Fraction(0), after=after_all)

    def _document(self, customer: Customer, held: tuple[Subscription, ...]) -> SnapshotDocument:
        versions: dict[VersionKey, PackageVersion] = {}
        for span in (span for sub in held for span in spans(sub)):
            versions.update((key, self._version(key)) for key, _ in span.packages)
            for feature_id in span.quantities:
                self._know(feature_id)
        for version in versions.values():
            for entitlement in version.entitlements:
                self._know(entitlement.feature_id)
        grants = current_grants(self.ports, customer.id)
        for grant in grants:
            self._know(grant.entitlement.feature_id)
        snapshot = compile_snapshot(
            customer, held, versions, self.features, version=0, grants=grants
        )
        return document_of(snapshot.document)

    def _version(self, key: VersionKey) -> PackageVersion:
        kind, package_id, number = key
        if key == (self.draft.kind, self.draft.id, self.draft.number):
            return self.draft
        if key not in self.versions:
            found = self.ports.store.get(PackageVersion, kind, package_id, version_key(number))
            if found is None:
                raise LookupError(f"{kind} {package_id} has no version {number}")
            self.versions[key] = found
        return self.versions[key]

    def _know(self, feature_id: FeatureId) -> None:
        if feature_id not in self.features:
            found = self.ports.store.get(Feature, feature_id)
            if found is not None:
                self.features[feature_id] = found
