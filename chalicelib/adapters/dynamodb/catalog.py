"""The catalog table: what is sold."""

from collections.abc import Mapping
from typing import Any, Final

from chalicelib.adapters.dynamodb.layout import Layout, Table
from chalicelib.domain.features import Feature
from chalicelib.domain.plans import Package, PackageVersion
from chalicelib.domain.products import Product
from chalicelib.domain.sync import CatalogLink

_T: Final = Table.CATALOG

LAYOUTS: Final[Mapping[type[Any], Layout]] = {
    Feature: Layout(kind="feature", table=_T, partition="FEATURES", sort="F", depth=0),
    Product: Layout(kind="product", table=_T, partition="PRODUCTS", sort="P", depth=0),
    # All plans (or add-ons) lie together; each one's versions and links have a partition of their own.
    Package: Layout(kind="package", table=_T, partition="PACKAGES", sort="P", depth=1),
    PackageVersion: Layout(
        kind="package_version", table=_T, partition="PACKAGE", sort="V", depth=2
    ),
    CatalogLink: Layout(kind="catalog_link", table=_T, partition="PACKAGE", sort="LINK", depth=2),
}
