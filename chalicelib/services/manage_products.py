"""Products: made, edited, archived once nothing of them is active any more."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.errors import InUseError
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import ProductId
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.domain.products import Product
from chalicelib.ports import Ports
from chalicelib.services import catalog_items
from chalicelib.services.listing import all_within
from chalicelib.services.merge_metadata import with_merged_metadata


def create_product(ports: Ports, cause: Cause, product: Product) -> tuple[Product, bool]:
    """The product is there, and whether this call made it; raises `AlreadyExistsError`."""
    return catalog_items.create(ports, cause, product)


def edit_product(
    ports: Ports,
    cause: Cause,
    product_id: ProductId,
    changes: Mapping[str, Any],
    *,
    version: int | None = None,
) -> Product:
    """The product with these fields replaced, `metadata` merged."""
    return catalog_items.edit(
        ports,
        cause,
        Product,
        product_id,
        lambda current: replace(current, **with_merged_metadata(current.metadata, changes)),
        version=version,
    )


def archive_product(ports: Ports, cause: Cause, product_id: ProductId) -> Product:
    """The product is archived; raises `InUseError` while a plan or add-on of it is not."""

    def allowed() -> None:
        for kind in PackageKind:
            for package in all_within(ports.store, Package, kind):
                if package.product_id == product_id and package.status is Lifecycle.ACTIVE:
                    raise InUseError(f"The {kind} {package.id!r} of the product is not archived.")

    return catalog_items.set_status(
        ports, cause, Product, product_id, Lifecycle.ARCHIVED, allowed=allowed
    )


def unarchive_product(ports: Ports, cause: Cause, product_id: ProductId) -> Product:
    """The product can get plans again."""
    return catalog_items.set_status(ports, cause, Product, product_id, Lifecycle.ACTIVE)
