"""Reads, lists and commits in one call each; the ordinary store for whatever does not succeed."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.adapters.dynamodb.items import to_row
from chalicelib.adapters.dynamodb.quick_store import QuickStore
from chalicelib.adapters.dynamodb.rows import Row, from_wire, to_wire
from chalicelib.adapters.dynamodb.transactions import Transaction, TransientConflictError
from chalicelib.adapters.hot_client import HotClient, UnexpectedError
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import InvalidError, StoreConflictError, StoreUnavailableError
from chalicelib.domain.sync import SyncTask
from chalicelib.ports import Absent, Put
from tests.factories import a_customer
from tests.fakes.store import InMemoryStore
from tests.fakes.system import FakeClock, RecordingMonitor

ACME = a_customer(email="a@b")
ROW = to_row(ACME)


class Client:
    """Answers each call with the next of what the test has put there, then with the last of it."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, operation: str, body: bytes) -> Any:
        self.calls.append((operation, json.loads(body)))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Ordinary(InMemoryStore):
    """What stands behind the fast one; its transactions end as the test says."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.ends: list[Exception | None] = []
        self.sent: list[Transaction] = []

    def send(self, transaction: Transaction) -> None:
        self.sent.append(transaction)
        end = self.ends.pop(0) if self.ends else None
        if end is not None:
            raise end


class Quick:
    def __init__(self, *answers: Any) -> None:
        self.clock = FakeClock()
        self.client = Client(*answers)
        self.ordinary = Ordinary(self.clock)
        self.ordinary.commit(Put(replace(ACME, name="of the ordinary store"), Absent()))
        self.monitor = RecordingMonitor()
        self.store = QuickStore(
            stage="t",
            client=cast("HotClient", self.client),
            ordinary=self.ordinary,
            clock=self.clock,
            monitor=self.monitor,
        )


READS: dict[str, Callable[[QuickStore], Any]] = {
    "get": lambda store: store.get(Customer, "acme"),
    "list": lambda store: store.list_within(Customer).items[0],
    "find": lambda store: store.find_by(Customer, "email", "a@b").items[0],
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    "answer",
    [
        UnexpectedError("status_400"),
        UnexpectedError("timeout"),
        [],
        {"Item": {}, "Items": [{}]},
        {"Item": to_wire(ROW) | {"rev": {"N": "one"}}, "Items": [{"pk": {"S": "x"}}]},
        {"Item": "x", "Items": None},
    ],
)
def test_read_of_anything_unexpected_is_left_to_the_ordinary_store(read: str, answer: Any) -> None:
    quick = Quick(answer)
    assert READS[read](quick.store).name == "of the ordinary store"
    assert len(quick.monitor.named("hot_read_fell_back")) == 1


def test_list_whose_page_ends_early_goes_on_until_it_is_full() -> None:
    rows = [to_row(a_customer(f"c{number}", email="a@b")) for number in range(3)]
    quick = Quick(
        {"Items": [to_wire(rows[0])], "LastEvaluatedKey": {"pk": {"S": "here"}}},
        {"Items": [], "LastEvaluatedKey": {"pk": {"S": "there"}}},
        {"Items": [to_wire(rows[1]), to_wire(rows[2])]},
    )
    page = quick.store.find_by(Customer, "email", "a@b", limit=2)
    assert [one.id for one in page.items] == ["c0", "c1"]
    assert page.next_cursor is not None
    asked = [(body["Limit"], body.get("ExclusiveStartKey")) for _, body in quick.client.calls]
    assert asked == [(3, None), (2, {"pk": {"S": "here"}}), (2, {"pk": {"S": "there"}})]


def test_list_that_breaks_off_is_read_whole_by_the_ordinary_store() -> None:
    half = {"Items": [to_wire(ROW)], "LastEvaluatedKey": {"pk": {"S": "here"}}}
    quick = Quick(half, UnexpectedError("timeout"))
    names = [one.name for one in quick.store.find_by(Customer, "email", "a@b").items]
    assert names == ["of the ordinary store"]


def test_list_with_a_cursor_that_is_none_is_invalid_without_a_call() -> None:
    quick = Quick({"Items": []})
    with pytest.raises(InvalidError):
        quick.store.find_by(SyncTask, "status", "pending", cursor="x")
    assert quick.client.calls == []


def test_commit_that_succeeds_is_one_call_and_nothing_is_left_to_the_ordinary_store() -> None:
    quick = Quick({})
    quick.store.commit(Put(ACME, Absent()))
    ((operation, body),) = quick.client.calls
    assert operation == "TransactWriteItems"
    assert body["TransactItems"][0]["Put"]["Item"] == to_wire(ROW)
    assert quick.ordinary.sent == []


@pytest.mark.parametrize(
    "why", ["status_400", "status_500", "timeout", "no_connection", "odd_answer", "no_credentials"]
)
def test_commit_without_clear_success_is_sent_again_word_for_word_by_the_ordinary_store(
    why: str,
) -> None:
    quick = Quick(UnexpectedError(why))
    quick.store.commit(Put(ACME, Absent()))
    ((_, said),) = quick.client.calls
    assert [one.request() for one in quick.ordinary.sent] == [said]
    assert [one["why"] for one in quick.monitor.named("hot_commit_fell_back")] == [why]


@pytest.mark.parametrize("end", [StoreConflictError("No."), StoreUnavailableError("No.")])
def test_commit_ends_as_the_ordinary_store_says(end: Exception) -> None:
    quick = Quick(UnexpectedError("status_400"))
    quick.ordinary.ends = [end]
    with pytest.raises(type(end)):
        quick.store.commit(Put(ACME, Absent()))
    assert len(quick.ordinary.sent) == 1


def test_commit_that_met_another_transaction_is_tried_anew_under_another_token() -> None:
    quick = Quick(UnexpectedError("status_400"), {})
    quick.ordinary.ends = [TransientConflictError()]
    quick.store.commit(Put(ACME, Absent()))
    tokens = [body["ClientRequestToken"] for _, body in quick.client.calls]
    assert len(set(tokens)) == 2
    assert [one.token for one in quick.ordinary.sent] == tokens[:1]
    assert len(quick.clock.slept) == 1


def test_commit_of_a_record_that_is_too_large_is_invalid_without_a_call() -> None:
    quick = Quick({})
    with pytest.raises(InvalidError):
        quick.store.commit(Put(a_customer(name="x" * 500_000), Absent()))
    assert quick.client.calls == []


TEXTS = st.none() | st.text()


@given(
    row=st.builds(
        Row,
        pk=st.text(min_size=1),
        sk=st.text(min_size=1),
        kind=st.text(),
        rev=st.integers(0),
        body=TEXTS,
        doc=TEXTS,
        gsi_pk=TEXTS,
        gsi_sk=TEXTS,
        ttl=st.none() | st.integers(0, 2**40),
    )
)
def test_row_comes_back_from_the_wire_as_it_was(row: Row) -> None:
    assert from_wire(json.loads(json.dumps(to_wire(row)))) == row
