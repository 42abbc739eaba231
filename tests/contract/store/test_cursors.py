"""A cursor leads on in the list that gave it out; whatever else is handed in is invalid, never a failure."""

import base64
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import InvalidError
from chalicelib.domain.features import Feature
from chalicelib.ports import Absent, Page, Put
from tests.contract.store.records import a_customer, a_feature, an_entry, an_event
from tests.contract.store.worlds import DynamoWorld, World

EMAIL = "a@example.test"
DEEP = base64.urlsafe_b64encode(b"[" * 5000).decode()
INSIDE = [f"{EMAIL}#", f"{EMAIL}##a#b#c", f"{EMAIL}##" + "x" * 3000, "failed#x", "F#x", "A#\ud800"]
List = Callable[..., Page[Any]]
LISTS: dict[str, Callable[[World], List]] = {
    "features": lambda w: lambda **page: w.store.list_within(Feature, **page),
    "entries": lambda w: lambda **page: w.store.list_within(AuditEntry, "plan:a", **page),
    "other entries": lambda w: lambda **page: w.store.list_within(AuditEntry, "plan:b", **page),
    "customers": lambda w: lambda **page: w.store.list_within(Customer, **page),
    "emails": lambda w: lambda **page: w.store.find_by(Customer, "email", EMAIL, **page),
    "pending": lambda w: lambda **page: w.store.find_by(BillingEvent, "status", "pending", **page),
    "failed": lambda w: lambda **page: w.store.find_by(BillingEvent, "status", "failed", **page),
}


def fill(world: World) -> None:
    for number in range(4):
        name = f"{number}"
        world.store.commit(
            Put(a_feature(name), Absent()),
            Put(an_entry("plan:a", name), Absent()),
            Put(an_entry("plan:b", name), Absent()),
            Put(a_customer(name, email=EMAIL), Absent()),
            Put(an_event(f"p{name}"), Absent()),
            Put(an_event(f"f{name}", status=BillingEventStatus.FAILED), Absent()),
        )


def refused(read: List, cursor: str, **page: Any) -> bool:
    try:
        read(limit=2, cursor=cursor, **page)
    except InvalidError as error:
        return [found.param for found in error.violations] == ["cursor"]
    return False


def test_cursor_of_another_list_or_direction_is_invalid(world: World) -> None:
    fill(world)
    lists = {name: make(world) for name, make in LISTS.items()}
    for giver, read in lists.items():
        cursor = read(limit=2).next_cursor
        assert cursor is not None
        assert read(limit=2, cursor=cursor).items, giver
        assert refused(read, cursor, newest_first=True), giver
        for taker, other in lists.items():
            assert refused(other, cursor) == (giver != taker), (giver, taker)


NONE = [
    "",
    "x",
    "!",
    "é",
    "0",
    "1",
    "null",
    "W10",
    "bnVsbA",
    "e30",
    "__4",
    "\ud800",
    DEEP,
    "A" * 9999,
]


def test_cursor_that_is_none_is_invalid(world: World) -> None:
    fill(world)
    taken = [
        (of, cursor)
        for of, make in LISTS.items()
        for cursor in NONE
        if not refused(make(world), cursor)
    ]
    assert taken == []


@given(cursor=st.text(max_size=30) | st.binary().map(lambda raw: base64.b64encode(raw).decode()))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_cursor_of_any_text_is_invalid(world: World, cursor: str) -> None:
    assert refused(LISTS["features"](world), cursor)


def forged(cursor: str, part: Any, after: Any) -> str:
    """The cursor of a list with another place in it."""
    name, *_ = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    text = json.dumps([name, part, after])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


PARTS = [-1, 8, 10**9, True, 1.0, "0", None, [], {}]


@pytest.mark.parametrize("of", LISTS)
def test_cursor_forged_to_lead_to_no_part_of_the_list_is_invalid(
    dynamo: DynamoWorld, of: str
) -> None:
    fill(dynamo)
    read = LISTS[of](dynamo)
    cursor = read(limit=2).next_cursor
    assert cursor is not None
    assert [part for part in PARTS if not refused(read, forged(cursor, part, None))] == []


PLACES = [0, [], {}, {"pk": {"S": "x"}}, "", "F", "K#1", "\ud800", "x" * 2000, "##", "#", "F#x"]
PLACES += [f"{EMAIL}#", f"{EMAIL}##a#b#c", f"{EMAIL}##" + "x" * 3000, "failed#x", "A#\ud800"]


@pytest.mark.parametrize("of", LISTS)
def test_cursor_forged_to_lead_elsewhere_finds_nothing_that_its_list_does_not_hold(
    dynamo: DynamoWorld, of: str
) -> None:
    fill(dynamo)
    read = LISTS[of](dynamo)
    cursor = read(limit=2).next_cursor
    assert cursor is not None
    held = {record.identity for record in read(limit=100).items}
    found: set[tuple[str, ...]] = set()
    for place in PLACES:
        with contextlib.suppress(InvalidError):
            page = read(limit=100, cursor=forged(cursor, 0, place))
            found |= {record.identity for record in page.items}
    assert found <= held


def test_place_outside_the_list_is_invalid(dynamo: DynamoWorld) -> None:
    fill(dynamo)
    for of, place in [("features", "P#1"), ("pending", "failed#x#f0"), ("emails", f"{EMAIL}#x")]:
        read = LISTS[of](dynamo)
        assert refused(read, forged(read(limit=2).next_cursor or "", 0, place))
