"""A customer with allowances, and short ways to use them."""

from typing import Any, Final

from chalicelib.domain.entitlements import Entitlement, ResetAnchor, ResetPeriod
from chalicelib.domain.features import FeatureType, Meter, UsageKind
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.prices import PriceModel
from chalicelib.services.check_access import Checked
from chalicelib.services.consume import Consumption, consume
from chalicelib.services.report_usage import (
    Reported,
    UpdateBehavior,
    UsageReport,
    report_usage,
)
from tests.factories import ACME, a_feature, a_limit, a_price
from tests.fakes.world import World

MONTH: Final = {"reset_period": ResetPeriod.MONTH, "reset_anchor": ResetAnchor.CALENDAR}


def a_user(
    *entitlements: Entitlement,
    meters: dict[str, Meter] | None = None,
    into: World | None = None,
    **kinds: UsageKind,
) -> World:
    """A customer of a plan with these allowances; keywords say which features go up and down."""
    world = into or World()
    for name, kind in kinds.items():
        world.put(a_feature(name, usage_kind=kind))
    for name, meter in (meters or {}).items():
        world.put(a_feature(name, meter=meter))
    world.features(other=FeatureType.METERED, sso=FeatureType.BOOLEAN)
    world.sell("pro", a_price(), entitlements=entitlements or (a_limit("calls", 10),))
    world.customer()
    world.buy()
    world.converge()
    return world


def sell_usage(world: World, feature: str = "calls", **fields: Any) -> None:
    """There is a plan that charges what is used of the feature, and a customer to buy it."""
    world.put(a_feature(feature, **fields))
    usage = a_price("usage", 2, model=PriceModel.USAGE_BASED, feature_id=feature)
    world.sell("pro", a_price(), usage, entitlements=[a_limit(feature, None, **MONTH)])
    world.customer()


def a_payer(feature: str = "calls", **fields: Any) -> World:
    """A customer whose plan charges what is used of the feature."""
    world = World()
    sell_usage(world, feature, **fields)
    world.buy()
    world.converge()
    return world


def report(
    world: World,
    value: int = 1,
    feature_id: str = "calls",
    *,
    key: str | None = None,
    behavior: UpdateBehavior = UpdateBehavior.DELTA,
    customer_id: str = ACME,
    **fields: Any,
) -> Reported:
    return report_usage(
        world.ports,
        UsageReport(
            customer_id=CustomerId(customer_id),
            feature_id=feature_id,
            value=value,
            behavior=behavior,
            key=key or world.ids.new("key_"),
            **fields,
        ),
    )


def take(
    world: World, amount: int = 1, feature_id: str = "calls", *, key: str | None = None
) -> Checked:
    wanted = Consumption(
        customer_id=ACME, feature_id=feature_id, amount=amount, key=key or world.ids.new("key_")
    )
    return consume(world.ports, wanted)


def used(world: World, feature_id: str = "calls") -> int | None:
    """What a check tells."""
    return world.check(feature_id).decision.current_usage
