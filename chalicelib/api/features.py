"""Features over HTTP."""

from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from chalicelib.api.http import Call, Reply, endpoint
from chalicelib.api.wire import (
    MAX_INTEGER,
    ChosenId,
    ListOut,
    Metadata,
    MetadataPatch,
    Name,
    NoBody,
    NoQuery,
    PageQuery,
    Revision,
    Wire,
    absent,
    given,
    list_answer,
)
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.features import (
    Aggregation,
    Feature,
    FeatureType,
    Lifecycle,
    Meter,
    MeterCondition,
    UsageKind,
    default_usage_kind,
)
from chalicelib.domain.ids import FeatureId
from chalicelib.services import catalog_items, manage_features

bp = Blueprint(__name__)

_Property = Annotated[str, Field(min_length=1, max_length=128)]
_Values = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=128)], ...], Field(max_length=100)
]
_Unit = Annotated[str, Field(min_length=1, max_length=64)]
_Operand = (
    Annotated[str, Field(max_length=500)]
    | Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    | bool
    | Annotated[
        tuple[
            Annotated[str, Field(max_length=500)]
            | Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)],
            ...,
        ],
        Field(max_length=100),
    ]
)


class MeterConditionModel(Wire):
    """One comparison of an event's property."""

    property: _Property
    op: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]
    value: _Operand | None = None


class MeterModel(Wire):
    """How usage is computed from events; `filters` is an OR of ANDs."""

    aggregation: Aggregation
    property: _Property | None = None
    filters: Annotated[
        tuple[Annotated[tuple[MeterConditionModel, ...], Field(max_length=20)], ...],
        Field(max_length=20),
    ] = ()


def _not_a_path(feature_id: str) -> str:
    # `.../entitlements/token` is the signed snapshot: a feature of that id could not be asked about.
    if feature_id == "token":
        raise PydanticCustomError("reserved", "No feature can have this id")
    return feature_id


class FeatureCreate(Wire):
    """A feature to be."""

    id: Annotated[ChosenId, AfterValidator(_not_a_path)]
    name: Name
    type: FeatureType
    usage_kind: UsageKind | None = None
    unit: _Unit | None = None
    values: _Values = ()
    meter: MeterModel | None = None
    metadata: Metadata = Field(default_factory=dict)

    def to_domain(self, now: datetime) -> Feature:
        """The feature, as it is created now."""
        meter = _meter_to_domain(self.meter)
        return Feature(
            id=FeatureId(self.id),
            name=self.name,
            type=self.type,
            usage_kind=self.usage_kind or default_usage_kind(self.type, meter),
            unit=self.unit,
            values=self.values,
            meter=meter,
            metadata=self.metadata,
            created_at=now,
        )


class FeatureUpdate(Wire):
    """What may change of a feature. `values` only grow; absent fields stay."""

    name: Name = absent("")
    unit: _Unit | None = absent(None)
    values: _Values = absent(())
    metadata: MetadataPatch | None = absent(None)
    version: Revision | None = absent(None)


class FeatureOut(Wire):
    """A named capability of the application."""

    object: Literal["feature"] = "feature"
    id: str
    name: str
    type: FeatureType
    usage_kind: UsageKind | None
    unit: str | None
    values: tuple[str, ...]
    meter: MeterModel | None
    metadata: dict[str, str]
    status: Lifecycle
    version: int
    created_at: datetime


@endpoint(
    bp,
    "POST",
    "/features",
    scope=Scope.CATALOG_WRITE,
    summary="Create a feature",
    answer=FeatureOut,
    body=FeatureCreate,
    status=201,
    also={200: "The feature existed with the same content."},
)
def create_feature(call: Call[FeatureCreate, NoQuery]) -> Reply[FeatureOut]:
    """An id that is taken by a feature with other content is refused with `already_exists`."""
    wanted = call.body.to_domain(call.ports.clock.now())
    feature, created = manage_features.create_feature(call.ports, call.cause, wanted)
    return Reply(_from_domain(feature), status=201 if created else 200)


@endpoint(
    bp,
    "GET",
    "/features",
    scope=Scope.CATALOG_READ,
    summary="List features",
    answer=ListOut[FeatureOut],
    query=PageQuery,
)
def list_features(call: Call[NoBody, PageQuery]) -> ListOut[FeatureOut]:
    """In the order of their ids, archived ones included."""
    page = call.ports.store.list_within(Feature, limit=call.query.limit, cursor=call.query.cursor)
    return list_answer(page, _from_domain)


@endpoint(
    bp,
    "GET",
    "/features/{feature_id}",
    scope=Scope.CATALOG_READ,
    summary="Get a feature",
    answer=FeatureOut,
)
def get_feature(call: Call[NoBody, NoQuery]) -> FeatureOut:
    """The feature as it is now."""
    return _from_domain(catalog_items.get(call.ports, Feature, call.path["feature_id"]))


@endpoint(
    bp,
    "PATCH",
    "/features/{feature_id}",
    scope=Scope.CATALOG_WRITE,
    summary="Edit a feature",
    answer=FeatureOut,
    body=FeatureUpdate,
)
def update_feature(call: Call[FeatureUpdate, NoQuery]) -> FeatureOut:
    """Its id and type never change. With `version`, only if the feature is still at that one."""
    changes = given(call.body, "name", "unit", "values", "metadata")
    feature_id = FeatureId(call.path["feature_id"])
    feature = manage_features.edit_feature(
        call.ports, call.cause, feature_id, changes, version=call.body.version
    )
    return _from_domain(feature)


@endpoint(
    bp,
    "POST",
    "/features/{feature_id}/archive",
    scope=Scope.CATALOG_WRITE,
    summary="Archive a feature",
    answer=FeatureOut,
)
def archive_feature(call: Call[NoBody, NoQuery]) -> FeatureOut:
    """Refused with `in_use` while a plan or add-on that is on sale includes it."""
    feature_id = FeatureId(call.path["feature_id"])
    return _from_domain(manage_features.archive_feature(call.ports, call.cause, feature_id))


@endpoint(
    bp,
    "POST",
    "/features/{feature_id}/unarchive",
    scope=Scope.CATALOG_WRITE,
    summary="Unarchive a feature",
    answer=FeatureOut,
)
def unarchive_feature(call: Call[NoBody, NoQuery]) -> FeatureOut:
    """The feature can be used for something new again."""
    feature_id = FeatureId(call.path["feature_id"])
    return _from_domain(manage_features.unarchive_feature(call.ports, call.cause, feature_id))


def _meter_to_domain(model: MeterModel | None) -> Meter | None:
    if model is None:
        return None
    filters = tuple(
        tuple(MeterCondition(property=one.property, op=one.op, value=one.value) for one in group)
        for group in model.filters
    )
    return Meter(aggregation=model.aggregation, property=model.property, filters=filters)


def _meter_from_domain(meter: Meter | None) -> MeterModel | None:
    if meter is None:
        return None
    filters = tuple(
        tuple(
            MeterConditionModel(property=one.property, op=one.op, value=one.value) for one in group
        )
        for group in meter.filters
    )
    return MeterModel(aggregation=meter.aggregation, property=meter.property, filters=filters)


def _from_domain(feature: Feature) -> FeatureOut:
    return FeatureOut(
        id=feature.id,
        name=feature.name,
        type=feature.type,
        usage_kind=feature.usage_kind,
        unit=feature.unit,
        values=feature.values,
        meter=_meter_from_domain(feature.meter),
        metadata=dict(feature.metadata),
        status=feature.status,
        version=feature.version,
        created_at=feature.created_at,
    )
