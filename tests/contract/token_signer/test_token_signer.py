"""What signs entitlement tokens: an independent library verifies each of them."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from joserfc import jws
from joserfc.errors import BadSignatureError
from joserfc.jwk import ECKey
from moto import mock_aws
from moto.kms.utils import ECDSAPrivateKey

from chalicelib.adapters.kms import KmsSigner
from chalicelib.domain import jose
from chalicelib.domain.errors import SigningNotConfiguredError
from chalicelib.domain.signing_keys import PublicKey
from chalicelib.ports import TokenSigner
from infra.local.signer import LocalSigner

REGION = "us-east-1"


def _sign_digest(key: Any, digest: bytes, algorithm: str) -> bytes:
    """As KMS does with MessageType DIGEST, which moto takes for a message."""
    assert algorithm == "ECDSA_SHA_256"
    signature: bytes = key.private_key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    return signature


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(ECDSAPrivateKey, "sign", _sign_digest)
    with mock_aws():
        yield


def kms_key(spec: str = "ECC_NIST_P256") -> str:
    client = boto3.client("kms", region_name=REGION)
    made = client.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
    return str(made["KeyMetadata"]["KeyId"])


def kms(*key_ids: str) -> KmsSigner:
    return KmsSigner(key_ids=key_ids, region=REGION, endpoint_url=None)


@pytest.fixture(params=["local", "kms"])
def signer(request: pytest.FixtureRequest) -> TokenSigner:
    if request.param == "local":
        return LocalSigner()
    request.getfixturevalue("aws")
    return kms(kms_key(), kms_key())


def as_jwk(key: PublicKey) -> ECKey:
    return ECKey.import_key(
        {"kty": "EC", "crv": "P-256", "x": jose.b64url(key.x), "y": jose.b64url(key.y)}
    )


def token_of(signer: TokenSigner, claims: dict[str, object]) -> str:
    header = {"alg": "ES256", "typ": "JWT", "kid": signer.keys()[0].kid}
    signed = jose.signing_input(header, claims)
    return f"{signed}.{jose.b64url(signer.sign(signed.encode()))}"


@pytest.mark.parametrize("size", [0, 1, 5_000, 60_000])
def test_signature_is_verified_by_an_independent_library(signer: TokenSigner, size: int) -> None:
    token = token_of(signer, {"filler": "x" * size})
    found = jws.deserialize_compact(token, as_jwk(signer.keys()[0]), algorithms=["ES256"])
    assert json.loads(found.payload) == {"filler": "x" * size}


def test_signatures_of_many_are_all_64_bytes_and_good(signer: TokenSigner) -> None:
    # Some have a number that begins with a zero byte, or with a bit that DER has to pad.
    for number in range(60):
        token = token_of(signer, {"n": number})
        jws.deserialize_compact(token, as_jwk(signer.keys()[0]), algorithms=["ES256"])


def test_signature_of_something_else_is_not_verified(signer: TokenSigner) -> None:
    one, other = token_of(signer, {"n": 1}), token_of(signer, {"n": 2})
    mixed = one.rpartition(".")[0] + "." + other.rpartition(".")[2]
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(mixed, as_jwk(signer.keys()[0]), algorithms=["ES256"])


def test_name_of_a_key_is_its_thumbprint(signer: TokenSigner) -> None:
    assert [key.kid for key in signer.keys()] == [  # noqa: SIM118 -- it is no mapping
        as_jwk(key).thumbprint()
        for key in signer.keys()  # noqa: SIM118
    ]


def test_first_key_signs_and_all_are_published(aws: None) -> None:
    old, new = kms_key(), kms_key()
    rolled = kms(new, old)
    first, second = rolled.keys()
    assert (first, second) == (kms(new).keys()[0], kms(old).keys()[0])
    token = token_of(rolled, {})
    jws.deserialize_compact(token, as_jwk(kms(new).keys()[0]), algorithms=["ES256"])


def test_what_is_sent_is_a_digest_and_says_so(aws: None) -> None:
    sent: list[dict[str, Any]] = []
    signer = kms(kms_key())
    events = signer._client.meta.events
    events.register("before-parameter-build.kms.Sign", lambda params, **_: sent.append(params))
    signer.sign(b"x" * 10_000)
    [params] = sent
    assert (params["MessageType"], len(params["Message"])) == ("DIGEST", 32)


def test_key_that_is_missing_or_of_another_curve_is_not_configured(aws: None) -> None:
    for signer in (kms("11111111-2222-3333-4444-555555555555"), kms(kms_key("ECC_NIST_P384"))):
        with pytest.raises(SigningNotConfiguredError):
            signer.keys()
