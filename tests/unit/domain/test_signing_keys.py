"""DER to JOSE and back is the same numbers; whatever else it may be is refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.signing_keys import jose_signature, public_key_of

COORDINATES = st.integers(1, 2**256 - 1)


@given(COORDINATES, COORDINATES)
def test_signature_keeps_both_numbers(r: int, s: int) -> None:
    spelled = jose_signature(encode_dss_signature(r, s))
    assert (int.from_bytes(spelled[:32]), int.from_bytes(spelled[32:])) == (r, s)
    assert len(spelled) == 64


@given(COORDINATES, COORDINATES, st.data())
def test_signature_cut_off_or_followed_by_more_is_refused(
    r: int, s: int, data: st.DataObject
) -> None:
    der = encode_dss_signature(r, s)
    cut = data.draw(st.integers(0, len(der) - 1))
    for broken in (der[:cut], der + b"\0"):
        with pytest.raises(ValueError, match="no ECDSA signature"):
            jose_signature(broken)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_signature_or_refused(der: bytes) -> None:
    try:
        spelled = jose_signature(der)
    except ValueError:
        return
    assert len(spelled) == 64


@pytest.mark.parametrize(
    "der",
    [
        encode_dss_signature(0, 1),
        encode_dss_signature(1, 2**256),
        bytes.fromhex("3006020181020101"),  # a negative number
        bytes.fromhex("30050201010200"),
    ],
)
def test_signature_with_a_number_off_the_curve_is_refused(der: bytes) -> None:
    with pytest.raises(ValueError, match="no ECDSA signature"):
        jose_signature(der)


@given(st.binary(max_size=120))
def test_any_bytes_are_no_public_key(spki: bytes) -> None:
    with pytest.raises(ValueError, match="no public key"):
        public_key_of(spki)
