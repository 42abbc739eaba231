from typing import Any, cast

import pytest
import stripe

from infra.local.stripe_stand_in import Request, StandIn
from infra.local.stripe_stand_in.in_process import client_for

DAY = 86_400


def key(value: str) -> Any:
    return {"idempotency_key": value}


def post(stand_in: StandIn, path: str, body: str, **headers: str) -> Any:
    all_headers = {"Authorization": "Bearer sk_test_x", **headers}
    return stand_in.handle(Request("POST", path, "", all_headers, body.encode()))


def test_key_repeated_replays_the_first_answer(api: Any, stand_in: StandIn) -> None:
    first = api.products.create({"name": "A"}, key("k"))
    again = api.products.create({"name": "A"}, key("k"))
    assert again.id == first.id
    assert len(api.products.list().data) == 1
    answer = post(stand_in, "/v1/products", "name=A", **{"Idempotency-Key": "k"})
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert answer.headers["Idempotency-Key"] == "k"


def test_key_with_other_params_is_refused(api: Any) -> None:
    api.products.create({"name": "A"}, key("k"))
    with pytest.raises(stripe.IdempotencyError):
        api.products.create({"name": "B"}, key("k"))
    with pytest.raises(stripe.IdempotencyError):
        api.customers.create({"name": "A"}, key("k"))


