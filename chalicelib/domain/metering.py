"""Meters: which events a feature's usage is computed from, and what each event says.

A meter looks at an event's properties; the event's name is one of them, `event_name`. A meter without filters looks at
every event. An event without the property that a meter aggregates says nothing to that meter.
"""

from collections.abc import Callable, Mapping
from typing import Final

from chalicelib.domain.errors import invalid
from chalicelib.domain.features import Aggregation, Meter, MeterCondition

Scalar = str | int | float | bool | None
Properties = Mapping[str, Scalar]

EVENT_NAME: Final = "event_name"
_LARGEST: Final = 2**53 - 1


def looks_at(meter: Meter, event_name: str, properties: Properties) -> bool:
    """Whether the event passes the filters: all conditions of any group."""
    known = {**properties, EVENT_NAME: event_name}
    if not meter.filters:
        return True
    return any(
        all(_holds(one, known.get(one.property)) for one in group) for group in meter.filters
    )


def amount_in(meter: Meter, properties: Properties) -> int | None:
    """The number that the event adds to the meter; None if it says nothing to it. Not for `unique`.

    Raises:
        InvalidError: The property is there and no whole number.
    """
    if meter.aggregation is Aggregation.COUNT:
        return 1
    name = meter.property or ""
    value = properties.get(name)
    if value is None:
        return None
    if type(value) is not int or abs(value) > _LARGEST:
        detail = f"The {meter.aggregation} of {name!r} needs whole numbers."
        raise invalid(f"properties.{name}"[:200], "wrong_type", detail)
    return value


def member_in(meter: Meter, event_name: str, properties: Properties) -> str | None:
    """The value that a `unique` meter counts once, as text that tells types apart; None if there is none."""
    known = {**properties, EVENT_NAME: event_name}
    value = known.get(meter.property or "")
    return None if value is None else f"{type(value).__name__}:{value}"


def _holds(condition: MeterCondition, value: Scalar) -> bool:
    return _TESTS[condition.op](value, condition.value)


Operand = str | int | bool | tuple[str | int, ...] | None
_Test = Callable[[Scalar, Operand], bool]


def _same(value: Scalar, operand: Operand) -> bool:
    # True is no 1, but 1.0 is.
    return isinstance(value, bool) == isinstance(operand, bool) and value == operand


def _is_in(value: Scalar, operand: Operand) -> bool:
    return isinstance(operand, tuple) and any(_same(value, one) for one in operand)


def _text(test: Callable[[str, str], bool]) -> _Test:
    def of_texts(value: Scalar, operand: Operand) -> bool:
        return isinstance(value, str) and isinstance(operand, str) and test(value, operand)

    return of_texts


def _number(test: Callable[[float, float], bool]) -> _Test:
    def of_numbers(value: Scalar, operand: Operand) -> bool:
        if isinstance(value, bool) or isinstance(operand, bool):
            return False
        return isinstance(value, int | float) and isinstance(operand, int) and test(value, operand)

    return of_numbers


_TESTS: Final[Mapping[str, _Test]] = {
    "equals": _same,
    "not_equals": lambda value, operand: not _same(value, operand),
    "contains": _text(lambda value, part: part in value),
    "starts_with": _text(str.startswith),
    "ends_with": _text(str.endswith),
    "in": _is_in,
    "greater_than": _number(lambda value, bound: value > bound),
    "greater_than_or_equal": _number(lambda value, bound: value >= bound),
    "less_than": _number(lambda value, bound: value < bound),
    "less_than_or_equal": _number(lambda value, bound: value <= bound),
    "is_null": lambda value, _: value is None,
    "is_not_null": lambda value, _: value is not None,
}
