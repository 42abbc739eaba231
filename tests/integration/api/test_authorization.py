"""Who may do what: every operation of the document against every kind of key."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from chalicelib.api.key_cache import TTL_SECONDS
from chalicelib.domain.api_keys import KeyKind, Scope
from chalicelib.services.key_tokens import spell_token
from tests.integration.api.contract import Described, assert_described, assert_problem, operations
from tests.integration.api.shop import Shop
from tests.integration.api.tokens import BAD_TOKENS, asked, takes_tokens
from tests.integration.world import dump

TOKEN_OPERATIONS: Final = [one for one in operations() if takes_tokens(one)]
OTHERS: Final = [one for one in operations() if one.scope is not None and not takes_tokens(one)]
SECURED: Final = [one for one in operations() if one.scope is not None]
OPEN: Final = [one for one in operations() if one.scope is None]


def tampered(token: str) -> str:
    return token[:-1] + ("a" if token[-1] != "a" else "b")


def forged(environment: str, kind: KeyKind = KeyKind.SECRET) -> str:
    """Well spelled, checksum and all, but nobody's."""
    return spell_token(kind, environment, "key_000001", b"\x07" * 32)


def stolen_id(shop: Shop) -> str:
    """The id of a real key with another secret."""
    [*_, key_id, _] = shop.deployment.token.split("_")
    return spell_token(KeyKind.SECRET, "test", f"key_{key_id}", b"\x07" * 32)


def _bearer(make: Callable[[Shop], str]) -> Callable[[Shop], str | None]:
    return lambda shop: f"Bearer {make(shop)}"


# The whole Authorization header; None: there is none.
STRANGERS: Final[dict[str, Callable[[Shop], str | None]]] = {
    "none": lambda shop: None,
    "empty": lambda shop: "",
    "scheme-alone": lambda shop: "Bearer",
    "scheme-and-blanks": lambda shop: "Bearer   ",
    "basic": lambda shop: "Basic cGdfc2s6",
    "token-alone": lambda shop: shop.deployment.token,
    "other-scheme": lambda shop: f"Token {shop.deployment.token}",
    "garbage": lambda shop: "Bearer hunter2",
    "tampered": lambda shop: f"Bearer {tampered(shop.deployment.token)}",
    "cut-off": lambda shop: f"Bearer {shop.deployment.token[:-1]}",
    "twice": lambda shop: f"Bearer {shop.deployment.token} {shop.deployment.token}",
    "unknown": lambda shop: f"Bearer {forged('test')}",
    "known-id-other-secret": lambda shop: f"Bearer {stolen_id(shop)}",
    "secret-key-called-publishable": lambda shop: (
        f"Bearer {shop.deployment.token.replace('pg_sk_', 'pg_pk_')}"
    ),
    "other-environment": lambda shop: f"Bearer {forged('live')}",
    "own-key-called-live": lambda shop: (
        f"Bearer {shop.deployment.token.replace('_test_', '_live_')}"
    ),
    "revoked": lambda shop: f"Bearer {shop.revoked}",
    "non-ascii": lambda shop: "Bearer pg_sk_test_ünïcödé",
    "half-surrogate": lambda shop: "Bearer pg_sk_test_\ud800",
    "nul": lambda shop: f"Bearer {shop.deployment.token}\x00",
    "ten-kilobytes": lambda shop: "Bearer pg_sk_test_" + "x" * 10_240,
    "stripe-key": lambda shop: "Bearer sk_test_4eC39HqLyjWDarjtT1zdp7dc",
    **{name: _bearer(make) for name, make in BAD_TOKENS.items()},
}


def sent(shop: Shop, described: Described, authorization: str | None) -> Any:
    """A request that is as good as a request can be without being read."""
    path = described.path.replace("{", "").replace("}", "")
    headers = {"Content-Type": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    body = None if described.method == "GET" else b"{}"
    return shop.deployment.request(described.method, path, body, headers=headers)


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS.keys())
def test_operation_without_valid_key_is_unauthenticated(
    shop: Shop, stranger: Callable[[Shop], str | None]
) -> None:
    before = dump(shop.deployment.store)
    for described in SECURED:
        answer = sent(shop, described, stranger(shop))
        assert_problem(answer, 401, "unauthenticated")
        assert_described(described, answer)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert shop.deployment.token not in answer.body.decode()
    assert dump(shop.deployment.store) == before


@pytest.mark.parametrize("described", SECURED, ids=lambda one: one.name)
def test_operation_without_its_scope_is_forbidden(shop: Shop, described: Described) -> None:
    before = dump(shop.deployment.store)
    scope = Scope(described.scope or "")
    keys = {
        "all-but-it": shop.without[scope],
        **({"publishable": shop.publishable} if scope is not Scope.PAYWALL_READ else {}),
        **{other.value: token for other, token in shop.scoped.items() if other is not scope},
    }
    for name, token in keys.items():
        answer = sent(shop, described, f"Bearer {token}")
        assert (name, answer.status) == (name, 403)
        assert_problem(answer, 403, "forbidden")
        assert_described(described, answer)
    assert dump(shop.deployment.store) == before


@pytest.mark.parametrize("described", SECURED, ids=lambda one: one.name)
def test_operation_with_its_scope_alone_is_let_in(shop: Shop, described: Described) -> None:
    scope = Scope(described.scope or "")
    for scheme in ("Bearer", "bearer", "BEARER  "):
        answer = sent(shop, described, f"{scheme} {shop.scoped[scope]}")
        assert answer.status not in (401, 403), answer.body
        assert_described(described, answer)


