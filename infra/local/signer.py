"""Signs for the local stack as KMS would: a key of this process, which nobody has after it.

The emulator's own KMS needs a package that the emulator is installed without.
"""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chalicelib.domain.signing_keys import PublicKey, jose_signature, public_key_of


class LocalSigner:
    """A `TokenSigner` with a key made for it."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def keys(self) -> tuple[PublicKey, ...]:
        """The public half."""
        public = self._key.public_key()
        return (
            public_key_of(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
        )

    def sign(self, signed: bytes) -> bytes:
        """The signature of these bytes."""
        return jose_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
