from decimal import Decimal
from typing import Any

import pytest
import stripe


def refused(call: Any, *arguments: Any) -> stripe.InvalidRequestError:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        call(*arguments)
    return caught.value


def test_product_with_own_id_is_kept_and_listed(api: Any) -> None:
    made = api.products.create({"id": "plan:pro", "name": "Pro", "metadata": {"a": "1"}})
    assert api.products.retrieve("plan:pro").to_dict() == made.to_dict()
    assert [p.id for p in api.products.list().data] == ["plan:pro"]
    assert made.default_price is None


def test_product_id_taken_is_refused(api: Any) -> None:
    api.products.create({"id": "pro", "name": "Pro"})
    assert (
        refused(api.products.create, {"id": "pro", "name": "X"}).code == "resource_already_exists"
    )


def test_product_unknown_is_not_found(api: Any) -> None:
    error = refused(api.products.retrieve, "nope")
    assert (error.http_status, error.code) == (404, "resource_missing")


def test_product_with_prices_cannot_be_deleted(api: Any, monthly: Any) -> None:
    assert "user-created prices" in str(refused(api.products.delete, "pro"))
    api.products.create({"id": "free", "name": "Free"})
    assert api.products.delete("free").deleted is True
    assert refused(api.products.retrieve, "free").http_status == 404


@pytest.mark.parametrize(
    ("field", "longest"),
    [("name", 5000), ("description", 40_000), ("unit_label", 12), ("statement_descriptor", 22)],
)
def test_product_text_too_long_is_refused(api: Any, field: str, longest: int) -> None:
    api.products.create({"name": "A", field: "x" * longest})
    assert refused(api.products.create, {"name": "A", field: "x" * (longest + 1)}).param == field


def test_metadata_is_merged_and_emptied_key_by_key(api: Any) -> None:
    product = api.products.create({"name": "A", "metadata": {"a": "1", "b": "2"}})
    product = api.products.update(product.id, {"metadata": {"a": "", "c": "3"}})
    assert product.metadata.to_dict() == {"b": "2", "c": "3"}
    assert api.products.update(product.id, {"metadata": ""}).metadata.to_dict() == {}


@pytest.mark.parametrize(
    "metadata",
    [
        {"k" * 41: "v"},
        {"k": "v" * 501},
        {f"k{i}": "v" for i in range(51)},
    ],
)
def test_metadata_beyond_its_limits_is_refused(api: Any, metadata: dict[str, str]) -> None:
    refused(api.products.create, {"name": "A", "metadata": metadata})


def test_price_money_cannot_change(api: Any, monthly: Any) -> None:
    error = refused(api.prices.update, monthly.id, {"unit_amount": 2000})
    assert error.code == "parameter_unknown"


def test_price_needs_exactly_one_amount(api: Any, monthly: Any) -> None:
    base = {"product": "pro", "currency": "usd"}
    refused(api.prices.create, base)
    refused(api.prices.create, {**base, "unit_amount": 1, "unit_amount_decimal": "1"})
    refused(api.prices.create, {**base, "unit_amount_decimal": "0.1234567890123"})
    refused(api.prices.create, {**base, "unit_amount": -1})


def test_price_below_a_minor_unit_keeps_its_decimals(api: Any, monthly: Any) -> None:
    price = api.prices.create({"product": "pro", "currency": "usd", "unit_amount_decimal": "0.050"})
    assert price.unit_amount is None
    assert price.unit_amount_decimal == Decimal("0.05")


def test_price_tiers_show_only_when_expanded(api: Any, monthly: Any) -> None:
    params = {
        "product": "pro",
        "currency": "usd",
        "billing_scheme": "tiered",
        "tiers_mode": "volume",
        "recurring": {"interval": "month"},
        "tiers": [{"up_to": 5, "unit_amount": 10}, {"up_to": "inf", "flat_amount": 40}],
    }
    price = api.prices.create(params)
    assert "tiers" not in price
    expanded = api.prices.retrieve(price.id, {"expand": ["tiers", "currency_options"]})
    assert [tier.up_to for tier in expanded.tiers] == [5, None]
    assert expanded.currency_options["usd"]["tiers"][1].flat_amount == 40


@pytest.mark.parametrize(
    "change",
    [
        {"tiers": [{"up_to": 5, "unit_amount": 1}]},
        {"tiers": [{"up_to": "inf", "unit_amount": 1}, {"up_to": 5, "unit_amount": 1}]},
        {"tiers": [{"up_to": "inf"}]},
        {"tiers": []},
        {"transform_quantity": {"divide_by": 10, "round": "up"}},
        {"unit_amount": 5},
    ],
)
def test_price_with_bad_tiers_is_refused(api: Any, monthly: Any, change: Any) -> None:
    params = {
        "product": "pro",
        "currency": "usd",
        "billing_scheme": "tiered",
        "tiers_mode": "graduated",
        "tiers": [{"up_to": "inf", "unit_amount": 1}],
        **change,
    }
    refused(api.prices.create, params)


def test_price_takes_further_currencies_but_not_its_own_again(api: Any, monthly: Any) -> None:
    more = {"currency_options": {"eur": {"unit_amount": 900}}, "expand": ["currency_options"]}
    changed = api.prices.update(monthly.id, more)
    assert changed.currency_options["eur"].unit_amount == 900
    own = {"currency_options": {"usd": {"unit_amount": 900}}}
    assert refused(api.prices.update, monthly.id, own).param == "currency_options[usd]"


