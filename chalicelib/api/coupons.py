"""Coupons over HTTP."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.billing_links import BillingLinkOut, links_from_domain
from chalicelib.api.http import Call, Reply, endpoint
from chalicelib.api.orders import CODE_PATTERN
from chalicelib.api.wire import (
    ChosenId,
    Count,
    ListOut,
    Metadata,
    MetadataPatch,
    Name,
    NoBody,
    NoQuery,
    PageQuery,
    Revision,
    Wire,
    absent,
    given,
    list_answer,
)
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.billing import BillingLink, SyncStatus
from chalicelib.domain.coupons import AmountOff, Coupon, CouponDuration, CouponId
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.sync import CatalogLink, CouponKind
from chalicelib.ports import Ports
from chalicelib.services import manage_coupons
from chalicelib.services.listing import all_within

bp = Blueprint(__name__)

# No money: a number, as Stripe has it.
Percent = Annotated[float, Field(gt=0, le=100, description="Per cent, up to two places.")]


class AmountOffModel(Wire):
    """Minor units that are taken off in this currency."""

    amount: Count
    currency: Annotated[str, Field(pattern=r"^[a-z]{3}$")]


class CouponCreate(Wire):
    """A coupon to be: `percent_off` or `amounts_off`, which never change."""

    id: ChosenId
    name: Name
    percent_off: Percent | None = None
    amounts_off: Annotated[tuple[AmountOffModel, ...], Field(max_length=50)] = ()
    duration: CouponDuration = CouponDuration.ONCE
    duration_months: Annotated[int, Field(ge=1, le=120)] | None = None
    promotion_code: Annotated[str, Field(pattern=CODE_PATTERN)] | None = None
    metadata: Metadata = Field(default_factory=dict)

    def to_domain(self, now: datetime) -> Coupon:
        """The coupon, as it is created now."""
        return Coupon(
            id=CouponId(self.id),
            name=self.name,
            percent_off=None if self.percent_off is None else Decimal(str(self.percent_off)),
            amounts_off=tuple(
                AmountOff(amount=one.amount, currency=one.currency) for one in self.amounts_off
            ),
            duration=self.duration,
            duration_months=self.duration_months,
            promotion_code=self.promotion_code,
            metadata=self.metadata,
            created_at=now,
        )


class CouponUpdate(Wire):
    """What may change of a coupon; its money may not. Absent fields stay."""

    name: Name = absent("")
    metadata: MetadataPatch | None = absent(None)
    version: Revision | None = absent(None)


class CouponOut(Wire):
    """A discount on what is bought with it."""

    object: Literal["coupon"] = "coupon"
    id: str
    name: str
    percent_off: float | None
    amounts_off: tuple[AmountOffModel, ...]
    duration: CouponDuration
    duration_months: int | None
    promotion_code: str | None
    metadata: dict[str, str]
    status: Lifecycle
    version: int
    sync_status: SyncStatus
    billing: tuple[BillingLinkOut, ...]
    created_at: datetime


@endpoint(
    bp,
    "POST",
    "/coupons",
    scope=Scope.CATALOG_WRITE,
    summary="Create a coupon",
    answer=CouponOut,
    body=CouponCreate,
    status=201,
    also={200: "The coupon existed with the same content."},
)
def create_coupon(call: Call[CouponCreate, NoQuery]) -> Reply[CouponOut]:
    """Billing providers are told of it. An id or a promotion code that is taken is refused with `already_exists`."""
    wanted = call.body.to_domain(call.ports.clock.now())
    coupon, created = manage_coupons.create_coupon(call.ports, call.cause, wanted)
    return Reply(_shown(call.ports, coupon), status=201 if created else 200)


@endpoint(
    bp,
    "GET",
    "/coupons",
    scope=Scope.CATALOG_READ,
    summary="List coupons",
    answer=ListOut[CouponOut],
    query=PageQuery,
)
def list_coupons(call: Call[NoBody, PageQuery]) -> ListOut[CouponOut]:
    """In the order of their ids, archived ones included."""
    ports = call.ports
    page = ports.store.list_within(Coupon, limit=call.query.limit, cursor=call.query.cursor)
    return list_answer(page, lambda coupon: _shown(ports, coupon))


@endpoint(
    bp,
    "GET",
    "/coupons/{coupon_id}",
    scope=Scope.CATALOG_READ,
    summary="Get a coupon",
    answer=CouponOut,
)
def get_coupon(call: Call[NoBody, NoQuery]) -> CouponOut:
    """The coupon as it is now."""
    return _shown(call.ports, manage_coupons.get_coupon(call.ports, call.path["coupon_id"]))


@endpoint(
    bp,
    "PATCH",
    "/coupons/{coupon_id}",
    scope=Scope.CATALOG_WRITE,
    summary="Edit a coupon",
    answer=CouponOut,
    body=CouponUpdate,
)
def update_coupon(call: Call[CouponUpdate, NoQuery]) -> CouponOut:
    """What it takes off, how long and by which code never changes: archive it and make another."""
    changes = given(call.body, "name", "metadata")
    coupon_id = CouponId(call.path["coupon_id"])
    coupon = manage_coupons.edit_coupon(
        call.ports, call.cause, coupon_id, changes, version=call.body.version
    )
    return _shown(call.ports, coupon)


@endpoint(
    bp,
    "POST",
    "/coupons/{coupon_id}/archive",
    scope=Scope.CATALOG_WRITE,
    summary="Archive a coupon",
    answer=CouponOut,
)
def archive_coupon(call: Call[NoBody, NoQuery]) -> CouponOut:
    """Nobody can be given it any more, and its promotion code is free; who has it keeps it."""
    coupon_id = CouponId(call.path["coupon_id"])
    return _shown(call.ports, manage_coupons.archive_coupon(call.ports, call.cause, coupon_id))


@endpoint(
    bp,
    "POST",
    "/coupons/{coupon_id}/unarchive",
    scope=Scope.CATALOG_WRITE,
    summary="Unarchive a coupon",
    answer=CouponOut,
)
def unarchive_coupon(call: Call[NoBody, NoQuery]) -> CouponOut:
    """It can be given again; refused with `already_exists` if its promotion code is another's by now."""
    coupon_id = CouponId(call.path["coupon_id"])
    return _shown(call.ports, manage_coupons.unarchive_coupon(call.ports, call.cause, coupon_id))


