"""Products: own ids allowed, deletable only while they have no price."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import StripeError, invalid, malformed
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import (
    limit_lengths,
    matching,
    merge_metadata,
    page,
    refuse,
    unset,
)
from infra.local.stripe_stand_in.store import Obj

_MAX_FEATURES = 15
_MAX_IMAGES = 8
_PLAIN = (
    "active",
    "name",
    "description",
    "images",
    "package_dimensions",
    "shippable",
    "statement_descriptor",
    "tax_code",
    "unit_label",
    "url",
    "type",
)


def _check(params: Obj) -> None:
    limit_lengths(
        params, name=5000, description=40_000, unit_label=12, statement_descriptor=22, id=200
    )
    features = params.get("marketing_features") or []
    if len(features) > _MAX_FEATURES:
        raise malformed("You can have up to 15 marketing features.", "marketing_features")
    if len(params.get("images") or []) > _MAX_IMAGES:
        raise malformed("You can have up to 8 images.", "images")


def _apply(product: Obj, params: Obj) -> None:
    for name in _PLAIN:
        if name in params:
            product[name] = unset(params[name])
    for name in ("images", "marketing_features"):
        if params.get(name) == "":
            product[name] = []
        elif name in params:
            product[name] = params[name]
    dimensions = params.get("package_dimensions")
    if isinstance(dimensions, dict):
        product["package_dimensions"] = {k: float(v) for k, v in dimensions.items()}
    product["metadata"] = merge_metadata(product["metadata"], params.get("metadata"))


@route("POST", "/v1/products")
def create(acct: Account, params: Obj) -> Obj:
    """A product, with its default price when `default_price_data` is given."""
    from infra.local.stripe_stand_in.resources.prices import create as create_price  # noqa: PLC0415 - prices need products too

    _check(params)
    product_id = params.get("id") or acct.ids.new("product")
    if acct.store.get("product", product_id) is not None:
        raise StripeError(
            f"Product already exists: {product_id}", code="resource_already_exists", param="id"
        )
    product = acct.new(
        "product",
        id=product_id,
        active=True,
        images=[],
        marketing_features=[],
        metadata={},
        name=params["name"],
        type="service",
        updated=acct.now(),
    )
    _apply(product, params)
    acct.add(product, "product.created")
    data = params.get("default_price_data")
    if data is not None:
        price = create_price(acct, {**data, "product": product_id})
        product = acct.save({**product, "default_price": price["id"]}, "product.updated")
    return product


@route("GET", "/v1/products/{id}")
def retrieve(acct: Account, _params: Obj, product_id: str) -> Obj:
    """The product."""
    return acct.get("product", product_id)


@route("POST", "/v1/products/{id}")
def update(acct: Account, params: Obj, product_id: str) -> Obj:
    """The product with what was given changed."""
    _check(params)
    product = acct.edit("product", product_id)
    if "name" in params and not params["name"]:
        raise invalid("Product name cannot be empty.", "name")
    _apply(product, params)
    if "default_price" in params:
        product["default_price"] = _default_price(acct, product_id, params["default_price"])
    product["updated"] = acct.now()
    return acct.save(product, "product.updated")


def _default_price(acct: Account, product_id: str, price_id: str) -> str | None:
    if price_id == "":
        return None
    price = acct.get("price", price_id, "default_price")
    refuse(
        price["product"] != product_id,
        f"The price specified, `{price_id}`, does not belong to the product `{product_id}`.",
        "default_price",
    )
    refuse(
        not price["active"],
        f"The price specified, `{price_id}`, is inactive and cannot be a default price.",
        "default_price",
    )
    return price_id


@route("DELETE", "/v1/products/{id}")
def delete(acct: Account, _params: Obj, product_id: str) -> Obj:
    """The product is gone; refused while it has prices."""
    product = acct.get("product", product_id)
    refuse(
        any(price["product"] == product_id for price in acct.all("price")),
        "This product cannot be deleted because it has one or more user-created prices.",
        "id",
    )
    acct.remove(product, "product.deleted")
    # A deleted product's id may be used again.
    acct.store.delete("product", product_id)
    return {"id": product_id, "object": "product", "deleted": True}


@route("GET", "/v1/products")
def list_all(acct: Account, params: Obj) -> Obj:
    """Products, newest first."""
    found = matching(acct.all("product"), params, "active", "shippable", "url", "type")
    ids: Any = params.get("ids")
    if ids:
        found = [product for product in found if product["id"] in ids]
    return page(acct, "product", found, params, "/v1/products")