@pytest.mark.parametrize("described", OPEN, ids=lambda one: one.name)
def test_open_operation_does_not_look_at_keys(shop: Shop, described: Described) -> None:
    for authorization in (None, "Bearer hunter2", f"Bearer {shop.revoked}"):
        answer = sent(shop, described, authorization)
        assert answer.status not in (401, 403)
        assert_described(described, answer)


@pytest.mark.parametrize("described", TOKEN_OPERATIONS, ids=lambda one: one.name)
def test_operation_with_the_customers_own_token_is_let_in(shop: Shop, described: Described) -> None:
    answer = asked(shop, described, shop.deployment.customer_token("acme"))
    assert answer.status not in (401, 403, 404), answer.body
    assert_described(described, answer)


@pytest.mark.parametrize("described", TOKEN_OPERATIONS, ids=lambda one: one.name)
def test_operation_with_another_customers_token_shows_and_changes_nothing(
    shop: Shop, described: Described
) -> None:
    for other in ("new", "gone", "nobody", "acme2", "ACME"):
        before = dump(shop.deployment.store)
        token = shop.deployment.customer_token(other)
        answer = asked(shop, described, token)
        assert (other, answer.status) in {(other, 403), (other, 404)}
        assert_problem(answer, answer.status, answer.json["code"])
        assert_described(described, answer)
        assert "acme" not in answer.json["detail"]
        assert dump(shop.deployment.store) == before


@pytest.mark.parametrize("described", OTHERS, ids=lambda one: one.name)
def test_operation_that_takes_no_tokens_is_forbidden_to_the_customers_own(
    shop: Shop, described: Described
) -> None:
    before = dump(shop.deployment.store)
    answer = asked(shop, described, shop.deployment.customer_token("acme"))
    assert_problem(answer, 403, "forbidden")
    assert_described(described, answer)
    assert dump(shop.deployment.store) == before


def test_another_customers_object_looks_like_one_that_is_not_there(shop: Shop) -> None:
    token = shop.deployment.customer_token("new")
    for theirs in (shop.subscription_id, "subs_nothing"):
        body = {"subscription_id": theirs, "plan_id": "pro"}
        answer = shop.deployment.send("POST", "/v1/subscriptions/preview", body, token=token)
        assert_problem(answer, 404, "not_found")
    for path, theirs in (
        ("/v1/subscriptions", shop.subscription_id),
        ("/v1/checkout_sessions", shop.session_id),
    ):
        seen = shop.deployment.send("GET", f"{path}/{theirs}", token=token)
        missing = shop.deployment.send("GET", f"{path}/nothing", token=token)
        assert (seen.status, missing.status) == (404, 404)
        assert seen.json["detail"].replace(theirs, "nothing") == missing.json["detail"]


def test_operations_that_take_tokens_are_known() -> None:
    """A new one is a decision: its request has to say whose it is."""
    assert {one.name for one in TOKEN_OPERATIONS} == {
        "GET /v1/customers/{customer_id}",
        "GET /v1/customers/{customer_id}/entitlements",
        "GET /v1/customers/{customer_id}/entitlements/{feature_id}",
        "GET /v1/subscriptions",
        "GET /v1/subscriptions/{subscription_id}",
        "POST /v1/subscriptions",
        "POST /v1/subscriptions/preview",
        "POST /v1/checkout_sessions",
        "GET /v1/checkout_sessions/{session_id}",
        "POST /v1/checkout_sessions/{session_id}/expire",
        "GET /v1/customers/{customer_id}/entitlements/token",
        "GET /v1/paywall",
        "GET /v1/customers/{customer_id}/portal",
        "POST /v1/customers/{customer_id}/portal_session",
    }


def test_publishable_key_is_let_in_to_the_paywall_alone(shop: Shop) -> None:
    let_in = {one.name for one in SECURED if asked(shop, one, shop.publishable, "").status != 403}
    assert let_in == {"GET /v1/paywall"}


def test_matrix_covers_every_operation() -> None:
    assert len(SECURED) + len(OPEN) == sum(1 for _ in operations())
    assert len(SECURED) * len(STRANGERS) > 1000


def test_key_revoked_in_use_stops_working_within_its_time(shop: Shop) -> None:
    token = shop.deployment.new_token(*Scope)
    assert shop.deployment.send("GET", "/v1/environment", token=token).status == 200
    keys = shop.deployment.send("GET", "/v1/api_keys?limit=100").json["data"]
    [key] = [one for one in keys if one["hint"] == token[-4:]]
    shop.deployment.send("DELETE", f"/v1/api_keys/{key['id']}")
    shop.deployment.clock.advance(seconds=TTL_SECONDS)
    assert_problem(
        shop.deployment.send("GET", "/v1/environment", token=token), 401, "unauthenticated"
    )


def test_environment_is_the_keys_and_never_the_requests(shop: Shop) -> None:
    for path in ("/v1/environment?environment=live", "/v1/customers?env=live"):
        assert_problem(shop.deployment.send("GET", path), 422, "invalid")
    answer = shop.deployment.send("GET", "/v1/environment", X_Environment="live")
    assert answer.json["id"] == "test"
