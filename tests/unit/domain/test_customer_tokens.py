"""Customer tokens: an independent library reads ours and we read its, and nothing else gets in."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from chalicelib.domain import jose
from chalicelib.domain.customer_tokens import (
    AUDIENCE,
    MAX_LENGTH,
    CustomerToken,
    Realm,
    TokenSecret,
    read,
    spell,
)
from chalicelib.domain.ids import CustomerId

NOW: Final = datetime(2026, 1, 15, 12, tzinfo=UTC)
SECRET: Final = TokenSecret(b"a secret of at least 32 characters")
OTHER: Final = TokenSecret(b"another one, also of 32 characters")
REALM: Final = Realm(issuer="https://api.example.test", environment="test")
TOKEN: Final = CustomerToken(
    id="ctok_1", customer_id=CustomerId("acme"), expires_at=NOW + timedelta(minutes=15)
)
TEXT: Final = spell(SECRET, REALM, TOKEN, NOW)
CLAIMS: Final[dict[str, Any]] = {
    "iss": REALM.issuer,
    "aud": AUDIENCE,
    "env": "test",
    "sub": "acme",
    "jti": "ctok_1",
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 900,
}
HEADER: Final = {"alg": "HS256", "typ": "JWT", "kid": SECRET.kid}


def signed(header: Any, claims: Any, secret: TokenSecret = SECRET) -> str:
    """Whatever these say, rightly signed."""
    text = ".".join(jose.b64url(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{jose.b64url(secret.signature(text.encode()))}"


def found(text: str, now: datetime = NOW, *secrets: TokenSecret) -> CustomerToken | None:
    return read(text, secrets or (SECRET,), REALM, now)


def test_token_is_read_by_an_independent_library() -> None:
    parsed = jwt.decode(TEXT, OctKey.import_key(SECRET.value), algorithms=["HS256"])
    assert parsed.claims == CLAIMS
    assert parsed.header == HEADER


def test_token_of_an_independent_library_is_read() -> None:
    text = jwt.encode(HEADER, CLAIMS, OctKey.import_key(SECRET.value), algorithms=["HS256"])
    assert found(text) == TOKEN


def test_token_is_valid_from_its_issue_until_the_second_it_expires() -> None:
    assert found(TEXT) == TOKEN
    assert found(TEXT, NOW + timedelta(seconds=899.999)) == TOKEN
    assert found(TEXT, NOW + timedelta(seconds=900)) is None
    assert found(TEXT, NOW - timedelta(seconds=60)) == TOKEN
    assert found(TEXT, NOW - timedelta(seconds=61)) is None


def test_token_of_a_secret_being_rolled_is_valid_until_the_secret_is_dropped() -> None:
    assert found(TEXT, NOW, OTHER, SECRET) == TOKEN
    assert found(TEXT, NOW, OTHER) is None
    assert read(TEXT, (), REALM, NOW) is None


def test_secret_shows_neither_in_its_text_nor_in_its_name() -> None:
    assert "secret of" not in repr(SECRET)
    assert SECRET.kid != OTHER.kid
    assert len(SECRET.kid) == 16


HEADERS: Final[dict[str, Any]] = {
    "alg-none": {**HEADER, "alg": "none"},
    "alg-None": {**HEADER, "alg": "None"},
    "alg-lower": {**HEADER, "alg": "hs256"},
    "alg-HS512": {**HEADER, "alg": "HS512"},
    "alg-RS256": {**HEADER, "alg": "RS256"},
    "alg-ES256": {**HEADER, "alg": "ES256"},
    "alg-list": {**HEADER, "alg": ["HS256"]},
    "alg-null": {**HEADER, "alg": None},
    "no-alg": {"typ": "JWT", "kid": SECRET.kid},
    "no-kid": {"alg": "HS256", "typ": "JWT"},
    "kid-unknown": {**HEADER, "kid": OTHER.kid},
    "kid-empty": {**HEADER, "kid": ""},
    "kid-list": {**HEADER, "kid": [SECRET.kid]},
    "kid-path": {**HEADER, "kid": "../../dev/null"},
    "no-typ": {"alg": "HS256", "kid": SECRET.kid},
    "typ-other": {**HEADER, "typ": "at+jwt"},
    "crit": {**HEADER, "crit": ["exp"]},
    "jwk": {**HEADER, "jwk": {"kty": "oct", "k": "AAAA"}},
    "jku": {**HEADER, "jku": "https://evil.example/keys"},
    "b64-false": {**HEADER, "b64": False},
    "empty": {},
    "list": ["HS256"],
    "text": "HS256",
    "null": None,
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_token_with_another_header_is_none_even_rightly_signed(header: Any) -> None:
    assert found(signed(header, CLAIMS)) is None


CLAIM_FAULTS: Final[dict[str, dict[str, Any]]] = {
    "iss-other": {"iss": "https://evil.example"},
    "iss-slash": {"iss": f"{REALM.issuer}/"},
    "iss-list": {"iss": [REALM.issuer]},
    "aud-other": {"aud": "paygrade:entitlements"},
    "aud-list": {"aud": [AUDIENCE]},
    "env-other": {"env": "live"},
    "env-case": {"env": "Test"},
    "sub-empty": {"sub": ""},
    "sub-number": {"sub": 1},
    "sub-path": {"sub": "acme/../other"},
    "sub-long": {"sub": "a" * 129},
    "jti-number": {"jti": 1},
    "iat-text": {"iat": str(CLAIMS["iat"])},
    "iat-true": {"iat": True},
    "iat-float": {"iat": float(CLAIMS["iat"])},
    "iat-ahead": {"iat": CLAIMS["iat"] + 61},
    "exp-text": {"exp": str(CLAIMS["exp"])},
    "exp-float": {"exp": float(CLAIMS["exp"])},
    "exp-huge": {"exp": 10**20},
    "exp-past": {"exp": CLAIMS["iat"]},
    "exp-before-iat": {"exp": CLAIMS["iat"] - 1},
    "exp-negative": {"exp": -1},
    "lives-too-long": {"exp": CLAIMS["iat"] + 3601},
}


@pytest.mark.parametrize("changes", CLAIM_FAULTS.values(), ids=CLAIM_FAULTS.keys())
def test_token_with_another_claim_is_none_even_rightly_signed(changes: dict[str, Any]) -> None:
    assert found(signed(HEADER, {**CLAIMS, **changes})) is None


@pytest.mark.parametrize("claim", CLAIMS)
def test_token_without_a_claim_is_none_even_rightly_signed(claim: str) -> None:
    rest = {name: value for name, value in CLAIMS.items() if name != claim}
    assert found(signed(HEADER, rest)) is None


def test_token_without_claims_at_all_is_none() -> None:
    several: list[Any] = [[], "x", None, 1]
    for claims in several:
        assert found(signed(HEADER, claims)) is None


MANGLED: Final[dict[str, Callable[[str], str]]] = {
    "empty": lambda text: "",
    "no-signature": lambda text: text.rpartition(".")[0],
    "blank-signature": lambda text: text.rpartition(".")[0] + ".",
    "four-parts": lambda text: f"{text}.AAAA",
    "padded": lambda text: f"{text}=",
    "blank": lambda text: f"{text} ",
    "newline": lambda text: f"{text}\n",
    "non-ascii": lambda text: f"{text}é",
    "plain-base64": lambda text: text.replace("_", "/").replace("-", "+") + "+",
    "other-signature": lambda text: (
        f"{text.rpartition('.')[0]}.{signed(HEADER, CLAIMS, OTHER).rpartition('.')[2]}"
    ),
    "too-long": lambda text: signed(HEADER, {**CLAIMS, "more": "x" * MAX_LENGTH}),
    "twice-the-same-claim": lambda text: _raw(
        json.dumps(CLAIMS)[:-1] + ', "sub": "other"}',
    ),
    "nested": lambda text: _raw("[" * 1000),
    "not-utf-8": lambda text: _raw(b"\xff"),
    "huge-number": lambda text: _raw('{"exp": ' + "9" * 1200 + "}"),
}


def _raw(payload: str | bytes) -> str:
    data = payload.encode() if isinstance(payload, str) else payload
    text = f"{jose.b64url(json.dumps(HEADER).encode())}.{jose.b64url(data)}"
    return f"{text}.{jose.b64url(SECRET.signature(text.encode()))}"


@pytest.mark.parametrize("mangle", MANGLED.values(), ids=MANGLED.keys())
def test_token_spelled_otherwise_is_none(mangle: Callable[[str], str]) -> None:
    assert found(mangle(TEXT)) is None


@given(st.integers(0, len(TEXT) - 1), st.sampled_from("AZaz09-_.=+/ é"))
def test_token_with_any_character_changed_is_none(index: int, other: str) -> None:
    changed = TEXT[:index] + other + TEXT[index + 1 :]
    assert found(changed) == (TOKEN if changed == TEXT else None)


@given(st.text(max_size=300))
def test_any_text_is_none_and_raises_nothing(text: str) -> None:
    assert found(text) is None
    assert found(text + "." + text + "." + text) is None
