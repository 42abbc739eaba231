"""What all wire models share: strictness, the spelling of ids, metadata, lists and query parameters."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from chalicelib.domain.ids import CHOSEN_ID_PATTERN
from chalicelib.ports import Page, Record, Store
from chalicelib.services.merge_metadata import MAX_METADATA_KEYS, merged_metadata

__all__ = [
    "MAX_INTEGER",
    "ChosenId",
    "Count",
    "Description",
    "ListOut",
    "Metadata",
    "MetadataPatch",
    "Name",
    "NoBody",
    "NoQuery",
    "PageQuery",
    "Query",
    "QueryBool",
    "QueryInt",
    "Revision",
    "UtcInstant",
    "Wire",
    "absent",
    "given",
    "list_answer",
    "listed",
    "merged_metadata",
    "newest_of_status",
]

T = TypeVar("T")
R = TypeVar("R", bound=Record)

MAX_INTEGER: Final = 2**53 - 1  # what every JSON client can hold exactly
RESERVED_METADATA_PREFIX: Final = "paygrade_"


class Wire(BaseModel):
    """A JSON object of the API: exact types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    # The field that is a document of its own: faults in it are named by their place inside it.
    faults_within: ClassVar[str | None] = None


class NoBody(Wire):
    """The operation takes no body (an empty object is one, too)."""


class Query(BaseModel):
    """Query parameters: text that must spell the declared types, no unknown names.

    A field that is a tuple may be given several times; any other at most once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoQuery(Query):
    """The operation takes no query parameters."""


def _whole_number(value: object) -> object:
    # pydantic would also take ' 5', '5.0' and '1_0'.
    if isinstance(value, str):
        if not (value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 16):  # noqa: PLR2004
            raise PydanticCustomError("int_type", "Input should be a whole number")
        return int(value)
    return value


def _true_or_false(value: object) -> object:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise PydanticCustomError("bool_type", "Input should be true or false")
        return value == "true"
    return value


QueryInt = Annotated[int, BeforeValidator(_whole_number)]
QueryBool = Annotated[bool, BeforeValidator(_true_or_false)]


class PageQuery(Query):
    """Which part of a list is wanted."""

    limit: Annotated[QueryInt, Field(ge=1, le=100, description="How many at most.")] = 20
    cursor: Annotated[
        str | None,
        Field(min_length=1, max_length=2048, description="`next_cursor` of the page before."),
    ] = None


class ListOut(Wire, Generic[T]):
    """A page of a list."""

    object: Literal["list"] = "list"
    data: tuple[T, ...]
    has_more: bool
    next_cursor: str | None


def list_answer(page: Page[R], to_wire: Callable[[R], T]) -> ListOut[T]:
    """The page with each of its items translated."""
    return listed(map(to_wire, page.items), page.next_cursor)


def newest_of_status(
    store: Store, kind: type[R], status: str, query: PageQuery, to_wire: Callable[[R], T]
) -> ListOut[T]:
    """The asked page of the records of this status, newest first."""
    page = store.find_by(
        kind, "status", status, limit=query.limit, cursor=query.cursor, newest_first=True
    )
    return list_answer(page, to_wire)


def listed(data: Iterable[T], next_cursor: str | None) -> ListOut[T]:
    """A page of things that are translated already."""
    return ListOut(data=tuple(data), has_more=next_cursor is not None, next_cursor=next_cursor)


# --- fields -------------------------------------------------------------------------------------


def absent(default: T) -> T:
    """What a field of a PATCH holds when the caller did not name it; no part of the published schema."""
    field: T = Field(default_factory=lambda: default)
    return field


def given(model: BaseModel, *names: str) -> dict[str, Any]:
    """The named fields that the caller really sent, null included."""
    return {name: getattr(model, name) for name in names if name in model.model_fields_set}


def _unreserved(keys: Iterable[str]) -> None:
    if any(key.startswith(RESERVED_METADATA_PREFIX) for key in keys):
        raise PydanticCustomError(
            "reserved", f"Keys that begin with {RESERVED_METADATA_PREFIX} are Paygrade's own"
        )


def _check_metadata(metadata: dict[str, str]) -> dict[str, str]:
    _unreserved(metadata)
    return metadata


def _check_metadata_patch(metadata: dict[str, str | None]) -> dict[str, str | None]:
    _unreserved(metadata)
    return metadata


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise PydanticCustomError("datetime_parsing", "Input should be a valid instant") from error


UtcInstant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
ChosenId = Annotated[str, Field(pattern=CHOSEN_ID_PATTERN)]
Name = Annotated[str, Field(min_length=1, max_length=250)]
Description = Annotated[str, Field(max_length=1000)]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Revision = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
_MetadataKey = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[^\[\]]+$")]
_MetadataValue = Annotated[str, Field(max_length=500)]
Metadata = Annotated[
    dict[_MetadataKey, _MetadataValue],
    Field(max_length=MAX_METADATA_KEYS),
    AfterValidator(_check_metadata),
]
MetadataPatch = Annotated[
    dict[_MetadataKey, _MetadataValue | None],
    Field(
        max_length=MAX_METADATA_KEYS,
        description="Merged into what is there; null for a key removes it.",
    ),
    AfterValidator(_check_metadata_patch),
]
