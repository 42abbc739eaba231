"""Products and prices over the wire: what is asked, in which order, and what is made of the answers."""

from decimal import Decimal

import pytest

from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.domain.billing import (
    ArchivePrice,
    CreatePrice,
    CreateProduct,
    MirrorPrice,
    MirrorProduct,
    SetDefaultPrice,
    UpdatePrice,
    UpdateProduct,
)
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.domain.prices import BillingPeriod, Price, PriceModel, fingerprint
from tests.unit.adapters.stripe.scripted import (
    Answer,
    ManualClock,
    listed,
    price,
    product,
    refusal,
    script,
)

MONEY = Price(
    id="monthly",
    model=PriceModel.FLAT_FEE,
    currency="usd",
    billing_period=BillingPeriod.MONTH,
    amount_decimal=Decimal("0.0000001"),
)
PRICE = MirrorPrice(
    lookup_key="slot", fingerprint=fingerprint(MONEY), price=MONEY, metadata={"a": "1"}
)
PRODUCT = MirrorProduct(
    product_key="pg_pro",
    name="Pro",
    description=None,
    active=True,
    metadata={"a": "1"},
    prices=(PRICE,),
    default_lookup_key="slot",
)
MISSING = refusal(404, code="resource_missing", param="id")


def test_observe_missing_product_is_none() -> None:
    assert script(MISSING).provider.observe_product("pg_pro") is None


def test_observe_deleted_product_is_none() -> None:
    deleted = Answer(body={"id": "pg_pro", "object": "product", "deleted": True})
    played = script(deleted)
    assert played.provider.observe_product("pg_pro") is None
    assert len(played.sent) == 1


def test_observe_pages_through_active_and_archived_prices() -> None:
    played = script(
        Answer(body=product(default_price="price_1", metadata={"k": "v"})),
        listed(price("price_1"), price("price_2"), has_more=True),
        listed(price("price_3")),
        listed(price("price_4", active=False)),
    )
    found = played.provider.observe_product("pg_pro")
    assert found is not None
    assert [one.billing_id for one in found.prices] == ["price_1", "price_2", "price_3", "price_4"]
    assert [one.active for one in found.prices] == [True, True, True, False]
    assert (found.default_price, found.metadata) == ("price_1", {"k": "v"})
    assert [sent.params.get("starting_after") for sent in played.sent[1:]] == [
        None,
        "price_2",
        None,
    ]
    assert [sent.params["active"] for sent in played.sent[1:]] == ["true", "true", "false"]
    assert played.sent[1].params["expand[0]"] == "data.tiers"


def test_observe_price_archived_between_the_two_lists_counts_once_as_archived() -> None:
    played = script(
        Answer(body=product()), listed(price("price_1")), listed(price("price_1", active=False))
    )
    found = played.provider.observe_product("pg_pro")
    assert found is not None
    assert [(one.billing_id, one.active) for one in found.prices] == [("price_1", False)]


def test_observe_throttled_on_the_second_page_goes_on_there() -> None:
    played = script(
        Answer(body=product()),
        listed(price("price_1"), has_more=True),
        refusal(429),
        listed(price("price_2")),
        listed(),
    )
    found = played.provider.observe_product("pg_pro")
    assert found is not None
    assert len(found.prices) == 2
    assert played.sent[2].params == played.sent[3].params


def test_observe_expanded_default_price_is_its_id() -> None:
    played = script(Answer(body=product(default_price=price("price_9"))), listed(), listed())
    found = played.provider.observe_product("pg_pro")
    assert found is not None
    assert found.default_price == "price_9"


def test_create_product_sends_its_own_id() -> None:
    played = script(Answer(body=product()))
    assert played.provider.apply(CreateProduct(product=PRODUCT), "key") == "pg_pro"
    assert played.sent[0].params == {
        "id": "pg_pro",
        "name": "Pro",
        "active": "true",
        "metadata[a]": "1",
    }


def test_create_product_that_exists_makes_it_the_wanted_one() -> None:
    exists = refusal(400, code="resource_already_exists", param="id")
    played = script(exists, Answer(body=product()))
    assert played.provider.apply(CreateProduct(product=PRODUCT), "key") == "pg_pro"
    assert played.paths() == ["POST /v1/products", "POST /v1/products/pg_pro"]


def test_create_product_failing_at_stripe_is_tried_again_in_the_call() -> None:
    exists = refusal(400, code="resource_already_exists", param="id")
    played = script(refusal(500, type="api_error"), exists, Answer(body=product()))
    assert played.provider.apply(CreateProduct(product=PRODUCT), "key") == "pg_pro"


