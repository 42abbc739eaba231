"""The whole catalog, read: the one state that documents are made of and compared with."""

from chalicelib.domain.catalog_documents import CatalogState, HeldPackage
from chalicelib.domain.coupons import Coupon
from chalicelib.domain.features import Feature
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.domain.products import Product
from chalicelib.ports import Store
from chalicelib.services.listing import all_within
from chalicelib.services.view_packages import sold_version


def read_state(store: Store) -> CatalogState:
    """Everything in the catalog, in the order of ids. Several reads: a change between them may be half seen."""
    return CatalogState(
        features=all_within(store, Feature),
        products=all_within(store, Product),
        addons=_held(store, PackageKind.ADDON),
        plans=_held(store, PackageKind.PLAN),
        coupons=all_within(store, Coupon),
    )


def _held(store: Store, kind: PackageKind) -> tuple[HeldPackage, ...]:
    return tuple(
        HeldPackage(package=package, sold=sold_version(store, package))
        for package in all_within(store, Package, kind)
    )
