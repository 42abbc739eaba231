"""One foreign product as plans and add-ons: as many as its prices need to stand side by side."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from chalicelib.domain.catalog_documents import WantedPackage
from chalicelib.domain.entitlements import Entitlement
from chalicelib.domain.foreign_catalog import ForeignProduct
from chalicelib.domain.ids import PackageId, ProductId
from chalicelib.domain.import_report import IMPORTED_FROM, NAME_LENGTH, Report, Slugs, name_of
from chalicelib.domain.plans import PackageContent, PackageKind, PricingType
from chalicelib.domain.prices import Price, PriceModel, charge_of

_MOST_PRICES: Final = 100
_DESCRIPTION_LENGTH: Final = 1000

_Slot = tuple[object, ...]
_ByCurrency = dict[str, Price]


def imported_packages(
    product: ForeignProduct,
    prices: Sequence[Mapping[str, Price]],
    product_id: ProductId,
    slugs: Slugs,
    report: Report,
) -> Iterator[WantedPackage]:
    """What sells these prices, each a mapping by currency: what recurs as plans, the rest as add-ons."""
    groups = list(_groups(prices))
    if len(groups) > 1:
        detail = f"Its prices can't stand side by side: it became {len(groups)} plans and add-ons."
        report.changed(product.billing_id, "split", detail)
    for number, group in enumerate(groups, start=1):
        yield _package(product, group, number, product_id, slugs, report)


def _groups(prices: Sequence[Mapping[str, Price]]) -> Iterator[tuple[Price, ...]]:
    """Sets of prices with no charge twice and each charge in the same currencies, what recurs first."""
    layers: dict[_Slot, list[_ByCurrency]] = {}
    for mapping in prices:
        # No package takes more prices, so no charge can have more currencies.
        by_currency = dict(list(mapping.items())[:_MOST_PRICES])
        of_slot = layers.setdefault(_slot(next(iter(by_currency.values()))), [])
        fits = (
            layer
            for layer in of_slot
            if not layer.keys() & by_currency.keys()
            and len(layer) + len(by_currency) <= _MOST_PRICES
        )
        layer = next(fits, None)
        if layer is None:
            of_slot.append(by_currency)
        else:
            layer.update(by_currency)
    found: dict[tuple[object, ...], list[list[Price]]] = {}
    for slot, of_slot in layers.items():
        is_once = slot[0] is PriceModel.ONE_OFF
        for index, layer in enumerate(of_slot):
            chunks = found.setdefault((is_once, index, frozenset(layer)), [])
            if not chunks or len(chunks[-1]) + len(layer) > _MOST_PRICES:
                chunks.append([])
            chunks[-1].extend(layer.values())
    for key in sorted(found, key=lambda one: bool(one[0])):
        yield from map(tuple, found[key])


def _slot(price: Price) -> _Slot:
    return (*charge_of(price), price.billing_period, price.interval_count)


def _package(
    product: ForeignProduct,
    prices: Sequence[Price],
    number: int,
    product_id: ProductId,
    slugs: Slugs,
    report: Report,
) -> WantedPackage:
    is_once = prices[0].model is PriceModel.ONE_OFF
    name = name_of(product.name, product.billing_id)
    package_id, is_renamed = slugs.new(name, product.billing_id)
    if is_renamed:
        report.note(product.billing_id, "name_taken", f"It is called {package_id!r}.")
    if is_once:
        detail = f"What is charged once is the add-on {package_id!r}; no plan lists it yet."
        report.note(product.billing_id, "addon", detail)
    if len({charge_of(price) for price in prices}) > 1:
        detail = f"{package_id!r} charges its fee, its units and its usage together."
        report.note(product.billing_id, "charged_together", detail)
    description = (product.description or "").strip()
    if len(description) > _DESCRIPTION_LENGTH:
        report.changed(product.billing_id, "description", "Its description was cut off.")
    return WantedPackage(
        kind=PackageKind.ADDON if is_once else PackageKind.PLAN,
        id=PackageId(package_id),
        product_id=product_id,
        content=PackageContent(
            name=name if number == 1 else f"{name[: NAME_LENGTH - 6]} ({number})",
            description=description[:_DESCRIPTION_LENGTH] or None,
            pricing_type=PricingType.PAID,
            entitlements=tuple(_entitlements(prices)),
            prices=tuple(prices),
            metadata={IMPORTED_FROM: product.billing_id},
        ),
    )


def _entitlements(prices: Iterable[Price]) -> Iterator[Entitlement]:
    """What is charged for is granted: usage without limit, units as many as are paid for."""
    models = {one.feature_id: one.model for one in prices if one.feature_id is not None}
    for feature_id, model in models.items():
        is_usage = model is PriceModel.USAGE_BASED
        yield Entitlement(
            feature_id=feature_id, is_unlimited=is_usage, usage_limit=None if is_usage else 1
        )
