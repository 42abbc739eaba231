"""Products over HTTP."""

from datetime import datetime
from typing import Literal

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, Reply, endpoint
from chalicelib.api.wire import (
    ChosenId,
    Description,
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
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import ProductId
from chalicelib.domain.products import Product
from chalicelib.services import catalog_items, manage_products

bp = Blueprint(__name__)


class ProductCreate(Wire):
    """A product to be."""

    id: ChosenId
    name: Name
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)

    def to_domain(self, now: datetime) -> Product:
        """The product, as it is created now."""
        return Product(
            id=ProductId(self.id),
            name=self.name,
            description=self.description,
            metadata=self.metadata,
            created_at=now,
        )


class ProductUpdate(Wire):
    """What may change of a product; absent fields stay."""

    name: Name = absent("")
    description: Description | None = absent(None)
    metadata: MetadataPatch | None = absent(None)
    version: Revision | None = absent(None)


class ProductOut(Wire):
    """A line of plans, of which a customer has at most one live subscription."""

    object: Literal["product"] = "product"
    id: str
    name: str
    description: str | None
    metadata: dict[str, str]
    status: Lifecycle
    version: int
    created_at: datetime


@endpoint(
    bp,
    "POST",
    "/products",
    scope=Scope.CATALOG_WRITE,
    summary="Create a product",
    answer=ProductOut,
    body=ProductCreate,
    status=201,
    also={200: "The product existed with the same content."},
)
def create_product(call: Call[ProductCreate, NoQuery]) -> Reply[ProductOut]:
    """An id that is taken by a product with other content is refused with `already_exists`."""
    wanted = call.body.to_domain(call.ports.clock.now())
    product, created = manage_products.create_product(call.ports, call.cause, wanted)
    return Reply(_from_domain(product), status=201 if created else 200)


@endpoint(
    bp,
    "GET",
    "/products",
    scope=Scope.CATALOG_READ,
    summary="List products",
    answer=ListOut[ProductOut],
    query=PageQuery,
)
def list_products(call: Call[NoBody, PageQuery]) -> ListOut[ProductOut]:
    """In the order of their ids, archived ones included."""
    page = call.ports.store.list_within(Product, limit=call.query.limit, cursor=call.query.cursor)
    return list_answer(page, _from_domain)


@endpoint(
    bp,
    "GET",
    "/products/{product_id}",
    scope=Scope.CATALOG_READ,
    summary="Get a product",
    answer=ProductOut,
)
def get_product(call: Call[NoBody, NoQuery]) -> ProductOut:
    """The product as it is now."""
    return _from_domain(catalog_items.get(call.ports, Product, call.path["product_id"]))


@endpoint(
    bp,
    "PATCH",
    "/products/{product_id}",
    scope=Scope.CATALOG_WRITE,
    summary="Edit a product",
    answer=ProductOut,
    body=ProductUpdate,
)
def update_product(call: Call[ProductUpdate, NoQuery]) -> ProductOut:
    """With `version`, only if the product is still at that one."""
    changes = given(call.body, "name", "description", "metadata")
    product_id = ProductId(call.path["product_id"])
    product = manage_products.edit_product(
        call.ports, call.cause, product_id, changes, version=call.body.version
    )
    return _from_domain(product)


@endpoint(
    bp,
    "POST",
    "/products/{product_id}/archive",
    scope=Scope.CATALOG_WRITE,
    summary="Archive a product",
    answer=ProductOut,
)
def archive_product(call: Call[NoBody, NoQuery]) -> ProductOut:
    """Refused with `in_use` while a plan or add-on of it is not archived."""
    product_id = ProductId(call.path["product_id"])
    return _from_domain(manage_products.archive_product(call.ports, call.cause, product_id))


@endpoint(
    bp,
    "POST",
    "/products/{product_id}/unarchive",
    scope=Scope.CATALOG_WRITE,
    summary="Unarchive a product",
    answer=ProductOut,
)
def unarchive_product(call: Call[NoBody, NoQuery]) -> ProductOut:
    """The product can get plans again; those it had stay archived."""
    product_id = ProductId(call.path["product_id"])
    return _from_domain(manage_products.unarchive_product(call.ports, call.cause, product_id))


def _from_domain(product: Product) -> ProductOut:
    return ProductOut(
        id=product.id,
        name=product.name,
        description=product.description,
        metadata=dict(product.metadata),
        status=product.status,
        version=product.version,
        created_at=product.created_at,
    )
