from chalicelib.domain.plans import PackageKind
from chalicelib.domain.references import Reference, price_namespace
from chalicelib.services.price_owners import owners_of
from tests.factories import a_limit, a_price, a_provider_subscription
from tests.fakes.world import World


def test_owners_name_every_version_that_charges_the_same_money() -> None:
    world = World()
    world.sell("pro", a_price("m", 1000))
    old = world.price_id("pro", "m")
    world.sell("pro", a_price("m", 1000), entitlements=[a_limit("api")])
    world.sell("pro", a_price("m", 1200))
    new = world.price_id("pro", "m")
    owners = owners_of(world.ports, "stripe", [a_provider_subscription(items=[old, new])])
    assert (owners[old].versions, owners[old].price.amount) == ((1, 2), 1000)
    assert (owners[new].versions, owners[new].price.amount) == ((3,), 1200)
    assert (owners[new].kind, owners[new].package_id, owners[new].product_id) == (
        "plan",
        "pro",
        "app",
    )


def test_owners_leave_out_prices_that_are_not_ours() -> None:
    world = World()
    world.sell("storage", a_price("s"), kind=PackageKind.ADDON)
    ours = world.price_id("storage", "s", kind=PackageKind.ADDON)
    held = a_provider_subscription(items=[ours, "price_unknown"])
    assert list(owners_of(world.ports, "stripe", [held])) == [ours]
    assert owners_of(world.ports, "other", [held]) == {}


def test_owners_leave_out_prices_that_no_version_charges() -> None:
    world = World()
    world.sell("pro", a_price("m"))
    for key, target in (
        ("price_x", ("plan", "pro", "m", "other-money")),
        ("price_y", ("plan", "pro", "ghost", "f")),
        ("price_z", ("plan", "ghost", "m", "f")),
    ):
        world.put(Reference(namespace=price_namespace("stripe"), key=key, target=target))
    held = a_provider_subscription(items=["price_x", "price_y", "price_z"])
    assert owners_of(world.ports, "stripe", [held]) == {}
