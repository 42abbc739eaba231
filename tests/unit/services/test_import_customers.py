"""Taking over what a provider has already: whose each customer is, in slices, as often as one likes."""

from collections import Counter
from dataclasses import replace
from typing import Any, cast

import pytest

from chalicelib.domain.billing import ProviderCustomer
from chalicelib.domain.customer_import import ImportAction, ImportedCustomer
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    InvalidError,
    NotSupportedError,
)
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.subscriptions import SubscriptionStatus
from chalicelib.ports import Providers
from chalicelib.services.archive_customer import archive_customer
from chalicelib.services.import_customers import CustomerImport, import_customers
from tests.factories import a_price, a_provider_subscription
from tests.fakes.billing import FakeDirectProvider, FakeProviders
from tests.fakes.changing import ChangeShop
from tests.fakes.crashes import every_crash
from tests.fakes.listing import SourceProvider
from tests.fakes.moving import MovingProvider
from tests.fakes.stripe_shop import StripeShop
from tests.fakes.world import World, a_cause

DRY = CustomerImport()
APPLY = CustomerImport(dry_run=False)


class Foreign(ChangeShop):
    """A provider with customers that nobody here knows."""

    def __post_init__(self) -> None:
        super().__post_init__()
        source = SourceProvider(self.clock)
        for name in ("products", "_prices", "meters", "customers", "subscriptions"):
            setattr(source, name, getattr(self.moving, name))
        self.source = source
        self.use(source)

    def use(self, provider: MovingProvider) -> None:
        self.billing = self.moving = provider
        self.ports = replace(self.ports, providers=cast("Providers", FakeProviders([provider])))

    def person(
        self,
        billing_id: str,
        *prices: str,
        email: str | None = None,
        **metadata: str,
    ) -> None:
        """Somebody there; with prices a subscriber."""
        customer = ProviderCustomer(billing_id=billing_id, url=None, metadata=metadata)
        self.billing.customers[billing_id] = customer
        self.billing.customer_details[billing_id] = (billing_id.title(), email)
        self.source.currencies[billing_id] = "usd"
        if prices:
            subscription = a_provider_subscription(
                f"sub_{billing_id}", prices, customer_billing_id=billing_id
            )
            self.billing.add_subscription(subscription)

    def pro(self) -> str:
        return self.price_id("pro", "monthly")


def run(shop: World, wish: CustomerImport = APPLY) -> dict[str, ImportedCustomer]:
    """All slices."""
    found: dict[str, ImportedCustomer] = {}
    while True:
        done = import_customers(shop.ports, a_cause("import"), wish)
        found |= {one.billing_id: one for one in done.customers}
        if done.next_cursor is None:
            return found
        wish = replace(wish, cursor=done.next_cursor)


def dump(shop: World) -> tuple[Any, ...]:
    customers = [(one.id, one.email, one.links) for one in shop.store.all(Customer)]
    held = [shop.subscriptions(key) for key, *_ in customers]
    return tuple(customers), tuple(held)


def a_full_shop() -> Foreign:
    shop = Foreign()
    shop.customer("known", email="same@known.example")
    shop.customer("one", email="one@mail.example")
    shop.customer("two", email="two@mail.example")
    shop.customer("three", email="two@mail.example")
    shop.person("cus_stated", shop.pro(), customer_id="known")
    shop.person("cus_new", shop.pro(), customer_id="new", email="new@mail.example")
    shop.person("cus_email", email="one@mail.example")
    shop.person("cus_many", email="two@mail.example")
    shop.person("cus_bad", customer_id="no such id")
    shop.person("cus_own", "price_foreign", email="own@mail.example")
    shop.person("cus_mixed", shop.pro(), "price_foreign")
    shop.person("cus_again", customer_id="known")
    return shop


WANTED = {
    "cus_stated": (ImportAction.LINK, "known", None, 1),
    "cus_new": (ImportAction.CREATE, "new", None, 1),
    "cus_email": (ImportAction.LINK, "one", None, 0),
    "cus_many": (ImportAction.CONFLICT, None, "ambiguous_email", 0),
    "cus_bad": (ImportAction.CONFLICT, None, "bad_id", 0),
    "cus_own": (ImportAction.CREATE, "cus_own", None, 0),
    "cus_mixed": (ImportAction.CREATE, "cus_mixed", None, 1),
    "cus_again": (ImportAction.CONFLICT, "known", "linked_elsewhere", 0),
}


def told(found: dict[str, ImportedCustomer]) -> dict[str, tuple[Any, ...]]:
    return {
        key: (one.action, one.customer_id, one.reason, one.subscriptions)
        for key, one in found.items()
    }


def test_import_matches_by_metadata_email_and_own_id() -> None:
    shop = a_full_shop()
    found = run(shop)
    assert told(found) == WANTED
    assert found["cus_own"].unmapped_prices == ("price_foreign",)
    made = shop.stored_customer("new")
    assert (made.email, made.name, made.currency) == ("new@mail.example", "Cus_New", "usd")
    assert made.billing_id("stripe") == "cus_new"
    [held] = shop.subscriptions("new")
    assert (held.plan_id, held.status) == ("pro", SubscriptionStatus.ACTIVE)
    assert shop.check("calls", customer_id="known").decision.has_access


def test_import_in_small_slices_is_the_same() -> None:
    shop = a_full_shop()
    assert told(run(shop, replace(APPLY, limit=2))) == WANTED


def test_import_dry_tells_the_same_and_writes_nothing() -> None:
    shop = a_full_shop()
    before, commits = dump(shop), len(shop.store.commits)
    found = told(run(shop, DRY))
    # Only what an earlier one of the same run would have taken is not known yet.
    assert found == {**WANTED, "cus_again": (ImportAction.LINK, "known", None, 0)}
    assert (dump(shop), len(shop.store.commits)) == (before, commits)


