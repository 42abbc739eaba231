"""Carrying a coupon to a billing provider: what it holds is looked at, and the difference made good."""

from dataclasses import replace
from typing import Final

from chalicelib.domain.billing import SyncStatus
from chalicelib.domain.catalog_mirror import entity_metadata
from chalicelib.domain.coupons import Coupon, MirrorCoupon, coupon_steps, mirror_coupon
from chalicelib.domain.errors import NotFoundError, ProviderRefusedError
from chalicelib.domain.ids import PackageId
from chalicelib.domain.sync import CatalogLink, CouponKind, PriceLink
from chalicelib.ports import Absent, AtRevision, BillingProvider, Discounting, Ports, Put

CODE: Final = "promotion_code"
"""Stands in a link where a price has its fingerprint."""


def sync_coupon(ports: Ports, provider: BillingProvider, coupon_id: str) -> int:
    """The provider holds the coupon as it is now; returns how many steps that took.

    No lease is needed: every step sets a state under an id of ours, and one that comes back has another id.
    """
    coupon = ports.store.get(Coupon, coupon_id)
    if coupon is None:
        raise NotFoundError("coupon", coupon_id)
    if not isinstance(provider, Discounting):
        return 0
    desired = wanted_coupon(ports, coupon)
    link = ports.store.get(CatalogLink, CouponKind.COUPON, coupon_id, provider.name)
    fresh = CatalogLink(
        provider=provider.name,
        kind=CouponKind.COUPON,
        package_id=PackageId(coupon.id),
        sync_status=SyncStatus.PENDING,
    )
    try:
        steps = coupon_steps(desired, provider.observe_coupon(desired.key))
        for step in steps:
            provider.apply_coupon(step)
    except ProviderRefusedError as error:
        _store(ports, link, replace(fresh, sync_status=SyncStatus.ERROR, error=error.detail))
        raise
    held = provider.observe_coupon(desired.key) if desired.active else None
    codes = tuple(
        PriceLink(
            price_id=code.code,
            fingerprint=CODE,
            billing_id=code.billing_id,
            url=None,
            active=code.active,
        )
        for code in (held.codes if held else ())
    )
    settled = replace(
        fresh,
        sync_status=SyncStatus.SYNCED if desired.active else SyncStatus.NOT_REQUIRED,
        billing_id=desired.key,
        url=provider.coupon_url(desired.key),
        prices=codes,
        synced_version=coupon.version,
        synced_at=ports.clock.now(),
    )
    _store(ports, link, settled)
    return len(steps)


def wanted_coupon(ports: Ports, coupon: Coupon) -> MirrorCoupon:
    """How the coupon must look at any provider of this environment."""
    environment = ports.environment
    metadata = entity_metadata(
        "coupon",
        coupon.id,
        f"coupons/{coupon.id}",
        environment=environment.name,
        public_url=environment.public_url,
    )
    return mirror_coupon(coupon, metadata, environment.name)


def _store(ports: Ports, before: CatalogLink | None, after: CatalogLink) -> None:
    if before is None:
        ports.store.commit(Put(after, Absent()))
    else:
        numbered = replace(after, revision=before.revision + 1)
        ports.store.commit(Put(numbered, AtRevision(number=before.revision)))