def test_lookup_key_taken_is_refused_until_transferred(api: Any, monthly: Any, events: Any) -> None:
    base = {"product": "pro", "currency": "usd", "unit_amount": 1, "lookup_key": "pro_m"}
    first = api.prices.create(base)
    assert refused(api.prices.create, base).param == "lookup_key"
    events()
    second = api.prices.create({**base, "unit_amount": 2, "transfer_lookup_key": True})
    assert api.prices.retrieve(first.id).lookup_key is None
    assert [p.id for p in api.prices.list({"lookup_keys": ["pro_m"]}).data] == [second.id]
    assert events() == ["price.updated", "price.created"]


def test_default_price_cannot_be_archived(api: Any, monthly: Any, events: Any) -> None:
    api.products.update("pro", {"default_price": monthly.id})
    assert refused(api.prices.update, monthly.id, {"active": False}).param == "active"
    other = api.prices.create({"product": "pro", "currency": "usd", "unit_amount": 1})
    api.products.update("pro", {"default_price": other.id})
    assert api.prices.update(monthly.id, {"active": False}).active is False
    assert [p.id for p in api.prices.list({"active": True}).data] == [other.id]


def test_default_price_unset_lets_the_last_price_be_archived(api: Any, monthly: Any) -> None:
    api.products.update("pro", {"default_price": monthly.id})
    assert api.products.update("pro", {"default_price": ""}).default_price is None
    assert api.prices.update(monthly.id, {"active": False}).active is False


def test_default_price_of_another_product_is_refused(api: Any, monthly: Any) -> None:
    other = api.products.create({"name": "B"})
    refused(api.products.update, other.id, {"default_price": monthly.id})


def test_update_event_tells_only_what_changed(api: Any, stand_in: Any) -> None:
    product = api.products.create({"name": "A", "metadata": {"a": "1", "b": "2"}})
    api.products.update(product.id, {"name": "B", "metadata": {"a": "3", "c": "4"}})
    event = api.events.list().data[0]
    assert event.type == "product.updated"
    assert event["data"]["previous_attributes"].to_dict() == {
        "metadata": {"a": "1", "c": None},
        "name": "A",
    }
    assert event.request.id.startswith("req_")
    assert event.livemode is False


def test_update_without_change_tells_nothing(api: Any, events: Any) -> None:
    product = api.products.create({"name": "A"})
    events()
    api.products.update(product.id, {"name": "A"})
    assert events() == []


def test_pages_follow_cursors_both_ways(api: Any) -> None:
    made = [api.customers.create({"name": str(i)}).id for i in range(5)]
    newest_first = made[::-1]
    page = api.customers.list({"limit": 2})
    assert [c.id for c in page.data] == newest_first[:2]
    assert page.has_more is True
    page = api.customers.list({"limit": 2, "starting_after": newest_first[2]})
    assert [c.id for c in page.data] == newest_first[3:]
    assert page.has_more is False
    page = api.customers.list({"limit": 2, "ending_before": newest_first[3]})
    assert [c.id for c in page.data] == newest_first[1:3]
    assert page.has_more is True
    assert [c.id for c in api.customers.list({"limit": 2}).auto_paging_iter()] == newest_first


def test_page_limits_and_unknown_cursors_are_refused(api: Any) -> None:
    assert refused(api.customers.list, {"limit": 0}).param == "limit"
    assert refused(api.customers.list, {"limit": 101}).param == "limit"
    assert refused(api.customers.list, {"starting_after": "cus_x"}).code == "resource_missing"


def test_list_expands_below_data(api: Any, monthly: Any) -> None:
    price = api.prices.list({"expand": ["data.product"]}).data[0]
    assert price.product.name == "Pro"


def test_expansion_of_a_plain_field_is_refused(api: Any, monthly: Any) -> None:
    assert "cannot be expanded" in str(
        refused(api.prices.retrieve, monthly.id, {"expand": ["nickname.x", "currency"]})
    )


def test_customer_deleted_answers_with_its_mark(api: Any, subscription: Any) -> None:
    customer = subscription.customer
    api.customers.delete(customer)
    assert api.customers.retrieve(customer).deleted is True
    assert api.subscriptions.retrieve(subscription.id).status == "canceled"
    assert api.customers.list().data == []
    assert refused(api.customers.update, customer, {"name": "x"}).http_status == 404


def test_customers_are_found_by_exact_email(api: Any, customer: Any) -> None:
    assert [c.id for c in api.customers.list({"email": "ada@example.com"}).data] == [customer.id]
    assert api.customers.list({"email": "ADA@example.com"}).data == []


def test_coupon_and_code_follow_the_current_shape(api: Any) -> None:
    coupon = api.coupons.create({"percent_off": 12.5, "duration": "once"})
    assert coupon.percent_off == 12.5
    code = api.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "SAVE"}
    )
    assert code.promotion.coupon == coupon.id
    again = {"promotion": {"type": "coupon", "coupon": coupon.id}, "code": "save"}
    assert refused(api.promotion_codes.create, again).code == "resource_already_exists"
    assert [c.id for c in api.promotion_codes.list({"code": "save"}).data] == [code.id]


@pytest.mark.parametrize(
    "params",
    [
        {"duration": "once"},
        {"percent_off": 10, "amount_off": 5, "currency": "usd"},
        {"amount_off": 5},
        {"percent_off": 101},
        {"percent_off": 10, "duration": "repeating"},
        {"percent_off": 10, "duration": "once", "duration_in_months": 3},
    ],
)
def test_coupon_that_contradicts_itself_is_refused(api: Any, params: Any) -> None:
    refused(api.coupons.create, params)
