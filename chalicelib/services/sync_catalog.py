"""Carrying a package to one billing provider, as it is published now.

Nothing is assumed about what an earlier try did: the provider is asked what it holds, the difference to what it
must hold becomes steps, and each step is idempotent. So it can be repeated, overtaken or cut off anywhere.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from chalicelib.domain.billing import (
    CatalogStep,
    CreatePrice,
    CreateProduct,
    SyncStatus,
)
from chalicelib.domain.catalog_mirror import is_billed
from chalicelib.domain.errors import (
    BusyError,
    DomainError,
    NotFoundError,
    ProviderRefusedError,
    ProviderUnavailableError,
    StoreConflictError,
)
from chalicelib.domain.meters import CreateMeter, UpdateMeter
from chalicelib.domain.package_mirror import PackageMirror, package_matches, package_steps
from chalicelib.domain.plans import Package, PackageVersion
from chalicelib.domain.references import Reference, price_namespace
from chalicelib.domain.sync import CatalogLink, PriceLink
from chalicelib.ports import Absent, Anyhow, AtRevision, BillingProvider, Ports, Put
from chalicelib.services.mirror_catalog import apply_meter, held_at, wanted_at
from chalicelib.services.snapshots import published_version

# Longer than any invocation can run, so whoever let a lease lapse is not writing to the provider any more.
LEASE: Final = timedelta(seconds=90)
_GENERATIONS_KEPT: Final = 200
_WRITES_AT_ONCE: Final = 50


def sync_package(ports: Ports, provider: BillingProvider, kind: str, package_id: str) -> int:
    """The provider holds exactly the package's mirror; returns how many steps that took."""
    # The lease is conditional on the link as it is read here, BEFORE the package: whoever leases it in between, to
    # carry a newer version over, makes our own lease fail. The older version is never written last.
    link = ports.store.get(CatalogLink, kind, package_id, provider.name)
    package = ports.store.get(Package, kind, package_id)
    if package is None:
        raise NotFoundError(kind, package_id)
    if package.published_version is None:
        return 0
    version = published_version(ports, package.kind, package.id, package.published_version)
    if link is None and not is_billed(version):
        return 0
    link = _lease(ports, provider.name, package, link)
    try:
        return _drive(ports, provider, link, package, version)
    except ProviderRefusedError as error:
        _release(ports, link, error.detail, SyncStatus.ERROR)
        raise
    except DomainError as error:
        _release(ports, link, error.detail)
        raise


def _lease(ports: Ports, provider: str, package: Package, link: CatalogLink | None) -> CatalogLink:
    """The link with our name on it: nobody else changes the provider's copy of this package until it is released.

    Timeline of two workers: A leases at revision 7, B's put on revision 7 is refused and B retries later. If A
    is killed, B waits out `LEASE`, after which A's invocation can't be alive.
    """
    now = ports.clock.now()
    owner = ports.ids.new("lease_")
    if link is None:
        leased = CatalogLink(
            provider=provider,
            kind=package.kind,
            package_id=package.id,
            sync_status=SyncStatus.PENDING,
            lease_until=now + LEASE,
            lease_owner=owner,
        )
        condition: Absent | AtRevision = Absent()
    else:
        if link.lease_until is not None and link.lease_until > now:
            raise BusyError(f"{package.kind} {package.id!r} is being synced by another worker.")
        leased = replace(
            link, lease_until=now + LEASE, lease_owner=owner, revision=link.revision + 1
        )
        condition = AtRevision(number=link.revision)
    try:
        ports.store.commit(Put(leased, condition))
    except StoreConflictError as error:
        raise BusyError(
            f"{package.kind} {package.id!r} is being synced by another worker."
        ) from error
    return leased


def _release(
    ports: Ports, leased: CatalogLink, error: str, status: SyncStatus | None = None
) -> None:
    """The lease is free again, if it is still ours, and the link says what went wrong."""
    current = ports.store.get(CatalogLink, leased.kind, leased.package_id, leased.provider)
    if current is None or current.lease_owner != leased.lease_owner:
        return
    freed = replace(
        current,
        lease_until=None,
        lease_owner=None,
        error=error,
        sync_status=status or current.sync_status,
        revision=current.revision + 1,
    )
    ports.store.commit(Put(freed, AtRevision(number=current.revision)))


