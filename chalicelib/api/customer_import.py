"""The import of the customers and subscriptions that a billing provider has already, over HTTP."""

from collections import Counter
from typing import Annotated, Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.wire import NoQuery, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.customer_import import ImportAction, ImportedCustomer
from chalicelib.services.import_customers import SLICE, CustomerImport, import_customers

bp = Blueprint(__name__)


class CustomerImportIn(Wire):
    """Whose customers, and whether anything is written."""

    provider: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    dry_run: Annotated[bool, Field(description="Whether nothing is written.")] = True
    id_key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=40,
            description="The metadata there that holds our customer id.",
        ),
    ] = "customer_id"
    cursor: Annotated[
        str | None,
        Field(min_length=1, max_length=2048, description="`next_cursor` of the slice before."),
    ] = None
    limit: Annotated[int, Field(ge=1, le=25, description="How many at most.")] = SLICE


class ImportedCustomerOut(Wire):
    """A customer of the provider's, and what became of it, or would."""

    billing_id: str
    action: ImportAction
    customer_id: str | None
    reason: Annotated[str | None, Field(description="Why there is a conflict; stable.")]
    subscriptions: Annotated[int, Field(description="Live ones of a plan of ours.")]
    unmapped_prices: Annotated[
        tuple[str, ...], Field(description="What is charged there and belongs to no plan of ours.")
    ]


class ImportCountsOut(Wire):
    """How many of each in this slice."""

    known: int
    link: int
    create: int
    conflict: int
    subscriptions: int
    unmapped_prices: int


class CustomerImportOut(Wire):
    """A slice. Ask for the next one with `next_cursor` until there is none."""

    object: Literal["customer_import"] = "customer_import"
    provider: str
    dry_run: bool
    customers: tuple[ImportedCustomerOut, ...]
    counts: ImportCountsOut
    next_cursor: str | None


@endpoint(
    bp,
    "POST",
    "/customers/import",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Take over a provider's customers and subscriptions",
    body=CustomerImportIn,
    answer=CustomerImportOut,
)
def post_customer_import(call: Call[CustomerImportIn, NoQuery]) -> CustomerImportOut:
    """A slice of them: matched by link, by metadata, by email, else made under the id that the provider has.

    By default nothing is written, and the answer tells what would be. Nothing is ever changed at the provider.
    """
    body = call.body
    done = import_customers(
        call.ports,
        call.cause,
        CustomerImport(
            provider=body.provider,
            dry_run=body.dry_run,
            id_key=body.id_key,
            cursor=body.cursor,
            limit=body.limit,
        ),
    )
    actions = Counter(one.action for one in done.customers)
    return CustomerImportOut(
        provider=done.provider,
        dry_run=body.dry_run,
        customers=tuple(map(_shown, done.customers)),
        counts=ImportCountsOut(
            known=actions[ImportAction.KNOWN],
            link=actions[ImportAction.LINK],
            create=actions[ImportAction.CREATE],
            conflict=actions[ImportAction.CONFLICT],
            subscriptions=sum(one.subscriptions for one in done.customers),
            unmapped_prices=len({key for one in done.customers for key in one.unmapped_prices}),
        ),
        next_cursor=done.next_cursor,
    )


def _shown(one: ImportedCustomer) -> ImportedCustomerOut:
    return ImportedCustomerOut(
        billing_id=one.billing_id,
        action=one.action,
        customer_id=one.customer_id,
        reason=one.reason,
        subscriptions=one.subscriptions,
        unmapped_prices=one.unmapped_prices,
    )
