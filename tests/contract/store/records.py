"""Records of every kind: any that its types allow, and plain ones for tests that are about something else."""

import builtins
import dataclasses
import importlib
import pkgutil
import types
import typing
from collections import abc
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, cast

from hypothesis import strategies as st

import chalicelib.domain
from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.customers import Customer
from chalicelib.domain.features import Feature, FeatureType
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.ids import CustomerId, FeatureId, PackageId, ProductId
from chalicelib.domain.plans import Migration, PackageContent, PackageKind, PackageVersion
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.ports import Record
from tests.contract.store.worlds import START

# No half surrogate pairs: they are no text, and pydantic refuses them at the API's edge.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MOMENTS = st.datetimes(datetime(2091, 1, 1), datetime(2190, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 -- hypothesis wants naive bounds
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
_LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    bool: st.booleans(),
    int: st.integers(-(2**80), 2**80),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False, max_value=10**12, min_value=0),
    datetime: MOMENTS,
    object: JSON,
    type(None): st.none(),
}


def stored_kinds() -> list[type[Record]]:
    """Every frozen dataclass of the domain that has an identity."""
    found: set[type[Record]] = set()
    for module in pkgutil.iter_modules(chalicelib.domain.__path__, "chalicelib.domain."):
        for value in vars(importlib.import_module(module.name)).values():
            if dataclasses.is_dataclass(value) and hasattr(value, "identity"):
                found.add(cast("type[Record]", value))
    return sorted(found, key=lambda kind: kind.__name__)


def any_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of the type: nothing is left out because a service happens never to make it."""
    hint = getattr(hint, "__supertype__", hint)
    inner = typing.get_args(hint)
    match typing.get_origin(hint):
        case types.UnionType | typing.Union:
            return st.one_of(*map(any_of, inner))
        case builtins.tuple if inner[1:] == (...,):
            return st.lists(any_of(inner[0]), max_size=3).map(tuple)
        case builtins.tuple:
            return st.tuples(*map(any_of, inner))
        case abc.Mapping:
            return st.dictionaries(any_of(inner[0]), any_of(inner[1]), max_size=3)
    return _LEAVES[hint] if hint in _LEAVES else _any_instance(hint)


def _any_instance(kind: type[Any]) -> st.SearchStrategy[Any]:
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    hints = typing.get_type_hints(kind)
    return st.builds(
        kind, **{one.name: any_of(hints[one.name]) for one in dataclasses.fields(kind)}
    )


def normal(value: Any) -> Any:
    """The value with its types spelled out: True is not 1, and 1.0 is not 1.00."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return type(value), normal(fields)
    if isinstance(value, Mapping):
        return {key: normal(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return type(value), [normal(part) for part in value]
    if isinstance(value, datetime):
        return value.utcoffset(), value.isoformat()
    return type(value), repr(value)


# --- plain ones -------------------------------------------------------------------------------------


def a_customer(customer_id: str = "acme", **fields: Any) -> Customer:
    return Customer(id=CustomerId(customer_id), created_at=START, **fields)


def a_feature(feature_id: str = "seats", **fields: Any) -> Feature:
    fields.setdefault("name", feature_id)
    return Feature(id=FeatureId(feature_id), type=FeatureType.BOOLEAN, created_at=START, **fields)


def a_version(
    package_id: str = "pro", number: int = 1, kind: PackageKind = PackageKind.PLAN
) -> PackageVersion:
    return PackageVersion(
        kind=kind,
        id=PackageId(package_id),
        number=number,
        product_id=ProductId("app"),
        content=PackageContent(name=f"{kind} {package_id} {number}"),
        entitlements=(),
        migration=Migration.NEW_CUSTOMERS,
        published_at=START,
    )


def an_entry(entity: str, entry_id: str) -> AuditEntry:
    return AuditEntry(id=entry_id, entity=entity, action="a", actor="b", cause="c", at=START)


def a_task(task_id: str, minutes: float = 0, **fields: Any) -> SyncTask:
    made = START + timedelta(minutes=minutes)
    fields.setdefault("status", SyncTaskStatus.PENDING)
    return SyncTask(
        id=task_id,
        kind=PackageKind.PLAN,
        package_id=PackageId("pro"),
        reason="publish",
        created_at=made,
        updated_at=made,
        **fields,
    )


def an_event(event_id: str, minutes: float = 0, **fields: Any) -> BillingEvent:
    fields.setdefault("status", BillingEventStatus.PENDING)
    return BillingEvent(
        provider="stripe",
        id=event_id,
        type="customer.updated",
        live=False,
        api_version=None,
        object_id=None,
        customer_billing_id=None,
        created_at=START,
        received_at=START + timedelta(minutes=minutes),
        **fields,
    )


def a_claim(expires_at: datetime, **fields: Any) -> IdempotencyRecord:
    fields.setdefault("key", "k")
    return IdempotencyRecord(
        fingerprint="f", claim="c", claimed_until=START, expires_at=expires_at, **fields
    )
