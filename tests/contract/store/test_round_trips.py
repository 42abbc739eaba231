"""What is stored comes back as it was, whatever its kind and whatever is in it."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chalicelib.adapters.dynamodb.keys import MAX_SORT_BYTES
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.domain.errors import InvalidError, StoreConflictError
from chalicelib.ports import Absent, Anyhow, AtRevision, Delete, Put, R
from tests.contract.store.records import a_customer, a_feature, any_of, normal, stored_kinds
from tests.contract.store.worlds import World

KINDS = stored_kinds()


def test_every_record_of_the_domain_has_a_layout_and_no_layout_is_left_over() -> None:
    assert set(LAYOUTS) == set(KINDS)
    assert len({layout.kind for layout in LAYOUTS.values()}) == len(KINDS)


def test_no_two_kinds_share_a_place() -> None:
    places = {
        (layout.table, layout.partition, layout.in_partition, layout.sort)
        for layout in LAYOUTS.values()
    }
    assert len(places) == len(LAYOUTS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(
    max_examples=15,
    deadline=None,
    # One environment serves all examples: each overwrites what it meets.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
def test_record_of_any_content_comes_back_equal(
    world: World, kind: type[R], data: st.DataObject
) -> None:
    record: R = data.draw(any_of(kind))
    world.store.commit(Put(record, Anyhow()))

    found = world.store.get(kind, *record.identity)

    assert normal(found) == normal(record)
    revision = getattr(record, "revision", getattr(record, "version", 0))
    with pytest.raises(StoreConflictError):
        world.store.commit(Put(record, Absent()))
    world.store.commit(Delete(record, AtRevision(number=revision)))
    assert world.store.get(kind, *record.identity) is None


def test_identity_that_was_never_stored_is_none(world: World) -> None:
    for kind in KINDS:
        layout = LAYOUTS[kind]
        outer = ["plan"] * (layout.in_partition + layout.in_sort - 1)
        for last in ("never", "", "a#b", "x" * MAX_SORT_BYTES, "x" * 5000, "\ud800"):
            assert world.store.get(kind, *outer, last) is None, (kind, last)


def test_identity_too_long_for_a_key_is_too_large_to_be_stored(world: World) -> None:
    for record in (a_customer("x" * 2048), a_feature("é" * 512), a_customer(email="x" * 1024)):
        with pytest.raises(InvalidError) as caught:
            world.store.commit(Put(record, Absent()))
        assert caught.value.violations[0].code == "too_large"


def test_identity_of_too_few_values_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="not identified by 2 values"):
        world.store.get(type(a_customer()), "a", "b")