def test_key_of_a_malformed_request_can_be_used_again(api: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        api.products.create({"nom": "A"}, key("k"))
    assert api.products.create({"name": "A"}, key("k")).name == "A"


def test_key_of_an_executed_refusal_replays_it(api: Any) -> None:
    params = {"product": "later", "currency": "usd", "unit_amount": 1}
    with pytest.raises(stripe.InvalidRequestError):
        api.prices.create(params, key("k"))
    api.products.create({"id": "later", "name": "A"})
    with pytest.raises(stripe.InvalidRequestError):
        api.prices.create(params, key("k"))
    assert api.prices.create(params, key("k2")).product == "later"


def test_key_after_a_day_executes_anew(api: Any, control: Any) -> None:
    first = api.products.create({"name": "A"}, key("k"))
    control("clock", {"advance_seconds": DAY - 1})
    assert api.products.create({"name": "A"}, key("k")).id == first.id
    control("clock", {"advance_seconds": 1})
    assert api.products.create({"name": "A"}, key("k")).id != first.id


def test_key_too_long_is_refused(api: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        api.products.create({"name": "A"}, key("k" * 256))


def test_500_after_the_commit_is_replayed_though_the_object_exists(api: Any, control: Any) -> None:
    control("faults", {"method": "POST", "path": "/v1/products", "kind": "500_after"})
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            api.products.create({"name": "A"}, key("k"))
        assert failed.value.http_status == 500
    assert len(api.products.list().data) == 1


def test_500_before_the_commit_leaves_nothing(api: Any, control: Any) -> None:
    control("faults", {"method": "POST", "path": "/v1/products", "kind": "500_before"})
    with pytest.raises(stripe.APIError):
        api.products.create({"name": "A"}, key("k"))
    assert api.products.list().data == []
    assert api.products.create({"name": "A"}, key("k")).name == "A"


@pytest.mark.parametrize("kind", ["timeout_after", "reset_after"])
def test_lost_answer_is_found_again_under_its_key(api: Any, control: Any, kind: str) -> None:
    control("faults", {"method": "POST", "path": "/v1/products", "kind": kind})
    with pytest.raises(stripe.APIConnectionError):
        api.products.create({"name": "A"}, key("k"))
    again = api.products.create({"name": "A"}, key("k"))
    assert [p.id for p in api.products.list().data] == [again.id]


def test_reset_before_the_commit_leaves_nothing(api: Any, control: Any) -> None:
    control("faults", {"path": "/v1/products", "kind": "reset"})
    with pytest.raises(stripe.APIConnectionError):
        api.products.create({"name": "A"})
    assert api.products.list().data == []


def test_sdk_retries_find_the_first_object(stand_in: StandIn, control: Any) -> None:
    control("faults", {"method": "POST", "path": "/v1/products", "kind": "timeout_after"})
    retrying = client_for(stand_in, max_network_retries=2).v1
    product = retrying.products.create({"name": "A"})
    assert [p.id for p in retrying.products.list().data] == [product.id]


def test_rate_limit_is_a_429_that_the_sdk_passes_on(api: Any, control: Any) -> None:
    control("faults", {"kind": "429", "path": "/v1/products", "times": 2, "retry_after": 3})
    for _ in range(2):
        with pytest.raises(stripe.RateLimitError) as limited:
            api.products.list()
        assert cast("Any", limited.value.json_body)["error"]["code"] == "rate_limit"
        assert cast("Any", limited.value.headers)["retry-after"] == "3"
    assert api.products.list().data == []


def test_fault_skips_the_first_matches(api: Any, control: Any) -> None:
    control("faults", {"kind": "409", "path": "/v1/products", "after": 1})
    api.products.create({"name": "A"})
    with pytest.raises(stripe.APIError) as conflict:
        api.products.create({"name": "B"})
    assert conflict.value.http_status == 409


@pytest.mark.parametrize(
    ("path", "hits"),
    [
        ("/v1/prices/{id}", True),
        ("/v1/prices/*", True),
        ("/v1/pri*", True),
        ("/v1/prices", False),
        ("/v1", True),
        ("*", True),
        ("/v1/products/{id}", False),
    ],
)
def test_fault_path_is_exact_template_glob_or_prefix(
    api: Any, control: Any, monthly: Any, path: str, hits: bool
) -> None:
    control("faults", {"kind": "429", "method": "GET", "path": path})
    if hits:
        with pytest.raises(stripe.RateLimitError):
            api.prices.retrieve(monthly.id)
    else:
        assert api.prices.retrieve(monthly.id).id == monthly.id


def test_fault_of_an_unknown_kind_is_refused(control: Any) -> None:
    control("faults", {"kind": "flood"}, status=400)


def test_declined_change_keeps_nothing_but_the_attempt(api: Any, monthly: Any) -> None:
    customer = api.customers.create({"payment_method": "pm_card_chargeCustomerFail"})
    method = api.payment_methods.list({"customer": customer.id}).data[0]
    with pytest.raises(stripe.CardError) as declined:
        api.subscriptions.create(
            {
                "customer": customer.id,
                "items": [{"price": monthly.id}],
                "default_payment_method": method.id,
                "payment_behavior": "error_if_incomplete",
            }
        )
    assert declined.value.http_status == 402
    assert api.subscriptions.list({"status": "all"}).data == []


@pytest.mark.parametrize("credential", ["", "Bearer ", "Bearer sk_live_x", "Bearer nonsense"])
def test_key_that_is_no_test_key_is_refused(stand_in: StandIn, credential: str) -> None:
    answer = stand_in.handle(Request("GET", "/v1/products", "", {"Authorization": credential}))
    assert answer.status == 401


def test_live_key_is_refused_by_name(stand_in: StandIn) -> None:
    headers = {"Authorization": "Bearer sk_live_abc"}
    answer = stand_in.handle(Request("GET", "/v1/products", "", headers))
    assert "live key" in answer.json()["error"]["message"]


def test_basic_authentication_is_taken(stand_in: StandIn) -> None:
    headers = {"Authorization": "Basic c2tfdGVzdF94Og=="}
    assert stand_in.handle(Request("GET", "/v1/products", "", headers)).status == 200


def test_requests_are_logged_without_secrets(api: Any, control: Any) -> None:
    api.products.create({"name": "A"}, key("k"))
    api.payment_methods.create({"type": "card", "card": {"number": "4242424242424242"}})
    entries = control("requests?since=0", method="GET")["data"]
    first, second = entries
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1/products", 200)
    assert first["params"] == {"name": "A"}
    assert first["idempotency_key"] == "k"
    assert first["headers"]["authorization"] == "[redacted]"
    assert second["params"]["card[number]"] == "[redacted]"
    assert control(f"requests?since={first['seq']}", method="GET")["data"] == [second]
