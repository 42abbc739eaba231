from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.money import CURRENCIES, canonical_decimal

decimals = st.decimals(
    min_value=0, max_value=99_999_999, places=12, allow_nan=False, allow_infinity=False
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1", "1"),
        ("1.0", "1"),
        ("0.10", "0.1"),
        ("100", "100"),
        ("1E+2", "100"),
        ("1E-9", "0.000000001"),
        ("0", "0"),
        ("0.000", "0"),
        ("0E+3", "0"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("99999999.999999999999", "99999999.999999999999"),
    ],
)
def test_canonical_decimal_any_spelling_becomes_the_one(value: str, text: str) -> None:
    assert canonical_decimal(Decimal(value)) == text


@given(decimals, decimals)
def test_canonical_decimal_is_equal_exactly_for_equal_values(one: Decimal, other: Decimal) -> None:
    assert (canonical_decimal(one) == canonical_decimal(other)) == (one == other)


@given(decimals)
def test_canonical_decimal_keeps_the_value(value: Decimal) -> None:
    assert Decimal(canonical_decimal(value)) == value


def test_currencies_are_lower_case_iso_codes() -> None:
    assert all(len(code) == 3 and code.isascii() and code.islower() for code in CURRENCIES)
    assert {"usd", "eur", "jpy", "gbp"} <= CURRENCIES
