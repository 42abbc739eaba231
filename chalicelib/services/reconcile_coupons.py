"""The coupons' page of a reconciliation: what providers hold of them, compared with what they must."""

from chalicelib.domain.coupon_drift import REPORTED_ONLY, coupon_differences
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.errors import DomainError, ProviderRefusedError, StoreConflictError
from chalicelib.domain.reconciliations import Drift, DriftAction, DriftPolicy
from chalicelib.domain.sync import CatalogLink, CouponKind
from chalicelib.ports import BillingProvider, Discounting, Ports
from chalicelib.services.reconcile_parts import PAGE_SIZE, Answering, Page, named
from chalicelib.services.sync_coupon import sync_coupon, wanted_coupon


def coupon_page(ports: Ports, policy: DriftPolicy, cursor: str | None) -> Page:
    """Some coupons are compared with every provider, and made good there where that can be and shall be."""
    page = ports.store.list_within(Coupon, limit=PAGE_SIZE, cursor=cursor)
    drifts: list[Drift] = []
    skipped = 0
    failed = 0
    answering = Answering(ports)
    for coupon in page.items:
        for name in answering.names():
            try:
                drifts += _coupon_drifts(ports, policy, ports.providers.get(name), coupon)
            except StoreConflictError:
                # A worker carries the coupon over at this moment.
                skipped += 1
            except DomainError as error:
                answering.pass_over(f"coupon:{coupon.id}", name, error)
                failed += 1
    return Page(
        drifts=tuple(drifts),
        counts={"coupons": len(page.items), "skipped": skipped, "failed": failed},
        cursor=page.next_cursor,
        away=answering.away,
    )


def _coupon_drifts(
    ports: Ports, policy: DriftPolicy, provider: BillingProvider, coupon: Coupon
) -> tuple[Drift, ...]:
    link = ports.store.get(CatalogLink, CouponKind.COUPON, coupon.id, provider.name)
    if not isinstance(provider, Discounting):
        return ()
    if link is None or link.synced_version != coupon.version:
        # Not carried over yet: that is the outbox's work, not drift.
        return ()
    desired = wanted_coupon(ports, coupon)
    found = coupon_differences(desired, provider.observe_coupon(desired.key))
    lasting = tuple(one for one in found if one.kind in REPORTED_ONLY)
    mendable = tuple(one for one in found if one.kind not in REPORTED_ONLY)
    entity = f"coupon:{coupon.id}"
    done = DriftAction.REPORTED
    if mendable and policy is DriftPolicy.RESTORE:
        try:
            sync_coupon(ports, provider, coupon.id)
            done = DriftAction.REPAIRED
        except ProviderRefusedError as error:
            # What can't be made good is still told of.
            ports.monitor.event("reconcile_object_failed", entity=entity, code=error.code)
    return (*named(mendable, entity, done), *named(lasting, entity, DriftAction.REPORTED))
