from typing import Any

import pytest

from chalicelib.domain.errors import InvalidError
from chalicelib.domain.features import _OPERANDS, Aggregation, Meter, MeterCondition
from chalicelib.domain.metering import _TESTS, amount_in, looks_at, member_in


def passes(op: str, operand: Any, properties: dict[str, Any]) -> bool:
    condition = MeterCondition(property="p", op=op, value=operand)
    meter = Meter(aggregation=Aggregation.COUNT, filters=((condition,),))
    return looks_at(meter, "call", properties)


def test_every_operation_that_a_feature_may_have_is_there() -> None:
    assert set(_TESTS) == set(_OPERANDS)


@pytest.mark.parametrize(
    ("op", "operand", "yes", "no"),
    [
        ("equals", "a", ["a"], ["b", "A", None, 1]),
        ("equals", 1, [1, 1.0], [2, "1", True, None]),
        ("equals", True, [True], [False, 1, "true", None]),
        ("not_equals", "a", ["b", 1, None], ["a"]),
        ("contains", "a", ["cat", "a"], ["b", None, 1]),
        ("starts_with", "a", ["ab"], ["ba", None, 1]),
        ("ends_with", "a", ["ba"], ["ab", None, 1]),
        ("in", ("a", 1), ["a", 1, 1.0], ["b", True, None]),
        ("greater_than", 5, [6, 5.5], [5, "6", True, None]),
        ("greater_than_or_equal", 5, [5, 6], [4, None]),
        ("less_than", 5, [4, 4.5, -1], [5, False, None]),
        ("less_than_or_equal", 5, [5], [6, None]),
        ("is_null", None, [None], [0, "", False]),
        ("is_not_null", None, [0, "", False], [None]),
    ],
)
def test_condition_holds_for_these_and_not_for_those(
    op: str, operand: Any, yes: list[Any], no: list[Any]
) -> None:
    assert [value for value in yes if not passes(op, operand, {"p": value})] == []
    assert [value for value in no if passes(op, operand, {"p": value})] == []
    for value in (None,):
        assert passes(op, operand, {}) is passes(op, operand, {"p": value})


def a_filter(*groups: dict[str, Any]) -> Meter:
    return Meter(
        aggregation=Aggregation.COUNT,
        filters=tuple(
            tuple(
                MeterCondition(property=name, op="equals", value=value)
                for name, value in group.items()
            )
            for group in groups
        ),
    )


def test_groups_are_alternatives_and_conditions_come_together() -> None:
    meter = a_filter({"a": 1, "b": 2}, {"c": 3})
    assert looks_at(meter, "x", {"a": 1, "b": 2})
    assert looks_at(meter, "x", {"c": 3})
    assert not looks_at(meter, "x", {"a": 1, "c": 4})


def test_meter_without_filters_looks_at_every_event() -> None:
    assert looks_at(a_filter(), "anything", {})


def test_name_of_the_event_is_a_property_that_nobody_can_forge() -> None:
    meter = a_filter({"event_name": "call"})
    assert looks_at(meter, "call", {})
    assert not looks_at(meter, "other", {"event_name": "call"})


def test_amount_is_one_for_a_count_and_the_property_for_all_else() -> None:
    assert amount_in(Meter(aggregation=Aggregation.COUNT), {}) == 1
    meter = Meter(aggregation=Aggregation.SUM, property="n")
    assert amount_in(meter, {"n": 7}) == 7
    assert amount_in(meter, {"n": None}) is None
    assert amount_in(meter, {}) is None


@pytest.mark.parametrize("value", ["7", 7.5, True, 2**53])
def test_amount_that_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(InvalidError) as error:
        amount_in(Meter(aggregation=Aggregation.MAX, property="n"), {"n": value})
    assert error.value.violations[0].param == "properties.n"


def test_members_of_different_types_differ() -> None:
    meter = Meter(aggregation=Aggregation.UNIQUE, property="n")
    members = {member_in(meter, "x", {"n": value}) for value in (1, "1", True, "True")}
    assert len(members) == 4
    assert member_in(meter, "x", {}) is None