def test_import_again_finds_everybody_known() -> None:
    shop = a_full_shop()
    run(shop)
    before = dump(shop)
    counts = Counter(one.action for one in run(shop).values())
    assert counts == {ImportAction.KNOWN: 5, ImportAction.CONFLICT: 3}
    assert dump(shop) == before


def test_import_cut_off_anywhere_is_finished_by_the_next() -> None:
    straight = a_full_shop()
    run(straight)
    wanted = {key: shop_of for key, *shop_of in dump(straight)[0]}
    for shop in every_crash(a_full_shop, run):
        run(shop)
        customers = {key: [email] for key, email, _ in dump(shop)[0]}
        assert customers == {key: [found[0]] for key, found in wanted.items()}
        assert [len(held) for held in dump(shop)[1]] == [len(held) for held in dump(straight)[1]]


def test_import_leaves_alone_whom_another_environment_made() -> None:
    shop = Foreign()
    shop.customer("beta", email="beta@mail.example")
    marks = {"paygrade_entity_type": "customer", "paygrade_environment": "staging"}
    shop.person("cus_1", shop.pro(), email="beta@mail.example", paygrade_entity_id="beta", **marks)
    shop.person("cus_2", shop.pro(), customer_id="beta", **marks)
    before = dump(shop)
    assert told(run(shop)) == dict.fromkeys(
        ("cus_1", "cus_2"), (ImportAction.CONFLICT, None, "other_environment", 0)
    )
    assert dump(shop) == before


def test_import_links_nothing_to_an_archived_customer() -> None:
    shop = Foreign()
    shop.customer("gone", email="gone@mail.example")
    archive_customer(shop.ports, a_cause("archive"), CustomerId("gone"))
    shop.person("cus_1", shop.pro(), email="gone@mail.example")
    shop.person("cus_2", shop.pro(), customer_id="gone")
    before = dump(shop)
    assert told(run(shop)) == dict.fromkeys(
        ("cus_1", "cus_2"), (ImportAction.CONFLICT, "gone", "archived", 0)
    )
    assert dump(shop) == before


def test_import_by_another_metadata_key() -> None:
    shop = Foreign()
    shop.person("cus_1", tenant="t1")
    found = run(shop, replace(APPLY, id_key="tenant"))
    assert found["cus_1"].customer_id == "t1"


def test_import_from_stripe_finds_everybody_by_metadata_and_address() -> None:
    shop = StripeShop()
    shop.sell("pro", a_price())
    shop.customer("known", email="known@mail.example")
    made = {
        email: shop.send("POST", "/v1/customers", {"email": email, "name": "N", **metadata})["id"]
        for email, metadata in (
            ("known@mail.example", {}),
            ("new@mail.example", {"metadata[customer_id]": "new"}),
            ("gone@mail.example", {}),
            ("idle@mail.example", {}),
        )
    }
    method = shop.send("POST", "/v1/payment_methods", {"type": "card", "card[token]": "tok_visa"})
    paying = made["known@mail.example"]
    shop.send("POST", f"/v1/payment_methods/{method['id']}/attach", {"customer": paying})
    [price] = shop.objects("price")
    body = {
        "customer": paying,
        "items[0][price]": price["id"],
        "default_payment_method": method["id"],
    }
    shop.send("POST", "/v1/subscriptions", body)
    shop.send("DELETE", f"/v1/customers/{made['gone@mail.example']}")
    idle = made["idle@mail.example"]
    wanted = {
        paying: (ImportAction.LINK, "known", None, 1),
        made["new@mail.example"]: (ImportAction.CREATE, "new", None, 0),
        idle: (ImportAction.CREATE, idle, None, 0),
    }
    assert told(run(shop, replace(DRY, limit=2))) == wanted
    assert told(run(shop, replace(APPLY, limit=1))) == wanted
    assert (shop.stored_customer("new").name, shop.stored_customer(idle).name) == ("N", "N")
    [held] = shop.subscriptions("known")
    assert (held.plan_id, held.is_live) == ("pro", True)
    again = run(shop)
    assert {one.action for one in again.values()} == {ImportAction.KNOWN}
    with pytest.raises(InvalidError):
        run(shop, replace(DRY, cursor="cus_nobody"))


def test_import_from_who_tells_only_of_subscriptions_takes_the_subscribers() -> None:
    shop = Foreign()
    for number in range(5):
        shop.person(f"cus_{number}", shop.pro(), customer_id=f"c{number}")
    shop.person("cus_idle", customer_id="idle")
    less_able = MovingProvider(shop.clock)
    for name in ("customers", "subscriptions", "products", "_prices"):
        setattr(less_able, name, getattr(shop.billing, name))
    shop.use(less_able)
    found = run(shop, replace(APPLY, limit=2))
    assert {one.customer_id for one in found.values()} == {f"c{number}" for number in range(5)}
    assert {one.action for one in found.values()} == {ImportAction.CREATE}
    with pytest.raises(InvalidError):
        run(shop, replace(APPLY, cursor="nonsense"))


def test_import_from_who_tells_nothing_is_not_supported() -> None:
    shop = Foreign()
    silent = FakeDirectProvider(shop.clock)
    shop.ports = replace(shop.ports, providers=cast("Providers", FakeProviders([silent])))
    with pytest.raises(NotSupportedError):
        run(shop, replace(APPLY, provider="offline"))
    with pytest.raises(BillingNotConfiguredError):
        run(shop)
    with pytest.raises(InvalidError):
        run(shop, replace(APPLY, provider="nobody"))
