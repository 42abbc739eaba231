"""What the lines of a provider's subscription say is held: units by feature, and add-ons with their quantities."""

from collections.abc import Iterable, Mapping, Sequence

from chalicelib.domain.billing import PriceOwner, ProviderItem
from chalicelib.domain.ids import FeatureId, PackageId, ProductId
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.prices import PriceModel
from chalicelib.domain.subscriptions import SubscribedAddon

OwnedItems = Sequence[tuple[ProviderItem, PriceOwner]]


def owned_items(items: Iterable[ProviderItem], owners: Mapping[str, PriceOwner]) -> OwnedItems:
    """The lines that charge prices of ours, by the provider's id of the price."""
    return [
        (item, owners[item.price_billing_id])
        for item in sorted(items, key=lambda item: item.price_billing_id)
        if item.price_billing_id in owners
    ]


def charged_plan(
    owned: OwnedItems, product_id: ProductId | None = None
) -> tuple[PriceOwner, Sequence[int]] | None:
    """The plan that is charged, with its versions that charge all of its lines (else all); None without a plan.

    With `product_id` a plan of that product.
    """
    plans = [
        owner
        for _, owner in owned
        if owner.kind is PackageKind.PLAN and product_id in (None, owner.product_id)
    ]
    if not plans:
        return None
    plan = min(plans, key=lambda owner: (owner.package_id, owner.price.id))
    versions = set(plan.versions).intersection(
        *(owner.versions for owner in plans if owner.package_id == plan.package_id)
    )
    return plan, sorted(versions) or plan.versions


def bought_units(owned: OwnedItems, plan_id: PackageId) -> dict[FeatureId, int]:
    """The quantities of what the plan and its add-ons sell by the unit."""
    found: dict[FeatureId, int] = {}
    for item, owner in owned:
        price = owner.price
        mine = owner.kind is PackageKind.ADDON or owner.package_id == plan_id
        if mine and price.model is PriceModel.PER_UNIT and price.feature_id is not None:
            found[price.feature_id] = _number(item)
    return found


def billed_addons(
    owned: OwnedItems, *preferred: Mapping[PackageId, int]
) -> dict[PackageId, SubscribedAddon]:
    """The add-ons that have a line. Of the versions that charge all of its lines a preferred one, else the newest.

    A flat fee's quantity is the add-on's; where there is none, units or usage say how much, and it is held once.
    """
    found: dict[PackageId, SubscribedAddon] = {}
    for addon_id in sorted(
        {owner.package_id for _, owner in owned if owner.kind is PackageKind.ADDON}
    ):
        lines = [
            (item, owner)
            for item, owner in owned
            if (owner.kind, owner.package_id) == (PackageKind.ADDON, addon_id)
        ]
        flat = [_number(item) for item, owner in lines if owner.price.model is PriceModel.FLAT_FEE]
        units = [_number(item) for item, owner in lines if owner.price.model is PriceModel.PER_UNIT]
        if not any(flat or units or [1]):
            continue
        found[addon_id] = SubscribedAddon(
            id=addon_id,
            version=_version([owner for _, owner in lines], addon_id, preferred),
            quantity=flat[0] if flat else 1,
        )
    return found


def unbilled_addons(
    quantities: Mapping[PackageId, int],
    versions: Mapping[PackageId, int],
    billed: Iterable[PackageId],
) -> dict[PackageId, SubscribedAddon]:
    """The add-ons that were ordered and have no line: charged once, or not at all."""
    has_line = set(billed)
    return {
        key: SubscribedAddon(id=key, version=versions[key], quantity=quantities[key])
        for key in quantities
        if key in versions and key not in has_line and quantities[key] > 0
    }


def _version(
    owners: Sequence[PriceOwner], addon_id: PackageId, preferred: Sequence[Mapping[PackageId, int]]
) -> int:
    common = set(owners[0].versions).intersection(*(owner.versions for owner in owners))
    candidates = common or set(owners[0].versions)
    stated = (versions.get(addon_id) for versions in preferred)
    possible = (number for number in stated if number in candidates and number is not None)
    return next(possible, max(candidates))


def _number(item: ProviderItem) -> int:
    return item.quantity if item.quantity is not None else 1
