from dataclasses import replace
from typing import Any

import pytest

from chalicelib.domain.errors import (
    ArchivedError,
    InvalidError,
    NotFoundError,
    NotPublishedError,
    SubscriptionExistsError,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import PackageId, ProductId
from chalicelib.domain.orders import AddonOrder
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import SubscriptionStatus
from chalicelib.services.manage_customers import set_customer_status
from chalicelib.services.place_order import (
    MAX_LIVE_SUBSCRIPTIONS,
    is_allowed_return_url,
    place_order,
    refuse_second,
)
from tests.factories import ACME, a_package, a_price, a_subscription
from tests.fakes.world import SHOP, World, a_cause, an_order


def a_shop() -> World:
    world = World()
    world.publish("storage", a_price("s", 200), kind=PackageKind.ADDON)
    world.publish("pro", a_price(), compatible_addons=(PackageId("storage"),))
    world.customer(currency="usd")
    return world


def with_addon(addon_id: str = "storage") -> tuple[AddonOrder, ...]:
    return (AddonOrder(id=PackageId(addon_id)),)


def test_place_order_finds_what_is_sold_now() -> None:
    world = a_shop()
    world.publish("pro", a_price(amount=1500), compatible_addons=(PackageId("storage"),))
    placed = place_order(world.ports, an_order(addons=with_addon()))
    assert placed.priced.plan.number == 2
    assert [line.price.amount for line in placed.priced.lines] == [1500, 200]
    assert placed.customer == world.stored_customer()
    assert placed.snapshot.version == world.snapshot().version


def test_place_order_reads_the_snapshot_before_all_it_depends_on() -> None:
    world = a_shop()
    read: list[type] = []
    world.store.on_get = lambda kind, identity: read.append(kind)
    place_order(world.ports, an_order())
    assert read[0] is Snapshot


def test_place_order_of_unknown_things_is_refused() -> None:
    world = a_shop()
    with pytest.raises(NotFoundError):
        place_order(world.ports, an_order(customer_id="ghost"))
    with pytest.raises(NotFoundError):
        place_order(world.ports, an_order("ghost"))
    with pytest.raises(InvalidError):
        place_order(world.ports, an_order(addons=with_addon("ghost")))


def test_place_order_of_unpublished_or_archived_things_is_refused() -> None:
    world = a_shop()
    world.put(a_package("draft", published_version=None))
    with pytest.raises(NotPublishedError):
        place_order(world.ports, an_order("draft"))
    world.archive("pro")
    with pytest.raises(ArchivedError):
        place_order(world.ports, an_order())


def test_place_order_with_archived_addon_is_refused() -> None:
    world = a_shop()
    world.put(a_package("storage", kind=PackageKind.ADDON, status=Lifecycle.ARCHIVED))
    with pytest.raises(ArchivedError):
        place_order(world.ports, an_order(addons=with_addon()))


def test_place_order_for_an_archived_customer_is_refused() -> None:
    world = a_shop()
    set_customer_status(world.ports, a_cause(), ACME, Lifecycle.ARCHIVED)
    with pytest.raises(ArchivedError):
        place_order(world.ports, an_order())


@pytest.mark.parametrize("param", ["success_url", "cancel_url"])
def test_place_order_with_a_foreign_return_url_is_refused(param: str) -> None:
    world = a_shop()
    urls: dict[str, Any] = {param: "https://evil.example/"}
    with pytest.raises(InvalidError) as caught:
        place_order(world.ports, an_order(**urls))
    assert [(one.param, one.code) for one in caught.value.violations] == [
        (param, "origin_not_allowed")
    ]


@pytest.mark.parametrize("status", list(SubscriptionStatus))
def test_refuse_second_only_beside_a_live_one_of_the_product(status: SubscriptionStatus) -> None:
    held = a_subscription(status=status)
    refuse_second((held,), (ProductId("other"), None))
    if held.is_live:
        with pytest.raises(SubscriptionExistsError) as caught:
            refuse_second((held,), held.holding)
        assert caught.value.subscription_id == held.id
    else:
        refuse_second((held,), held.holding)


def test_refuse_second_beside_too_many_of_other_resources() -> None:
    held = tuple(
        a_subscription(f"subs_{number}", resource_id=f"ws-{number}")
        for number in range(MAX_LIVE_SUBSCRIPTIONS)
    )
    another = a_subscription("subs_new", resource_id="ws-new").holding
    refuse_second(held[1:], another)
    with pytest.raises(InvalidError) as refused:
        refuse_second(held, another)
    assert refused.value.violations[0].code == "too_many_subscriptions"
    ended = tuple(replace(one, status=SubscriptionStatus.CANCELED) for one in held)
    refuse_second(ended, another)


# --- return URLs --------------------------------------------------------------------------------------------

ORIGINS = (SHOP, "http://localhost:3000")


@pytest.mark.parametrize(
    "url",
    [
        SHOP,
        f"{SHOP}/",
        f"{SHOP}/done",
        f"{SHOP}/done?a=b&c=d#e",
        f"{SHOP}?done=1",
        f"{SHOP}/done?session={{CHECKOUT_SESSION_ID}}",
        f"{SHOP}/{{CHECKOUT_SESSION_ID}}/{{CHECKOUT_SESSION_ID}}",
        f"{SHOP}/a/../b",
        f"{SHOP}/@evil.example",
        f"{SHOP}/https://evil.example",
        f"{SHOP}/%2F%2Fevil.example",
        "http://localhost:3000/done",
    ],
)
def test_return_url_below_a_listed_origin_is_allowed(url: str) -> None:
    assert is_allowed_return_url(url, ORIGINS)


HOSTILE = [
    "",
    " ",
    "/done",
    "done",
    "//evil.example",
    "//shop.example.test",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https://",
    "https://evil.example",
    "https://evil.example/",
    "https://evil.example/?https://shop.example.test",
    "https://evil.example/#https://shop.example.test/",
    "https://evil.example/shop.example.test",
    "https://shop.example.test.evil.example",
    "https://shop.example.test.evil.example/",
    "https://shop.example.testevil.example/",
    "https://shop.example.test-evil.example/",
    "https://shop.example.test:443@evil.example/",
    "https://shop.example.test@evil.example/",
    "https://shop.example.test%40evil.example/",
    "https://shop.example.test%2eevil.example/",
    "https://shop.example.test:8443/",
    "https://shop.example.test:/",
    "https://user@shop.example.test/",
    "https://user:pass@shop.example.test/",
    "https://evil.shop.example.test/",
    "https://shop.example.test./",
    "https://SHOP.example.test/",
    "HTTPS://shop.example.test/",
    "http://shop.example.test/",
    "ftp://shop.example.test/",
    "wss://shop.example.test/",
    "javascript:alert(1)",
    "javascript://shop.example.test/%0aalert(1)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "blob:https://shop.example.test/x",
    "https:\\\\shop.example.test/",
    "https://shop.example.test\\@evil.example/",
    "https://shop.example.test\\.evil.example/",
    "https://shop.example.test/\\evil.example",
    "https://evil.example\\@shop.example.test/",
    "https://shop.example.test/a b",
    " https://shop.example.test/",
    "https://shop.example.test/ ",
    "\thttps://shop.example.test/",
    "https://shop.example.test\t.evil.example/",
    "https://shop.example.test\n.evil.example/",
    "https://shop.example.test\r\n/",
    "https://shop.example.test/\r\nSet-Cookie: a=b",
    "https://shop.example.test/\x00",
    "https://shop.example.test/\x7f",
    "https://shop.example.test\u3002evil.example/",
    "https://sh\u043ep.example.test/",
    "https://shop.example.test/\u202e",
    "https://xn--shp-example-test.evil/",
    "https://[::1]/",
    "https://127.0.0.1/",
    "https://shop.example.test#@evil.example/",
    "https://shop.example.test;evil.example/",
    "https://{CHECKOUT_SESSION_ID}shop.example.test/",
    "https://shop.example.test{CHECKOUT_SESSION_ID}/",
    "https://shop.{CHECKOUT_SESSION_ID}example.test/",
    "{CHECKOUT_SESSION_ID}https://shop.example.test/",
    "https://evil.example/{CHECKOUT_SESSION_ID}",
    "https://shop.example.test/{CHECKOUT_SESSION}",
    "https://shop.example.test/{{CHECKOUT_SESSION_ID}}",
    "https://shop.example.test/<script>",
    'https://shop.example.test/"onload=',
    "https://shop.example.test/'",
    "https://shop.example.test/`",
    "https://shop.example.test/|",
    "https://shop.example.test/^",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_return_url_that_is_hostile_is_refused(url: str) -> None:
    assert not is_allowed_return_url(url, ORIGINS)


def test_return_url_without_any_listed_origin_is_refused() -> None:
    assert not is_allowed_return_url(f"{SHOP}/", ())
    assert len(HOSTILE) >= 40
