"""Customers: whoever subscribes, under the application's own id."""

from datetime import datetime
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from chalicelib.api.billing_links import BillingLinkOut, links_from_domain
from chalicelib.api.http import Call, Reply, endpoint
from chalicelib.api.whose import IN_PATH
from chalicelib.api.wire import (
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
from chalicelib.domain.customers import Customer
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.money import CURRENCIES
from chalicelib.domain.periods import time_zone
from chalicelib.services.archive_customer import archive_customer as archive
from chalicelib.services.manage_customers import (
    CustomerDetails,
    create_customer,
    get_customer,
    set_customer_status,
    update_customer,
)

bp = Blueprint(__name__)


def _known_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise PydanticCustomError(
            "literal_error", "Input should be a supported lower-case ISO 4217 currency"
        )
    return code


def _known_timezone(name: str) -> str:
    try:
        time_zone(name)
    except ValueError as error:
        raise PydanticCustomError("literal_error", "Input should be an IANA time zone") from error
    return name


Email = Annotated[
    str, Field(max_length=320, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$")
]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")]
Currency = Annotated[str, AfterValidator(_known_currency)]
Timezone = Annotated[
    str,
    Field(
        max_length=64,
        pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$",
        description="Whose days usage periods follow, by IANA name; null: UTC.",
    ),
    AfterValidator(_known_timezone),
]


class CustomerCreate(Wire):
    """A new customer."""

    id: ChosenId
    email: Email | None = None
    name: Name | None = None
    country: Country | None = None
    currency: Currency | None = None
    timezone: Timezone | None = None
    metadata: Metadata = Field(default_factory=dict)


class CustomerPatch(Wire):
    """Changes of a customer: absent fields stay, null clears. `version` guards against lost updates."""

    email: Email | None = absent(None)
    name: Name | None = absent(None)
    country: Country | None = absent(None)
    currency: Currency | None = absent(None)
    timezone: Timezone | None = absent(None)
    metadata: MetadataPatch | None = absent(None)
    version: Revision | None = absent(None)


class CustomerOut(Wire):
    """A customer, and where billing providers know it."""

    object: Literal["customer"] = "customer"
    id: str
    email: str | None
    name: str | None
    country: str | None
    currency: str | None
    timezone: str | None
    metadata: dict[str, str]
    status: Lifecycle
    billing: tuple[BillingLinkOut, ...]
    version: int
    created_at: datetime


def from_domain(customer: Customer) -> CustomerOut:
    """The customer as it is shown."""
    return CustomerOut(
        id=customer.id,
        email=customer.email,
        name=customer.name,
        country=customer.country,
        currency=customer.currency,
        timezone=customer.timezone,
        metadata=dict(customer.metadata),
        status=customer.status,
        billing=links_from_domain(customer.links),
        version=customer.version,
        created_at=customer.created_at,
    )


@endpoint(
    bp,
    "POST",
    "/customers",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Create a customer",
    body=CustomerCreate,
    answer=CustomerOut,
    status=201,
    also={200: "The customer exists with the same details."},
)
def post_customer(call: Call[CustomerCreate, NoQuery]) -> Reply[CustomerOut]:
    """The same id with the same details returns the customer; with other details it is a conflict."""
    body = call.body
    details = CustomerDetails(
        email=body.email,
        name=body.name,
        country=body.country,
        currency=body.currency,
        timezone=body.timezone,
        metadata=body.metadata,
    )
    customer, is_new = create_customer(call.ports, call.cause, CustomerId(body.id), details)
    return Reply(from_domain(customer), status=201 if is_new else 200)


class CustomersQuery(PageQuery):
    """Which customers are wanted."""

    email: Annotated[str | None, Field(max_length=320, description="Exactly this address.")] = None


@endpoint(
    bp,
    "GET",
    "/customers",
    scope=Scope.CUSTOMERS_READ,
    summary="List customers",
    query=CustomersQuery,
    answer=ListOut[CustomerOut],
)
def list_customers(call: Call[NoBody, CustomersQuery]) -> ListOut[CustomerOut]:
    """Without `email`: all of them, in a stable order that is not alphabetical."""
    query, store = call.query, call.ports.store
    if query.email is not None:
        page = store.find_by(Customer, "email", query.email, limit=query.limit, cursor=query.cursor)
    else:
        page = store.list_within(Customer, limit=query.limit, cursor=query.cursor)
    return list_answer(page, from_domain)


@endpoint(
    bp,
    "GET",
    "/customers/{customer_id}",
    scope=Scope.CUSTOMERS_READ,
    whose=IN_PATH,
    summary="Retrieve a customer",
    answer=CustomerOut,
)
def retrieve_customer(call: Call[NoBody, NoQuery]) -> CustomerOut:
    """The customer with its billing links."""
    return from_domain(get_customer(call.ports, CustomerId(call.path["customer_id"])))


@endpoint(
    bp,
    "PATCH",
    "/customers/{customer_id}",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Change a customer",
    body=CustomerPatch,
    answer=CustomerOut,
)
def patch_customer(call: Call[CustomerPatch, NoQuery]) -> CustomerOut:
    """Billing providers that know the customer hear of a new name or address by the next reconciliation."""
    customer_id = CustomerId(call.path["customer_id"])
    changes = given(call.body, "email", "name", "country", "currency", "timezone", "metadata")
    return from_domain(
        update_customer(call.ports, call.cause, customer_id, changes, call.body.version)
    )


@endpoint(
    bp,
    "POST",
    "/customers/{customer_id}/archive",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Archive a customer",
    answer=CustomerOut,
)
def archive_customer(call: Call[NoBody, NoQuery]) -> CustomerOut:
    """Every check is denied from now on, and an open checkout is closed.

    A customer whom a provider bills is refused (`in_use`): cancel its subscriptions first.
    """
    customer_id = CustomerId(call.path["customer_id"])
    return from_domain(archive(call.ports, call.cause, customer_id))


@endpoint(
    bp,
    "POST",
    "/customers/{customer_id}/unarchive",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Unarchive a customer",
    answer=CustomerOut,
)
def unarchive_customer(call: Call[NoBody, NoQuery]) -> CustomerOut:
    """Checks are answered from the customer's subscriptions again."""
    customer_id = CustomerId(call.path["customer_id"])
    return from_domain(set_customer_status(call.ports, call.cause, customer_id, Lifecycle.ACTIVE))
