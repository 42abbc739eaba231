from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.ids import CHOSEN_ID_PATTERN
from chalicelib.domain.usage_scopes import counted_by, counter_name

IDS = st.from_regex(CHOSEN_ID_PATTERN, fullmatch=True)


@given(IDS, st.none() | IDS)
def test_counter_name_of_any_ids_tells_them_apart_again(
    feature_id: str, resource_id: str | None
) -> None:
    assert counted_by(counter_name(feature_id, resource_id)) == (feature_id, resource_id)


def test_counter_name_without_resource_is_the_feature() -> None:
    assert counter_name("api", None) == "api"
