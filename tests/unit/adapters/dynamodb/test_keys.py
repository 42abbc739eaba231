"""Keys keep the values they are made of apart, whatever those are."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.adapters.dynamodb.keys import escaped, fits, joined, parted
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.operations import sortable

PARTS = st.lists(st.text("ab#%23 é", max_size=6), min_size=1, max_size=4)
MOMENTS = st.datetimes(timezones=st.just(UTC))


@given(PARTS)
def test_key_tells_its_parts(parts: list[str]) -> None:
    assert parted(joined(escaped(parts[0]), *parts[1:])) == tuple(parts)


@given(PARTS, PARTS)
def test_different_parts_make_different_keys(one: list[str], other: list[str]) -> None:
    assert (joined("X", *one) == joined("X", *other)) == (one == other)


@given(MOMENTS, MOMENTS)
def test_sortable_instants_sort_as_instants_do(one: datetime, other: datetime) -> None:
    assert (sortable(one) < sortable(other)) == (one < other)


@pytest.mark.parametrize(
    ("key", "expected"),
    [("x" * 10, True), ("x" * 11, False), ("é" * 5, True), ("é" * 6, False), ("\ud800", False)],
)
def test_key_fits_by_its_bytes(key: str, expected: bool) -> None:
    assert fits(key, 10) is expected


def test_sort_keys_of_one_kind_do_not_begin_as_those_of_another() -> None:
    for one in LAYOUTS.values():
        for other in LAYOUTS.values():
            if one is not other and (one.table, one.partition) == (other.table, other.partition):
                assert not f"{one.sort}#".startswith(f"{other.sort}#")
