"""What a commit asks of DynamoDB: one TransactWriteItems, spelled here for every way on which it is sent.

Whoever repeats a transaction whose answer was lost has to say the same under the same token: DynamoDB then answers as
it would have, and refuses another request under it. So there is one spelling, and no library adds to it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol, cast

from chalicelib.adapters.dynamodb.items import key_of, require_sizes, to_row
from chalicelib.adapters.dynamodb.keys import SNAPSHOT_VERSION, Table, shard_sort, table_name
from chalicelib.adapters.dynamodb.layout import Key
from chalicelib.adapters.dynamodb.layouts import LAYOUTS
from chalicelib.adapters.dynamodb.rows import Wire, to_wire, wire_key
from chalicelib.domain.spreading import shards_fenced_by
from chalicelib.ports import Absent, Anyhow, AtRevision, Delete, Put, Require, Write

if TYPE_CHECKING:
    from chalicelib.domain.snapshots import Snapshot

# What PynamoDB asks for with every request; said by both ways, as a repetition may not differ.
_CAPACITY: Final = "TOTAL"


@dataclass(frozen=True, slots=True)
class Transaction:
    """Everything in it is done, or nothing; a repetition under the same token does nothing again."""

    token: str
    actions: Sequence[Wire]

    def request(self) -> Wire:
        """The parameters of TransactWriteItems."""
        return {
            "TransactItems": list(self.actions),
            "ClientRequestToken": self.token,
            "ReturnConsumedCapacity": _CAPACITY,
        }


class TransientConflictError(Exception):
    """Another transaction held one of the items at that moment; nothing was written, no condition has failed."""


class Sender(Protocol):
    """A way to the database."""

    def send(self, transaction: Transaction) -> None:
        """Everything in it is done, or nothing.

        Raises:
            StoreConflictError: A condition does not hold.
            TransientConflictError: The same may well be done in a moment.
            StoreUnavailableError: There was no answer: all was written, or nothing.
        """
        ...


def actions_of(stage: str, writes: Iterable[Write], now: datetime) -> list[Wire]:
    """The writes as actions of a transaction; raises `InvalidError` for a record that is too large."""
    actions = [action for write in writes for action in _actions(stage, write, now)]
    require_sizes(action["Put"]["Item"] for action in actions if "Put" in action)
    return actions


def fenced_by(write: Write) -> range:
    """The shards that are told of the snapshot which is written."""
    if not isinstance(write, Put) or not LAYOUTS[type(write.record)].is_snapshot:
        return range(0)
    return shards_fenced_by(cast("Snapshot", write.record).document)


def _actions(stage: str, write: Write, now: datetime) -> list[Wire]:
    table = {"TableName": table_name(stage, LAYOUTS[type(write.record)].table)}
    condition = _condition(write, now)
    match write:
        case Put(record=record):
            put = {"Put": {**table, "Item": to_wire(to_row(record)), **condition}}
            return [put, *_fences(stage, write)]
        case Delete(record=record):
            return [{"Delete": {**table, "Key": wire_key(key_of(record)), **condition}}]
        case Require(record=record):
            return [{"ConditionCheck": {**table, "Key": wire_key(key_of(record)), **condition}}]


def _fences(stage: str, write: Put) -> list[Wire]:
    """Counts in shards depend on the version there, or all would meet at the snapshot."""
    return [
        {
            "Update": {
                "TableName": table_name(stage, Table.CUSTOMERS),
                "Key": wire_key(Key(key_of(write.record).pk, shard_sort(shard))),
                "UpdateExpression": "SET #version = :version",
                "ExpressionAttributeNames": {"#version": SNAPSHOT_VERSION},
                "ExpressionAttributeValues": {":version": _number(write.record.version)},  # type: ignore[attr-defined]
            }
        }
        for shard in fenced_by(write)
    ]


def _condition(write: Write, now: datetime) -> Wire:
    match write.condition:
        case Absent() if LAYOUTS[type(write.record)].hides_expired:
            # What no read shows any more is not in the way of a write either.
            return {
                "ConditionExpression": "attribute_not_exists(#kind) OR #ttl <= :now",
                "ExpressionAttributeNames": {"#kind": "kind", "#ttl": "ttl"},
                "ExpressionAttributeValues": {":now": _number(int(now.timestamp()))},
            }
        case Absent():
            return {
                "ConditionExpression": "attribute_not_exists(#kind)",
                "ExpressionAttributeNames": {"#kind": "kind"},
            }
        case AtRevision(number=number):
            return {
                "ConditionExpression": "#rev = :rev",
                "ExpressionAttributeNames": {"#rev": "rev"},
                "ExpressionAttributeValues": {":rev": _number(number)},
            }
        case Anyhow():
            return {}


def _number(number: int) -> Wire:
    return {"N": str(number)}
