"""Rows as the tables hold them: what other releases wrote is read, and nothing more is written than is needed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.adapters.dynamodb.keys import Table
from chalicelib.domain.customers import Customer
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.sync import SyncTaskStatus
from chalicelib.ports import Absent, Anyhow, Delete, Put, Require
from tests.contract.store.records import a_customer, a_feature, a_task, a_version
from tests.contract.store.worlds import START, DynamoWorld


def rewrite(world: DynamoWorld, **changes: Any) -> None:
    """The customer's row with other fields in its body; None takes one away."""
    [row] = world.rows(Table.CUSTOMERS)
    body = json.loads(row["body"]["S"]) | changes
    kept = {name: value for name, value in body.items() if value is not None}
    world.put_row(Table.CUSTOMERS, row | {"body": {"S": json.dumps(kept)}, "later": {"S": "x"}})


def test_row_without_newer_fields_is_read_with_their_defaults(dynamo: DynamoWorld) -> None:
    dynamo.store.commit(Put(a_customer(name="Acme", status=Lifecycle.ARCHIVED), Absent()))
    rewrite(dynamo, status=None, links=None, metadata=None, version=None)
    assert dynamo.store.get(Customer, "acme") == a_customer(name="Acme")


def test_row_with_fields_of_a_later_release_is_read_without_them(dynamo: DynamoWorld) -> None:
    dynamo.store.commit(Put(a_customer(), Absent()))
    rewrite(dynamo, tier="gold", nested={"a": [1]})
    assert dynamo.store.get(Customer, "acme") == a_customer()
    assert dynamo.store.list_within(Customer).items == (a_customer(),)


def test_row_that_is_no_such_record_is_an_error_and_not_absent(dynamo: DynamoWorld) -> None:
    dynamo.store.commit(Put(a_customer(), Absent()))
    rewrite(dynamo, created_at="yesterday")
    with pytest.raises(ValidationError, match="created_at"):
        dynamo.store.get(Customer, "acme")


def test_row_holds_its_record_once_and_nothing_that_is_not_used(dynamo: DynamoWorld) -> None:
    dynamo.store.commit(
        Put(a_customer(), Absent()), Put(a_version(), Absent()), Put(a_task("t"), Absent())
    )
    [customer], [version], [task] = (
        dynamo.rows(table) for table in (Table.CUSTOMERS, Table.CATALOG, Table.OPERATIONS)
    )
    plain = {"pk", "sk", "kind", "rev", "body"}
    assert set(version) == plain
    assert set(customer) == set(task) == plain | {"gsi_pk", "gsi_sk"}
    assert (version["pk"]["S"], version["sk"]["S"]) == ("PACKAGE#plan#pro", "V#0000000001")


def test_only_finished_work_is_marked_for_deletion(dynamo: DynamoWorld) -> None:
    done = a_task("done", status=SyncTaskStatus.SUCCEEDED)
    dynamo.store.commit(Put(a_task("t"), Absent()), Put(done, Absent()))
    ttls = {row["pk"]["S"]: row.get("ttl") for row in dynamo.rows(Table.OPERATIONS)}
    month = 30 * 24 * 3600
    assert ttls == {"TASK#t": None, "TASK#done": {"N": str(int(START.timestamp()) + month)}}


@contextmanager
def _operations(world: DynamoWorld) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(model: Any, **_: Any) -> None:
        seen.append(model.name)

    events = world.store._connection.client.meta.events
    events.register("before-call.dynamodb", note)
    yield seen
    events.unregister("before-call.dynamodb", note)


def test_each_call_is_one_request(dynamo: DynamoWorld) -> None:
    store = dynamo.store
    with _operations(dynamo) as seen:
        store.commit(Put(a_customer(email="a@b"), Absent()), Put(a_feature(), Absent()))
        store.get(Customer, "acme")
        store.list_within(type(a_feature()))
        store.find_by(Customer, "email", "a@b")
        store.get(Customer, "x" * 5000)
        store.commit()
        store.commit(Require(a_customer(), Anyhow()))
        store.commit(Delete(a_customer(), Anyhow()))
    assert seen == ["TransactWriteItems", "GetItem", "Query", "Query", "TransactWriteItems"]
