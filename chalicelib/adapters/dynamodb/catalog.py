"""The catalog table: what is sold.

Written by people, seldom: a partition for each noun is far from DynamoDB's 1,000 writes a second.
"""

from collections.abc import Mapping
from typing import Any, Final

from chalicelib.adapters.dynamodb.keys import Table
from chalicelib.adapters.dynamodb.layout import Layout
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.features import Feature
from chalicelib.domain.plans import Package, PackageVersion
from chalicelib.domain.products import Product
from chalicelib.domain.sync import CatalogLink

_T: Final = Table.CATALOG

LAYOUTS: Final[Mapping[type[Any], Layout]] = {
    Feature: Layout(
        kind="feature", table=_T, partition="FEATURES", sort="F", in_partition=0, in_sort=1
    ),
    Product: Layout(
        kind="product", table=_T, partition="PRODUCTS", sort="P", in_partition=0, in_sort=1
    ),
    Coupon: Layout(
        kind="coupon", table=_T, partition="COUPONS", sort="C", in_partition=0, in_sort=1
    ),
    # All plans (or add-ons) lie together; each one's versions and links have a partition of their own.
    Package: Layout(
        kind="package", table=_T, partition="PACKAGES", sort="P", in_partition=1, in_sort=1
    ),
    PackageVersion: Layout(
        kind="package_version", table=_T, partition="PACKAGE", sort="V", in_partition=2, in_sort=1
    ),
    CatalogLink: Layout(
        kind="catalog_link", table=_T, partition="PACKAGE", sort="LINK", in_partition=2, in_sort=1
    ),
}
