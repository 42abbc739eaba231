"""A shop in which running subscriptions are changed, and the laws that every operation on one keeps."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, cast

from chalicelib.domain.entitlements import Behavior
from chalicelib.domain.errors import ProviderUnavailableError
from chalicelib.domain.ids import CustomerId, PackageId
from chalicelib.domain.plans import PackageKind, PricingType, Trial, TrialEnd, TrialUnit
from chalicelib.domain.prices import BillingPeriod
from chalicelib.domain.subscriptions import Subscription
from chalicelib.ports import Providers
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.provision_subscription import provision_subscription
from tests.factories import ACME, a_limit, a_price, a_product, a_seat_price, a_value
from tests.fakes.billing import FakeBillingProvider, FakeProviders
from tests.fakes.crashes import every_crash, every_fault
from tests.fakes.migrating import Shop
from tests.fakes.world import World, a_cause, an_order

TRIAL = Trial(duration=14, unit=TrialUnit.DAY, end_behavior=TrialEnd.CANCEL_SUBSCRIPTION)
CATALOG = (
    (PackageKind.PLAN, "pro"),
    (PackageKind.PLAN, "team"),
    (PackageKind.PLAN, "tried"),
    (PackageKind.ADDON, "storage"),
)
Operation = Callable[[Any, str], Any]


@dataclass
class ChangeShop(Shop):
    """Beside `free` and `pro` a `custom` plan, `tried` with a trial that needs no card, and `team` by the seat.

    The add-on `storage` goes with the paid ones. Acme is a customer.
    """

    def stock(self) -> None:
        self.put(a_product())
        self.publish("free", entitlements=[a_limit("calls", 10)])
        self.sell(
            "storage",
            a_price("storage", 300),
            kind=PackageKind.ADDON,
            entitlements=[a_limit("gigabytes", 5, behavior=Behavior.INCREMENT)],
        )
        addons = (PackageId("storage"),)
        yearly = a_price("yearly", 10_000, billing_period=BillingPeriod.YEAR)
        self.sell(
            "pro",
            a_price("monthly", 1000),
            yearly,
            entitlements=[a_limit("calls", 100)],
            compatible_addons=addons,
        )
        self.sell(
            "team",
            a_price("base", 2000),
            a_seat_price("seat", 500, min_quantity=2, max_quantity=50),
            entitlements=[a_limit("calls", None), a_limit("seats", 2), a_value("sso", True)],
            compatible_addons=addons,
        )
        self.publish(
            "custom", pricing_type=PricingType.CUSTOM, entitlements=[a_limit("calls", None)]
        )
        self.sell("tried", a_price("t", 900), entitlements=[a_value("sso", True)], trial=TRIAL)
        self.customer()

    def begin(self, plan_id: str = "free", **order: Any) -> Subscription:
        """Acme has the plan, whoever bills it."""
        result = provision_subscription(self.ports, a_cause("begin"), an_order(plan_id, **order))
        if result.subscription is not None:
            return result.subscription
        assert result.checkout is not None
        assert result.checkout.billing_id is not None
        self.billing.pay(result.checkout.billing_id)
        self.converge()
        return self.live()

    def live(self) -> Subscription:
        """Acme's only live subscription, as it is now."""
        now = self.clock.now()
        [held] = [one.at(now) for one in self.subscriptions() if one.at(now).is_live]
        return held

    def charged(self) -> dict[str, int | None]:
        """What Acme's live subscription is charged by, with our own names for the prices."""
        names = {
            self.price_id(key, price.price_id, kind=kind): f"{key}/{price.price_id}"
            for kind, key in CATALOG
            for price in self.link(key, kind=kind).prices
            if price.active
        }
        [theirs] = [one for one in self.billing.subscriptions.values() if one.ended_at is None]
        return {names[item.price_billing_id]: item.quantity for item in theirs.items}

    def reconcile(self) -> None:
        """A webhook was delivered again, or the schedule has come by."""
        converge_customer(self.ports, a_cause("later"), CustomerId(ACME), self.billing.name)


def a_shop_with(plan_id: str, **order: Any) -> ChangeShop:
    shop = ChangeShop()
    shop.begin(plan_id, **order)
    return shop


def with_less_able_provider(shop: ChangeShop) -> None:
    """Whoever bills is able to sell, and to nothing else."""
    less_able = FakeBillingProvider(shop.clock, subscriptions=shop.billing.subscriptions)
    less_able.customers = shop.billing.customers
    shop.ports = replace(shop.ports, providers=cast("Providers", FakeProviders([less_able])))


def state(shop: World) -> tuple[Any, ...]:
    """What has to be the same whatever went wrong on the way: all but how often things were written."""
    held = tuple(replace(one, version=0) for one in shop.subscriptions())
    return held, tuple(
        replace(one, version=0) if hasattr(one, "version") else one
        for one in _theirs(shop.billing.subscriptions.values())
    )


def _theirs(held: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(held, key=lambda one: str(one.billing_id)))


def assert_survives(make: Callable[[], ChangeShop], operation: Operation) -> None:
    """Killed or failing anywhere and repeated, the operation ends as if nothing had happened; so does a third time.

    Between the crash and the repetition the provider's notification may have come or not. Where the provider was
    changed before the crash, that alone brings our side there.
    """
    straight = make()
    before = state(straight)
    operation(straight, "change")
    wanted = state(straight)
    for heard in (False, True):
        for killed in every_crash(make, lambda world: operation(world, "change")):
            _assert_recovers(killed, operation, before, wanted, heard=heard)
        for world, _ in every_fault(make, lambda world: operation(world, "change")):
            with suppress(ProviderUnavailableError):
                operation(world, "change")
            _assert_recovers(world, operation, before, wanted, heard=heard)


def _assert_recovers(
    shop: Any, operation: Operation, before: Any, wanted: Any, *, heard: bool
) -> None:
    if heard:
        theirs = state(shop)[1]
        shop.reconcile()
        if theirs == wanted[1] != before[1]:
            assert state(shop) == wanted
    operation(shop, "change")
    assert state(shop) == wanted
    shop.reconcile()
    assert state(shop) == wanted
    changes = len(getattr(shop.billing, "changes", ()))
    operation(shop, "change")
    assert state(shop) == wanted
    assert len(getattr(shop.billing, "changes", ())) == changes
