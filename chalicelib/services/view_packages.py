"""Plans and add-ons as they are shown: one content, and what each billing provider holds of it."""

from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from chalicelib.domain.billing import BillingLink, SyncStatus
from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import PackageId, ProductId
from chalicelib.domain.migrations import MigrationRun
from chalicelib.domain.plans import (
    Package,
    PackageContent,
    PackageKind,
    PackageVersion,
    PricingType,
    version_key,
)
from chalicelib.domain.prices import Price, fingerprint
from chalicelib.domain.sync import CatalogLink
from chalicelib.ports import Page, Ports, Store
from chalicelib.services.listing import all_within

Which = int | Literal["draft"] | None
"""A version's number, the draft, or (None) what is sold, or else the draft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageView:
    """One content of a package; `number` and `published_at` are None when it is the draft."""

    package: Package
    content: PackageContent
    number: int | None
    published_at: datetime | None
    links: tuple[CatalogLink, ...]
    providers: tuple[str, ...]
    migration: MigrationRun | None = None

    @property
    def billing(self) -> tuple[BillingLink, ...]:
        """The package at each provider, configured ones first."""
        known = {link.provider: link for link in self.links}
        return tuple(
            self._package_link(known[name])
            if name in known
            else BillingLink(provider=name, billing_id=None, sync_status=self._unlinked)
            for name in dict.fromkeys((*self.providers, *known))
        )

    @property
    def sync_status(self) -> SyncStatus:
        """The worst of what the configured providers report: one that was removed holds up nothing."""
        statuses = {link.sync_status for link in self.billing if link.provider in self.providers}
        for status in (SyncStatus.ERROR, SyncStatus.PENDING, SyncStatus.SYNCED):
            if status in statuses:
                return status
        return SyncStatus.NOT_REQUIRED

    def price_billing(self, price: Price) -> tuple[BillingLink, ...]:
        """The price at each provider; a draft's price only where its money is known already."""
        shown = []
        for of_package in self.billing:
            link = next((link for link in self.links if link.provider == of_package.provider), None)
            found = link.price(price.id, fingerprint(price)) if link else None
            if found is not None:
                shown.append(
                    BillingLink(
                        provider=of_package.provider,
                        billing_id=found.billing_id,
                        url=found.url,
                        sync_status=SyncStatus.SYNCED,
                        synced_at=of_package.synced_at,
                    )
                )
            elif self.number is not None and of_package.provider in self.providers:
                shown.append(
                    BillingLink(
                        provider=of_package.provider,
                        billing_id=None,
                        sync_status=of_package.sync_status,
                        error=of_package.error,
                    )
                )
        return tuple(shown)

    @property
    def _unlinked(self) -> SyncStatus:
        needed = self.number is not None and self.content.pricing_type is PricingType.PAID
        return SyncStatus.PENDING if needed else SyncStatus.NOT_REQUIRED

    def _package_link(self, link: CatalogLink) -> BillingLink:
        return BillingLink(
            provider=link.provider,
            billing_id=link.billing_id,
            url=link.url,
            sync_status=SyncStatus.PENDING if self._is_behind(link) else link.sync_status,
            error=link.error,
            synced_at=link.synced_at,
        )

    def _is_behind(self, link: CatalogLink) -> bool:
        """Whether the link tells of success, but of an earlier state of the package, and will be told of this one."""
        if link.provider not in self.providers:
            return False
        current = link.synced_version == self.package.published_version
        if link.sync_status is SyncStatus.SYNCED:
            return not current or self.package.status is Lifecycle.ARCHIVED
        if link.sync_status is SyncStatus.NOT_REQUIRED and self.package.status is Lifecycle.ACTIVE:
            is_sold = self.number is not None and self.number == self.package.published_version
            return is_sold and self.content.pricing_type is PricingType.PAID
        return False


def get_package(store: Store, kind: PackageKind, package_id: PackageId) -> Package:
    """The package; raises `NotFoundError` if there is none."""
    package = store.get(Package, kind, package_id)
    if package is None:
        raise NotFoundError(kind, package_id)
    return package


def get_version(store: Store, package: Package, number: int) -> PackageVersion:
    """That version of the package; raises `NotFoundError` if it was never published."""
    version = store.get(PackageVersion, package.kind, package.id, version_key(number))
    if version is None:
        raise NotFoundError(f"version of the {package.kind} {package.id!r}", str(number))
    return version


def sold_version(store: Store, package: Package) -> PackageVersion | None:
    """The version that is sold, or that was when the package was archived; None if it never was."""
    if package.published_version is None:
        return None
    return get_version(store, package, package.published_version)


def show(ports: Ports, package: Package, which: Which = None) -> PackageView:
    """The package with the content asked for; raises `NotFoundError` if it has no such one."""
    number = package.published_version if which is None else which
    if number is not None and number != "draft":
        return show_version(ports, package, get_version(ports.store, package, number))
    if package.draft is None:
        raise NotFoundError(f"draft of the {package.kind}", package.id)
    return PackageView(
        package=package,
        content=package.draft,
        number=None,
        published_at=None,
        links=all_within(ports.store, CatalogLink, package.kind, package.id),
        providers=tuple(ports.providers.names()),
        migration=_migration(ports, package),
    )


def show_version(ports: Ports, package: Package, version: PackageVersion) -> PackageView:
    """The package with the content of the version."""
    return PackageView(
        package=package,
        content=version.content,
        number=version.number,
        published_at=version.published_at,
        links=all_within(ports.store, CatalogLink, package.kind, package.id),
        providers=tuple(ports.providers.names()),
        migration=_migration(ports, package),
    )


def _migration(ports: Ports, package: Package) -> MigrationRun | None:
    if package.migration_id is None:
        return None
    return ports.store.get(MigrationRun, package.migration_id)


def list_packages(
    ports: Ports, kind: PackageKind, *, limit: int, cursor: str | None
) -> tuple[tuple[PackageView, ...], str | None]:
    """A page of packages by id, each with what is sold or else its draft; and the next cursor."""
    page = ports.store.list_within(Package, kind, limit=limit, cursor=cursor)
    return tuple(show(ports, package) for package in page.items), page.next_cursor


def list_versions(
    ports: Ports, package: Package, *, limit: int, cursor: str | None
) -> tuple[tuple[PackageView, ...], str | None]:
    """A page of the package's versions, newest first; and the next cursor."""
    page: Page[PackageVersion] = ports.store.list_within(
        PackageVersion, package.kind, package.id, limit=limit, cursor=cursor, newest_first=True
    )
    views = tuple(show_version(ports, package, version) for version in page.items)
    return views, page.next_cursor


def versions_on_sale(
    store: Store, products: Container[ProductId] | None = None
) -> Iterator[PackageVersion]:
    """The published version of every plan and add-on, of these products or of any, that is not archived."""
    for kind in PackageKind:
        for package in all_within(store, Package, kind):
            if package.status is Lifecycle.ARCHIVED:
                continue
            if products is not None and package.product_id not in products:
                continue
            version = sold_version(store, package)
            if version is not None:
                yield version
