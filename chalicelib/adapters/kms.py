"""The `TokenSigner` port on AWS KMS: private keys that nobody has, not even us."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from chalicelib.adapters.aws_failures import passes
from chalicelib.domain.errors import SigningNotConfiguredError, SigningUnavailableError
from chalicelib.domain.signing_keys import PublicKey, jose_signature, public_key_of

# https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html: what an operator has to mend.
_UNUSABLE: Final = frozenset(
    {
        "DisabledException",
        "InvalidArnException",
        "InvalidKeyUsageException",
        "KMSInvalidStateException",
        "NotFoundException",
        "UnsupportedOperationException",
    }
)


class KmsSigner:
    """Signs with the first of these keys (ECC_NIST_P256, SIGN_VERIFY); the others' signatures are still good."""

    def __init__(self, *, key_ids: tuple[str, ...], region: str, endpoint_url: str | None) -> None:
        """No request is made."""
        self._key_ids = key_ids
        self._region = region
        self._endpoint_url = endpoint_url

    @cached_property
    def _client(self) -> Any:  # noqa: ANN401 -- its stubs are not among our tools
        from boto3.session import Session  # noqa: PLC0415 -- most processes sign nothing
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            connect_timeout=1, read_timeout=4, retries={"total_max_attempts": 3, "mode": "standard"}
        )
        return Session().client(
            "kms", region_name=self._region, endpoint_url=self._endpoint_url, config=config
        )

    def keys(self) -> tuple[PublicKey, ...]:
        """The public halves, asked for once a process: a key's never changes."""
        return self._keys

    @cached_property
    def _keys(self) -> tuple[PublicKey, ...]:
        return tuple(self._public_key(key_id) for key_id in self._key_ids)

    def _public_key(self, key_id: str) -> PublicKey:
        with _told():
            answer = self._client.get_public_key(KeyId=key_id)
        try:
            return public_key_of(answer["PublicKey"])
        except ValueError:
            raise SigningNotConfiguredError(
                f"The KMS key {key_id!r} is not ECC_NIST_P256."
            ) from None

    def sign(self, signed: bytes) -> bytes:
        """The signature of the first key."""
        with _told():
            # The digest, because a snapshot may be larger than what KMS takes whole (4 KB).
            answer = self._client.sign(
                KeyId=self._key_ids[0],
                Message=sha256(signed).digest(),
                MessageType="DIGEST",
                SigningAlgorithm="ECDSA_SHA_256",
            )
        return jose_signature(answer["Signature"])


@contextmanager
def _told() -> Iterator[None]:
    """What KMS fails with comes out as an error of ours, unless it is a mistake that must be seen."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        yield
    except Exception as error:
        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "")
            if code in _UNUSABLE:
                raise SigningNotConfiguredError(f"The KMS key can't be used: {code}.") from error
        if passes(error):
            raise SigningUnavailableError("The signing service did not answer.") from error
        raise