def _drive(
    ports: Ports,
    provider: BillingProvider,
    link: CatalogLink,
    package: Package,
    version: PackageVersion,
) -> int:
    desired = wanted_at(ports, provider, package, version)
    link = _remember_products(ports, link, desired)
    observed = held_at(provider, desired, link)
    steps = package_steps(desired, observed)
    billing_ids = {
        key: price.billing_id for key, price in package_matches(desired, observed).items()
    }
    own = observed.products.get(desired.own.product_key)
    product_id = own.billing_id if own is not None else None
    for step in steps:
        if isinstance(step, CreateMeter | UpdateMeter):
            apply_meter(provider, step)
            continue
        made = _take(ports, provider, link, step)
        link = made.link
        if isinstance(step, CreateProduct):
            is_own = step.product.product_key == desired.own.product_key
            product_id = made.billing_id if is_own else product_id
        elif isinstance(step, CreatePrice):
            billing_ids[step.price.lookup_key] = made.billing_id
    _settle(ports, provider, link, version.number, desired, product_id, billing_ids)
    return len(steps)


def _remember_products(ports: Ports, link: CatalogLink, desired: PackageMirror) -> CatalogLink:
    """The link names every further product before it is made, so that none is ever lost sight of."""
    keys = dict.fromkeys((*link.product_keys, *(one.product_key for one in desired.products[1:])))
    if len(keys) == len(link.product_keys):
        return link
    remembered = replace(link, product_keys=tuple(keys), revision=link.revision + 1)
    ports.store.commit(Put(remembered, AtRevision(number=link.revision)))
    return remembered


@dataclass(frozen=True, slots=True)
class _Taken:
    link: CatalogLink
    billing_id: str


def _take(ports: Ports, provider: BillingProvider, link: CatalogLink, step: CatalogStep) -> _Taken:
    """The step is done; a creation's key is never used for a second one.

    A creation whose answer was lost is repeated under the same key, even by a later invocation, and finds its
    first result. The key moves on as soon as the provider has stored an answer under it: a success, because
    what was made may be archived and be needed anew within the day for which the provider replays; a server
    error, because it would be replayed too. Other steps set absolute values and get a key of this lease's own:
    under a key that outlives the lease, archiving the same price a second time would replay and do nothing.
    """
    base = f"paygrade:{ports.environment.name}:{type(step).__name__}"
    digest = hashlib.sha256(repr(step).encode()).hexdigest()[:24]
    if not isinstance(step, CreateProduct | CreatePrice):
        billing_id = provider.apply(step, f"{base}:{digest}:{link.lease_owner}")
        return _Taken(link, billing_id)
    generation = link.generations.get(digest, 0)
    try:
        billing_id = provider.apply(step, f"{base}:{digest}:{generation}")
    except ProviderUnavailableError as error:
        if error.definite:
            _next_generation(ports, link, digest)
        raise
    return _Taken(_next_generation(ports, link, digest), billing_id)


def _next_generation(ports: Ports, link: CatalogLink, digest: str) -> CatalogLink:
    others = {key: number for key, number in link.generations.items() if key != digest}
    # Only the newest, which stand last, matter: the provider forgets a key after a day.
    generations = {**others, digest: link.generations.get(digest, 0) + 1}
    newest = dict(list(generations.items())[-_GENERATIONS_KEPT:])
    advanced = replace(link, generations=newest, revision=link.revision + 1)
    ports.store.commit(Put(advanced, AtRevision(number=link.revision)))
    return advanced


def _settle(
    ports: Ports,
    provider: BillingProvider,
    link: CatalogLink,
    number: int,
    desired: PackageMirror,
    product_id: str | None,
    billing_ids: Mapping[str, str],
) -> None:
    """The link and the references tell where every price is, and the lease is free."""
    current = {
        billing_ids[mirror.lookup_key]: PriceLink(
            price_id=mirror.price.id,
            fingerprint=mirror.fingerprint,
            billing_id=billing_ids[mirror.lookup_key],
            url=provider.price_url(billing_ids[mirror.lookup_key]),
            active=True,
        )
        for product in desired.products
        for mirror in product.prices
    }
    past = (
        replace(known, active=False) for known in link.prices if known.billing_id not in current
    )
    known_ids = {known.billing_id for known in link.prices}
    references = [
        Reference(
            namespace=price_namespace(provider.name),
            key=price.billing_id,
            target=(link.kind, link.package_id, price.price_id, price.fingerprint),
        )
        for price in current.values()
        if price.billing_id not in known_ids
    ]
    # The references go first: a link that names a price is the promise that the price leads back to us.
    for start in range(0, len(references), _WRITES_AT_ONCE):
        ports.store.commit(
            *(Put(one, Anyhow()) for one in references[start : start + _WRITES_AT_ONCE])
        )
    settled = replace(
        link,
        sync_status=SyncStatus.SYNCED if desired.own.active else SyncStatus.NOT_REQUIRED,
        billing_id=product_id,
        url=provider.product_url(product_id) if product_id else None,
        prices=(*past, *current.values()),
        error=None,
        synced_version=number,
        synced_at=ports.clock.now(),
        lease_until=None,
        lease_owner=None,
        revision=link.revision + 1,
    )
    ports.store.commit(Put(settled, AtRevision(number=link.revision)))
