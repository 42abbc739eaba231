"""The packages' page of a reconciliation: what providers hold of plans and add-ons, compared with what they must.

What differs is named before anything is done about it, and with the policy `report` nothing is.
"""

from chalicelib.domain.catalog_drift import package_differences
from chalicelib.domain.catalog_mirror import is_sold
from chalicelib.domain.errors import BusyError, DomainError, ProviderRefusedError
from chalicelib.domain.plans import Package, PackageKind, PackageVersion
from chalicelib.domain.reconciliations import (
    Difference,
    Drift,
    DriftAction,
    DriftKind,
    DriftPolicy,
)
from chalicelib.domain.sync import CatalogLink
from chalicelib.ports import BillingProvider, Ports
from chalicelib.services.mirror_catalog import held_at, wanted_at
from chalicelib.services.reconcile_parts import (
    PAGE_SIZE,
    STUCK,
    Answering,
    Page,
    is_in_outbox,
    named,
)
from chalicelib.services.snapshots import published_version
from chalicelib.services.sync_catalog import sync_package


def package_page(ports: Ports, policy: DriftPolicy, cursor: str | None) -> Page:
    """Some packages are compared with every provider, and made good there unless they are only reported."""
    kind, _, inner = (cursor or PackageKind.PLAN).partition("|")
    page = ports.store.list_within(Package, kind, limit=PAGE_SIZE, cursor=inner or None)
    drifts: list[Drift] = []
    skipped = 0
    failed = 0
    answering = Answering(ports)
    for package in page.items:
        for name in answering.names():
            try:
                drifts += _package_drifts(ports, policy, ports.providers.get(name), package)
            except BusyError:
                skipped += 1
            except DomainError as error:
                answering.pass_over(f"{package.kind}:{package.id}", name, error)
                failed += 1
    following: str | None = None
    if page.next_cursor is not None:
        following = f"{kind}|{page.next_cursor}"
    elif kind == PackageKind.PLAN:
        following = PackageKind.ADDON
    return Page(
        drifts=tuple(drifts),
        counts={"packages": len(page.items), "skipped": skipped, "failed": failed},
        cursor=following,
        away=answering.away,
    )


def _package_drifts(
    ports: Ports, policy: DriftPolicy, provider: BillingProvider, package: Package
) -> tuple[Drift, ...]:
    link = ports.store.get(CatalogLink, package.kind, package.id, provider.name)
    if package.published_version is None:
        return ()
    version = published_version(ports, package.kind, package.id, package.published_version)
    if link is None:
        found = _first_sight(ports, provider, package, version)
    elif link.synced_version != package.published_version:
        # Not carried over yet: that is the outbox's work, not drift.
        return ()
    else:
        desired = wanted_at(ports, provider, package, version)
        found = package_differences(desired, held_at(provider, desired, link))
    if not found:
        return ()
    entity = f"{package.kind}:{package.id}"
    if policy is DriftPolicy.REPORT:
        return named(found, entity, DriftAction.REPORTED)
    try:
        sync_package(ports, provider, package.kind, package.id)
    except ProviderRefusedError as error:
        # What can't be made good is still told of.
        ports.monitor.event("reconcile_object_failed", entity=entity, code=error.code)
        return named(found, entity, DriftAction.REPORTED)
    return named(found, entity, DriftAction.REPAIRED)


def _first_sight(
    ports: Ports, provider: BillingProvider, package: Package, version: PackageVersion
) -> tuple[Difference, ...]:
    """What was published before the provider was configured is missing there; the outbox knows nothing of it."""
    is_fresh = ports.clock.now() - version.published_at <= STUCK
    if is_fresh or not is_sold(package, version) or is_in_outbox(ports, package.identity):
        return ()
    ours = {"provider": provider.name, "version": version.number}
    return (Difference(kind=DriftKind.PRODUCT_MISSING, ours=ours, theirs=None),)
