from typing import Any, cast

import pytest
import stripe

from infra.local.stripe_stand_in import Request, operations, router, routes
from infra.local.stripe_stand_in.answers import problems

# Not among the SDK's services: the CLI's `events resend`, and the browser's side of Checkout.
_BEYOND_THE_SDK = {
    ("POST", "/v1/events/{id}/retry"),
    ("GET", "/v1/payment_pages/{id}"),
    ("POST", "/v1/payment_pages/{id}/confirm"),
    # Of the SDK, too, but in a module of its own.
    ("POST", "/oauth/token"),
    ("POST", "/oauth/deauthorize"),
}


def test_routes_all_exist_in_the_sdk() -> None:
    assert routes.load() > 0
    unknown = {
        (found.method, found.template)
        for found in router.all_routes()
        if operations.find(found.method, found.template) is None
    }
    assert unknown == _BEYOND_THE_SDK


def test_operations_have_their_parameter_types() -> None:
    untyped = [
        (found.method, found.template)
        for found in router.all_routes()
        if found.params_type() is None
    ]
    assert untyped == []


_PRICE: dict[str, Any] = {"product": "pro", "currency": "usd", "unit_amount": 100}
_SESSION: dict[str, Any] = {
    "mode": "subscription",
    "success_url": "https://shop.example/done",
    "line_items": [{"price": "price_x", "quantity": 1}],
}


@pytest.mark.parametrize(
    ("call", "params", "param", "code"),
    [
        ("products.create", {"name": "A", "colour": "red"}, "colour", "parameter_unknown"),
        ("products.create", {}, "name", "parameter_missing"),
        ("products.create", {"name": ""}, "name", "parameter_invalid_empty"),
        ("products.create", {"name": "A", "active": "maybe"}, "active", None),
        ("products.create", {"name": "A", "images": "x"}, "images", None),
        ("products.create", {"name": {"a": "b"}}, "name", None),
        (
            "prices.create",
            {**_PRICE, "unit_amount": "ten"},
            "unit_amount",
            "parameter_invalid_integer",
        ),
        (
            "prices.create",
            {**_PRICE, "unit_amount": "1.5"},
            "unit_amount",
            "parameter_invalid_integer",
        ),
        ("prices.create", {**_PRICE, "unit_amount_decimal": "NaN"}, "unit_amount_decimal", None),
        (
            "prices.create",
            {**_PRICE, "recurring": {"interval": "decade"}},
            "recurring[interval]",
            None,
        ),
        (
            "prices.create",
            {**_PRICE, "recurring": {}},
            "product",
            None,
        ),
        (
            "prices.create",
            {**_PRICE, "recurring": {"interval": "month", "aggregate_usage": "sum"}},
            "recurring[aggregate_usage]",
            "parameter_unknown",
        ),
        ("checkout.sessions.create", {**_SESSION, "ui_mode": "hosted"}, "ui_mode", None),
        (
            "checkout.sessions.create",
            {**_SESSION, "payment_method_types": ["card"]},
            "payment_method_types",
            "parameter_unknown",
        ),
        (
            "promotion_codes.create",
            {"coupon": "c"},
            "coupon",
            "parameter_unknown",
        ),
        (
            "promotion_codes.create",
            {"code": "SAVE"},
            "promotion",
            "parameter_missing",
        ),
        ("customers.list", {"limit": "many"}, "limit", "parameter_invalid_integer"),
        ("customers.list", {"mail": "a@b.c"}, "mail", "parameter_unknown"),
    ],
)
def test_request_of_a_wrong_shape_is_refused(
    api: Any, call: str, params: Any, param: str, code: str | None
) -> None:
    function = api
    for name in call.split("."):
        function = getattr(function, name)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        function(params)
    assert refused.value.http_status in {400, 404}
    assert refused.value.param == param
    assert code is None or refused.value.code == code


def test_error_answer_has_stripes_fields(api: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        api.products.create({"nom": "A"})
    error = cast("Any", refused.value.json_body)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == "parameter_unknown"
    assert error["param"] == "nom"
    assert error["doc_url"].endswith("parameter-unknown")
    assert refused.value.request_id in error["request_log_url"]


def test_operation_not_emulated_says_so(api: Any) -> None:
    with pytest.raises(stripe.APIError, match="does not emulate GET /v1/balance"):
        api.balance.retrieve()


def test_usage_records_route_of_old_versions_is_unknown(stand_in: Any) -> None:
    headers = {"Authorization": "Bearer sk_test_x"}
    answer = stand_in.handle(
        Request("POST", "/v1/subscription_items/si_1/usage_records", "", headers, b"quantity=1")
    )
    assert answer.status == 404


def test_answer_without_a_required_field_is_noticed() -> None:
    assert "product.name: missing" in problems({"id": "p", "object": "product"})


def test_answer_with_a_wrong_type_is_noticed(stand_in: Any) -> None:
    product = stand_in.account.new(
        "product",
        active=True,
        images=[],
        marketing_features=[],
        metadata={},
        name="A",
        type="service",
        updated=1,
    )
    assert problems(product) == []
    assert problems({**product, "created": "now"}) == ["product.created: 'now' is no int"]
    assert problems({**product, "extra": 1}) == ["product.extra: unknown field"]


def test_search_is_not_taken_for_an_id(api: Any) -> None:
    with pytest.raises(stripe.APIError, match="does not emulate GET /v1/products/search"):
        api.products.search({"query": "active:'true'"})
