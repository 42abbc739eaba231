import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.ids import derived_id, is_chosen_id


@pytest.mark.parametrize("value", ["a", "A9._:@+-", "x" * 128, "user@example.com", "org:42"])
def test_chosen_id_of_allowed_characters_is_accepted(value: str) -> None:
    assert is_chosen_id(value)


@pytest.mark.parametrize(
    "value", ["", "x" * 129, "a b", "a/b", "a#b", "a\n", "é", "a%2Fb", "\x00", "a\u202e", "٣"]
)
def test_chosen_id_of_other_characters_is_refused(value: str) -> None:
    assert not is_chosen_id(value)


parts = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8))


@given(parts, parts)
def test_derived_id_is_equal_exactly_for_equal_parts(one: list[str], other: list[str]) -> None:
    assert (derived_id("p_", *one) == derived_id("p_", *other)) == (
        one == other or {tuple(one), tuple(other)} == {(), ("",)}
    )


def test_derived_id_begins_with_its_prefix_and_may_be_chosen() -> None:
    made = derived_id("subs_", "a", "b")
    assert made.startswith("subs_")
    assert is_chosen_id(made)