def _shown(ports: Ports, coupon: Coupon) -> CouponOut:
    known = {
        link.provider: link
        for link in all_within(ports.store, CatalogLink, CouponKind.COUPON, coupon.id)
    }
    links = [
        _link(name, known.get(name), coupon)
        for name in dict.fromkeys((*ports.providers.names(), *known))
    ]
    statuses = {link.sync_status for link in links}
    worst = (SyncStatus.ERROR, SyncStatus.PENDING, SyncStatus.SYNCED)
    return CouponOut(
        id=coupon.id,
        name=coupon.name,
        percent_off=None if coupon.percent_off is None else float(coupon.percent_off),
        amounts_off=tuple(
            AmountOffModel(amount=one.amount, currency=one.currency) for one in coupon.amounts_off
        ),
        duration=coupon.duration,
        duration_months=coupon.duration_months,
        promotion_code=coupon.promotion_code,
        metadata=dict(coupon.metadata),
        status=coupon.status,
        version=coupon.version,
        sync_status=next((one for one in worst if one in statuses), SyncStatus.NOT_REQUIRED),
        billing=links_from_domain(links),
        created_at=coupon.created_at,
    )


def _link(provider: str, link: CatalogLink | None, coupon: Coupon) -> BillingLink:
    if link is None:
        return BillingLink(provider=provider, billing_id=None, sync_status=SyncStatus.PENDING)
    is_behind = link.sync_status is not SyncStatus.ERROR and link.synced_version != coupon.version
    return BillingLink(
        provider=provider,
        billing_id=link.billing_id,
        url=link.url,
        sync_status=SyncStatus.PENDING if is_behind else link.sync_status,
        error=link.error,
        synced_at=link.synced_at,
    )
