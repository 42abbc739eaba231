"""Customer tokens, right and wrong, and requests that name a customer wherever the operation looks for one."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from chalicelib.domain import jose
from chalicelib.domain.customer_tokens import TokenSecret
from tests.integration.api.contract import Described
from tests.integration.api.shop import Shop
from tests.unit.api.world import Answer


def parts(shop: Shop, customer_id: str = "acme") -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a right token."""
    header, claims, _ = shop.deployment.customer_token(customer_id).split(".")
    return tuple(
        json.loads(jose.taken_apart(f"{part}.{part}.", max_length=9999).payload)  # type: ignore[union-attr]
        for part in (header, claims)
    )


def forged(
    shop: Shop,
    header: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    secret: TokenSecret | None = None,
) -> str:
    """A token that says this beside what a right one says, signed with the environment's secret or this one."""
    first, second = parts(shop)
    text = jose.signing_input(first | (header or {}), second | (claims or {}))
    by = secret or shop.deployment.token_secrets[0]
    return f"{text}.{jose.b64url(by.signature(text.encode()))}"


def unsigned(shop: Shop) -> str:
    first, second = parts(shop)
    return f"{jose.signing_input({**first, 'alg': 'none'}, second)}."


def _at(shop: Shop, **distance: float) -> int:
    return int((shop.deployment.clock.now() + timedelta(**distance)).timestamp())


def other_secret() -> TokenSecret:
    return TokenSecret(b"the secret of some other deployment")


BAD_TOKENS: Final[dict[str, Callable[[Shop], str]]] = {
    "token-alg-none": unsigned,
    "token-alg-none-signed": lambda shop: forged(shop, {"alg": "none"}),
    "token-alg-hs512": lambda shop: forged(shop, {"alg": "HS512"}),
    "token-alg-rs256": lambda shop: forged(shop, {"alg": "RS256"}),
    "token-own-key": lambda shop: forged(shop, {"jwk": {"kty": "oct", "k": "AA"}}),
    "token-tampered": lambda shop: shop.deployment.customer_token("acme")[:-2] + "AA",
    "token-cut-off": lambda shop: shop.deployment.customer_token("acme")[:-1],
    "token-other-payload": lambda shop: ".".join(
        (
            shop.deployment.customer_token("acme").rpartition(".")[0],
            shop.deployment.customer_token("new").rpartition(".")[2],
        )
    ),
    "token-other-secret": lambda shop: forged(shop, secret=other_secret()),
    "token-other-kid": lambda shop: forged(
        shop, {"kid": other_secret().kid}, secret=other_secret()
    ),
    "token-expired": lambda shop: forged(
        shop, None, {"iat": _at(shop, minutes=-16), "exp": _at(shop, minutes=-1)}
    ),
    "token-expired-just-now": lambda shop: forged(
        shop, None, {"iat": _at(shop, minutes=-15), "exp": _at(shop)}
    ),
    "token-from-the-future": lambda shop: forged(
        shop, None, {"iat": _at(shop, minutes=5), "exp": _at(shop, minutes=20)}
    ),
    "token-for-ever": lambda shop: forged(shop, None, {"exp": _at(shop, days=365)}),
    "token-other-environment": lambda shop: forged(shop, None, {"env": "live"}),
    "token-other-audience": lambda shop: forged(shop, None, {"aud": "paygrade:entitlements"}),
    "token-other-issuer": lambda shop: forged(shop, None, {"iss": "https://evil.example"}),
    "token-of-nobody": lambda shop: forged(shop, None, {"sub": ""}),
}


def takes_tokens(described: Described) -> bool:
    return any("customer_token" in one for one in described.operation["security"])


def owned(shop: Shop) -> dict[str, str]:
    """What stands in paths: the objects of the customer acme."""
    return {
        "customer_id": "acme",
        "feature_id": "sso",
        "subscription_id": shop.subscription_id,
        "session_id": shop.session_id,
    }


def asked(shop: Shop, described: Described, token: str, customer_id: str = "acme") -> Answer:
    """A request about this customer; objects in paths are always acme's. Blank: no query names one."""
    names = owned(shop) | {"customer_id": customer_id or "acme"}
    path = described.path
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", value)
    path = path.replace("{", "").replace("}", "")
    query = {one["name"] for one in described.operation["parameters"] if one["in"] == "query"}
    if "customer_id" in query and customer_id:
        path += f"?customer_id={customer_id}"
    body = None
    if described.body_schema is not None:
        body = {"customer_id": customer_id, "plan_id": "pro"}
        if "portal_session" in described.path:
            body = {"return_url": "https://shop.example.test/"}
    return shop.deployment.send(described.method, path, body, token=token)
