"""Signed entitlements: verified by a library, evaluated with the domain alone, and the same answers as the API's."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import ExpiredTokenError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from chalicelib.domain.decisions import Question
from chalicelib.domain.entitlement_tokens import evaluate
from chalicelib.domain.errors import SigningUnavailableError
from chalicelib.domain.signing_keys import PublicKey
from chalicelib.domain.snapshot_documents import epoch_ms
from infra.local.signer import LocalSigner
from tests.unit.api.world import World

PATH = "/v1/customers/acme/entitlements/token"
JWKS = "/v1/.well-known/jwks.json"


@pytest.fixture
def shop(world: World) -> World:
    world.ports = replace(world.ports, signer=LocalSigner())
    post(world, "products", {"id": "app", "name": "App"})
    for feature, kind in (("sso", "boolean"), ("calls", "metered"), ("size", "numeric")):
        post(world, "features", {"id": feature, "name": feature, "type": kind})
    entitlements = [
        {"feature_id": "sso", "value": True},
        {"feature_id": "calls", "usage_limit": 10, "reset_period": "month"},
        {"feature_id": "size", "value": 3},
    ]
    plan = {"id": "free", "product_id": "app", "name": "Free", "pricing_type": "free"}
    post(world, "plans", {**plan, "entitlements": entitlements})
    post(world, "plans/free/publish", {})
    post(world, "customers", {"id": "acme"})
    post(world, "subscriptions", {"customer_id": "acme", "plan_id": "free"})
    return world


def post(world: World, path: str, body: dict[str, Any]) -> Any:
    answer = world.send("POST", f"/v1/{path}", body)
    assert answer.status < 300, answer.body
    return answer.json


def verified(world: World, token: str) -> dict[str, Any]:
    """The claims, as a service of somebody's would get at them."""
    keys = KeySet.import_key_set(world.send("GET", JWKS, token=None).json)
    found = jwt.decode(token, keys, algorithms=["ES256"])
    JWTClaimsRegistry(
        now=lambda: int(world.clock.now().timestamp()),
        iss={"essential": True, "value": "https://api.example.test"},
        aud={"essential": True, "value": "paygrade:entitlements"},
        exp={"essential": True},
    ).validate(found.claims)
    return dict(found.claims)


def test_token_gives_the_answers_of_the_api(shop: World) -> None:
    made = shop.send("GET", PATH).json
    claims = verified(shop, made["token"])
    assert (claims["sub"], claims["env"]) == ("acme", "test")
    assert claims["version"] == made["snapshot_version"]
    now = epoch_ms(shop.clock.now())
    for feature_id in ("sso", "calls", "size", "nothing"):
        ours = evaluate(claims, feature_id, Question(), now)
        theirs = shop.send("GET", f"/v1/customers/acme/entitlements/{feature_id}").json
        assert ours.has_access is theirs["has_access"], feature_id
        if ours.feature_type is not None:
            assert ours.remaining == theirs["remaining"]
            assert ours.value == theirs["value"]


def test_token_carries_the_usage_of_now(shop: World) -> None:
    used = {"customer_id": "acme", "feature_id": "calls", "value": 7, "update_behavior": "delta"}
    post(shop, "usage", {**used, "idempotency_key": "one"})
    claims = verified(shop, shop.send("GET", PATH).json["token"])
    now = epoch_ms(shop.clock.now())
    assert evaluate(claims, "calls", Question(usage=3), now).has_access
    assert not evaluate(claims, "calls", Question(usage=4), now).has_access


def test_token_is_good_for_as_long_as_asked(shop: World) -> None:
    made = shop.send("GET", f"{PATH}?ttl_seconds=60").json
    shop.clock.advance(seconds=59)
    verified(shop, made["token"])
    shop.clock.advance(seconds=2)
    with pytest.raises(ExpiredTokenError):
        verified(shop, made["token"])


@pytest.mark.parametrize("ttl", ["0", "29", "3601", "x"])
def test_token_for_too_long_or_short_is_refused(shop: World, ttl: str) -> None:
    assert shop.send("GET", f"{PATH}?ttl_seconds={ttl}").status == 422


def test_token_of_nobody_is_not_found(shop: World) -> None:
    assert shop.send("GET", "/v1/customers/nobody/entitlements/token").status == 404


def test_environment_without_a_key_says_so_and_publishes_none(world: World) -> None:
    world.send("POST", "/v1/customers", {"id": "acme"})
    answer = world.send("GET", PATH)
    assert (answer.status, answer.json["code"]) == (422, "signing_not_configured")
    keys = world.send("GET", JWKS, token=None)
    assert (keys.status, keys.json) == (200, {"keys": []})


def test_signer_that_does_not_answer_is_unavailable(shop: World) -> None:
    class Away(LocalSigner):
        def keys(self) -> tuple[PublicKey, ...]:
            raise SigningUnavailableError("away")

    shop.ports = replace(shop.ports, signer=Away())
    for path in (PATH, JWKS):
        answer = shop.send("GET", path)
        assert (answer.status, answer.json["code"]) == (503, "signing_unavailable")
        assert answer.headers["Retry-After"] == "1"


def test_keys_are_public_and_cacheable(shop: World) -> None:
    answer = shop.send("GET", JWKS, token=None)
    [key] = answer.json["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    assert set(key) == {"kty", "crv", "alg", "use", "kid", "x", "y"}
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    again = shop.send("GET", JWKS, token=None, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304


def test_customer_token_is_no_entitlement_token_and_the_other_way_round(shop: World) -> None:
    token = shop.send("GET", PATH).json["token"]
    assert shop.send("GET", "/v1/customers/acme", token=token).status == 401
    assert shop.send("GET", PATH, token=shop.customer_token("acme")).status == 200


def test_evaluating_needs_the_standard_library_and_the_domain_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import chalicelib.domain.entitlement_tokens;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = set(run.stdout.split()) - sys.stdlib_module_names - {"chalicelib"}
    assert foreign == set()


def test_feature_that_the_path_of_the_token_would_hide_can_not_be_made(world: World) -> None:
    body = {"id": "token", "name": "Tokens", "type": "metered"}
    answer = world.send("POST", "/v1/features", body)
    assert (answer.status, answer.json["errors"][0]["code"]) == (422, "reserved")
    assert world.send("POST", "/v1/features", {**body, "id": "tokens"}).status == 201
