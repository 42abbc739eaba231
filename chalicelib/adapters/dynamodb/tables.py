"""The item shape that all tables share, as PynamoDB models of one environment."""

from collections.abc import Mapping
from typing import Final

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.connection.base import BOTOCORE_EXCEPTIONS
from pynamodb.constants import TRANSACT_WRITE_ITEMS
from pynamodb.exceptions import TransactWriteError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from chalicelib.adapters.dynamodb.failures import translated
from chalicelib.adapters.dynamodb.keys import Table, table_name
from chalicelib.adapters.dynamodb.rows import Row
from chalicelib.adapters.dynamodb.transactions import Transaction

# Given up, pauses included, well before the API gateway gives up (29 seconds).
_MAX_RETRIES: Final = 2
_CONNECT_SECONDS: Final = 1
_READ_SECONDS: Final = 4


class Item(Model):
    """A `Row`, as PynamoDB reads it."""

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    by_index: GlobalSecondaryIndex["Item"]
    kind = UnicodeAttribute()
    rev = NumberAttribute(default=0)
    body = UnicodeAttribute(null=True)
    doc = UnicodeAttribute(null=True)
    gsi_pk = UnicodeAttribute(null=True)
    gsi_sk = UnicodeAttribute(null=True)
    ttl = NumberAttribute(null=True)


def row_of(item: Item) -> Row:
    """What was read."""
    return Row(
        pk=item.pk,
        sk=item.sk,
        kind=item.kind,
        rev=int(item.rev),
        body=item.body,
        doc=item.doc,
        gsi_pk=item.gsi_pk,
        gsi_sk=item.gsi_sk,
        ttl=item.ttl,
    )


class ConnectionSender:
    """A `Sender` on PynamoDB's connection: repeats what passes by itself, under the same token."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def send(self, transaction: Transaction) -> None:
        """Everything in the transaction is done, or nothing."""
        with translated():
            try:
                self._connection.dispatch(TRANSACT_WRITE_ITEMS, transaction.request())
            except BOTOCORE_EXCEPTIONS as error:
                # As PynamoDB's own `TransactWrite` says it.
                raise TransactWriteError("Failed to write transaction items", error) from error


def connect(region: str, endpoint_url: str | None) -> Connection:
    """A connection that repeats a request twice, under the same client token, before it gives up."""
    return Connection(
        region=region,
        host=endpoint_url,
        connect_timeout_seconds=_CONNECT_SECONDS,
        read_timeout_seconds=_READ_SECONDS,
        max_retry_attempts=_MAX_RETRIES,
    )


def models_of(stage: str, connection: Connection) -> Mapping[Table, type[Item]]:
    """A model for each table of the environment; several environments can live in one process."""
    return {table: _model(table_name(stage, table), connection) for table in Table}


def _model(name: str, shared: Connection) -> type[Item]:
    class ByIndex(GlobalSecondaryIndex["Item"]):  # type: ignore[no-untyped-call]  # PynamoDB's own hook has no types
        class Meta:
            index_name = "by_index"
            projection = AllProjection()

        gsi_pk = UnicodeAttribute(hash_key=True)
        gsi_sk = UnicodeAttribute(range_key=True)

    class Bound(Item):
        class Meta:
            table_name = name

        by_index = ByIndex()

    # PynamoDB makes a client per model, 45 ms each; one client speaks to all tables as well.
    own = Bound._get_connection()  # noqa: SLF001 -- PynamoDB offers no other way to share one
    shared.add_meta_table(own.get_meta_table())
    own.connection = shared
    return Bound
