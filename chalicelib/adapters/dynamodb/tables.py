"""The item shape that all tables share, as PynamoDB models of one environment."""

from collections.abc import Mapping

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from chalicelib.adapters.dynamodb.layout import Table


class Item(Model):
    """One record. `body` is the whole of it; the other attributes only find, guard and expire it."""

    pk: UnicodeAttribute
    sk: UnicodeAttribute
    by_index: GlobalSecondaryIndex["Item"]
    kind = UnicodeAttribute()
    rev = NumberAttribute(default=0)
    body = UnicodeAttribute(null=True)
    doc = UnicodeAttribute(null=True)
    gsi_pk = UnicodeAttribute(null=True)
    gsi_sk = UnicodeAttribute(null=True)
    ttl = NumberAttribute(null=True)


def table_name(stage: str, table: Table) -> str:
    """What infra/template.yaml calls the table."""
    return f"paygrade-{stage}-{table}"


def models_of(stage: str, region: str, endpoint_url: str | None) -> Mapping[Table, type[Item]]:
    """A model for each table of the environment; several environments can live in one process."""
    return {table: _model(table_name(stage, table), region, endpoint_url) for table in Table}


def _model(name: str, region_name: str, endpoint_url: str | None) -> type[Item]:
    class ByIndex(GlobalSecondaryIndex["Item"]):  # type: ignore[no-untyped-call]  # PynamoDB's own hook has no types
        class Meta:
            index_name = "by_index"
            projection = AllProjection()

        gsi_pk = UnicodeAttribute(hash_key=True)
        gsi_sk = UnicodeAttribute(range_key=True)

    class Bound(Item):
        class Meta:
            table_name = name
            region = region_name
            host = endpoint_url
            connect_timeout_seconds = 2
            read_timeout_seconds = 5
            max_retry_attempts = 3

        pk = UnicodeAttribute(hash_key=True)
        sk = UnicodeAttribute(range_key=True)
        by_index = ByIndex()

    return Bound