def test_update_product_unsets_description_and_metadata() -> None:
    played = script(Answer(body=product()))
    played.provider.apply(UpdateProduct(product=PRODUCT, unset_metadata=("old",)), "key")
    assert played.sent[0].params == {
        "name": "Pro",
        "description": "",
        "active": "true",
        "metadata[a]": "1",
        "metadata[old]": "",
    }


def test_updates_never_use_the_callers_key_and_never_the_same_one_twice() -> None:
    played = script(*[Answer(body=product())] * 2)
    for _ in range(2):
        played.provider.apply(UpdateProduct(product=PRODUCT), "key")
    keys = {sent.key for sent in played.sent}
    assert len(keys) == 2
    assert "key" not in keys


def test_create_price_goes_under_the_callers_key_with_plain_decimals() -> None:
    played = script(Answer(body=price("price_7")))
    assert played.provider.apply(CreatePrice(product_key="pg_pro", price=PRICE), "key") == "price_7"
    assert played.sent[0].key == "key"
    assert played.sent[0].params["unit_amount_decimal"] == "0.0000001"
    assert played.sent[0].params["transfer_lookup_key"] == "true"


def test_update_price_takes_the_lookup_key_back() -> None:
    played = script(Answer(body=price()))
    step = UpdatePrice(billing_id="price_1", price=PRICE, unset_metadata=("old",))
    assert played.provider.apply(step, "key") == "price_1"
    assert played.sent[0].params == {
        "active": "true",
        "lookup_key": "slot",
        "transfer_lookup_key": "true",
        "metadata[a]": "1",
        "metadata[old]": "",
    }


def test_set_default_price_finds_the_slots_price_first() -> None:
    played = script(listed(price("price_5")), Answer(body=product()))
    step = SetDefaultPrice(product_key="pg_pro", lookup_key="slot")
    assert played.provider.apply(step, "key") == "pg_pro"
    assert played.sent[0].params["lookup_keys[0]"] == "slot"
    assert played.sent[1].params == {"default_price": "price_5"}


def test_set_default_price_waits_for_a_list_that_lags() -> None:
    played = script(listed(), listed(), listed(price("price_5")), Answer(body=product()))
    played.provider.apply(SetDefaultPrice(product_key="pg_pro", lookup_key="slot"), "key")
    assert played.clock.slept == [0.5, 1.0]


def test_set_default_price_never_listed_is_worth_a_later_retry() -> None:
    played = script(*[listed()] * 4)
    with pytest.raises(ProviderUnavailableError) as failed:
        played.provider.apply(SetDefaultPrice(product_key="pg_pro", lookup_key="slot"), "key")
    assert not failed.value.definite


def test_set_default_price_to_none_unsets_it() -> None:
    played = script(Answer(body=product()))
    played.provider.apply(SetDefaultPrice(product_key="pg_pro", lookup_key=None), "key")
    assert played.sent[0].params == {"default_price": ""}


def test_archive_price_sets_it_inactive() -> None:
    played = script(Answer(body=price(active=False)))
    assert played.provider.apply(ArchivePrice(billing_id="price_1"), "key") == "price_1"
    assert played.sent[0].params == {"active": "false"}


def test_archive_missing_price_is_refused() -> None:
    with pytest.raises(ProviderRefusedError):
        script(MISSING).provider.apply(ArchivePrice(billing_id="price_1"), "key")


@pytest.mark.parametrize(
    ("api_key", "url"),
    [
        ("sk_test_1", "https://dashboard.stripe.com/test/products/pg_pro"),
        ("rk_test_1", "https://dashboard.stripe.com/test/products/pg_pro"),
        ("sk_live_1", "https://dashboard.stripe.com/products/pg_pro"),
        ("rk_live_1", "https://dashboard.stripe.com/products/pg_pro"),
    ],
)
def test_product_url_leads_to_the_dashboard_of_the_mode(api_key: str, url: str) -> None:
    assert script(api_key=api_key).provider.product_url("pg_pro") == url


def test_product_url_of_another_server_leads_there() -> None:
    provider = StripeProvider(
        api_key="sk_test_1", api_base="http://127.0.0.1:8010/", clock=ManualClock()
    )
    assert provider.name == "stripe"
    assert provider.product_url("pg_pro") == "http://127.0.0.1:8010/products/pg_pro"


def test_price_url_leads_to_the_dashboard() -> None:
    url = "https://dashboard.stripe.com/test/prices/price_1"
    assert script().provider.price_url("price_1") == url
