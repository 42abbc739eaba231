"""The catalog table: what is sold.

Written by people, seldom: a partition for each noun is far from DynamoDB's 1,000 writes a second.
"""

from collections.abc import Mapping
from typing import Final

from chalicelib.adapters.dynamodb.keys import Table
from chalicelib.adapters.dynamodb.layout import Layout

_T: Final = Table.CATALOG

LAYOUTS: Final[Mapping[str, Layout]] = {
    "features.Feature": Layout(
        kind="feature", table=_T, partition="FEATURES", sort="F", in_partition=0, in_sort=1
    ),
    "products.Product": Layout(
        kind="product", table=_T, partition="PRODUCTS", sort="P", in_partition=0, in_sort=1
    ),
    "coupons.Coupon": Layout(
        kind="coupon", table=_T, partition="COUPONS", sort="C", in_partition=0, in_sort=1
    ),
    # All plans (or add-ons) lie together; each one's versions and links have a partition of their own.
    "plans.Package": Layout(
        kind="package", table=_T, partition="PACKAGES", sort="P", in_partition=1, in_sort=1
    ),
    "plans.PackageVersion": Layout(
        kind="package_version", table=_T, partition="PACKAGE", sort="V", in_partition=2, in_sort=1
    ),
    "sync.CatalogLink": Layout(
        kind="catalog_link", table=_T, partition="PACKAGE", sort="LINK", in_partition=2, in_sort=1
    ),
}
