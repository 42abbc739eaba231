"""The mapping of plans and add-ons to a billing provider, and the steps from what it holds to what it must hold.

Both are pure: propagation executes the steps, tests use them as they are; what reconciliation tells of the same
differences is in `catalog_drift`.
"""

import re
from collections.abc import Mapping
from typing import Final

from chalicelib.domain.billing import (
    ArchivePrice,
    CatalogStep,
    CreatePrice,
    CreateProduct,
    MirrorPrice,
    MirrorProduct,
    ObservedPrice,
    ObservedProduct,
    SetDefaultPrice,
    UpdatePrice,
    UpdateProduct,
)
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.ids import PackageId, derived_id
from chalicelib.domain.plans import Package, PackageKind, PackageVersion, PricingType
from chalicelib.domain.prices import Price, PriceModel, fingerprint

# Stripe's bounds: docs.stripe.com/api/prices/create (lookup_key), ids as it generates them itself.
_LOOKUP_KEY_LENGTH: Final = 200
_PRODUCT_KEY_LENGTH: Final = 64
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_]")
_PLAIN: Final = re.compile(r"[A-Za-z0-9]+")


def entity_metadata(
    entity_type: str, entity_id: str, path: str, *, environment: str, public_url: str
) -> dict[str, str]:
    """What every provider object of ours carries, so that a person who finds it there finds it here."""
    return {
        "paygrade_entity_id": entity_id,
        "paygrade_entity_type": entity_type,
        "paygrade_entity_url": f"{public_url}/v1/{path}",
        "paygrade_environment": environment,
    }


def product_key(environment: str, kind: PackageKind, package_id: PackageId) -> str:
    """The provider's id of the package's product: readable, unique, and the same for ever."""
    if _PLAIN.fullmatch(environment) and not _UNSAFE.search(package_id):
        readable = f"pg_{environment}_{kind}_{package_id}"
        if len(readable) <= _PRODUCT_KEY_LENGTH:
            return readable
    # Another prefix, so that nobody's plain id spells a digested one.
    digest = derived_id("", environment, kind, package_id)[:12]
    readable = _UNSAFE.sub("_", f"pgx_{environment}_{kind}_{package_id}")
    return f"{readable[: _PRODUCT_KEY_LENGTH - 13]}_{digest}"


def lookup_key(environment: str, kind: PackageKind, package_id: PackageId, price_id: str) -> str:
    """The name of the price's slot at the provider, whatever money is in it."""
    parts = ("paygrade", environment, kind, package_id, price_id)
    key = ":".join(parts)
    # A colon inside an id would make two slots of one name, and each would take the key from the other for ever.
    if len(key) <= _LOOKUP_KEY_LENGTH and key.count(":") == len(parts) - 1:
        return key
    return derived_id(f"paygrade:{environment}:", *parts)


def is_billed(version: PackageVersion | None) -> bool:
    """Whether a provider needs to know of the package at this version."""
    return version is not None and version.content.pricing_type is PricingType.PAID


def is_sold(package: Package, version: PackageVersion) -> bool:
    """Whether a provider must offer the package at this version."""
    return package.status is Lifecycle.ACTIVE and is_billed(version)


def mirror_price(
    package: Package, price: Price, *, environment: str, public_url: str, meter: str | None = None
) -> MirrorPrice:
    """How the package's price must look at any provider; `meter` names the events that a usage-based one counts."""
    path = f"{package.kind}s/{package.id}"
    metadata = entity_metadata(
        "price", price.id, path, environment=environment, public_url=public_url
    )
    metadata["paygrade_package"] = f"{package.kind}:{package.id}"
    return MirrorPrice(
        lookup_key=lookup_key(environment, package.kind, package.id, price.id),
        fingerprint=fingerprint(price),
        price=price,
        metadata=metadata,
        meter=meter,
    )


def mirror_of(
    package: Package, version: PackageVersion, *, environment: str, public_url: str
) -> MirrorProduct:
    """How the package's own product must look at any provider. Archived or unpaid: inactive, without prices."""
    active = is_sold(package, version)
    key = product_key(environment, package.kind, package.id)
    path = f"{package.kind}s/{package.id}"
    # Whatever is charged by usage has a product of its own (`package_mirror`).
    prices = tuple(
        mirror_price(package, price, environment=environment, public_url=public_url)
        for price in (version.content.prices if active else ())
        if price.model is not PriceModel.USAGE_BASED
    )
    shown = [one for one in prices if one.price.billing_period is not None] or prices
    return MirrorProduct(
        product_key=key,
        name=version.content.name,
        description=version.content.description or None,  # a provider reports an empty one as none
        active=active,
        metadata=entity_metadata(
            package.kind, package.id, path, environment=environment, public_url=public_url
        ),
        prices=prices,
        default_lookup_key=shown[0].lookup_key if shown else None,
    )


def steps_between(
    desired: MirrorProduct, observed: ObservedProduct | None
) -> tuple[CatalogStep, ...]:
    """What turns the observed product into the desired one, in an order that is safe to stop after any step.

    New prices come before the old ones are archived, so that the plan can be bought all the time. An archived
    price with the right money is used again rather than doubled. Metadata keys that are not ours are left alone.
    """
    if observed is None:
        if not desired.active:
            return ()
        creates = tuple(
            CreatePrice(product_key=desired.product_key, price=price) for price in desired.prices
        )
        return (CreateProduct(product=desired), *creates, *_default_step(desired, None, {}))
    steps: list[CatalogStep] = []
    if _differs(desired, observed):
        steps.append(UpdateProduct(product=desired))
    kept = matching_prices(desired, observed)
    for price in desired.prices:
        match = kept.get(price.lookup_key)
        if match is None:
            steps.append(CreatePrice(product_key=desired.product_key, price=price))
            continue
        right = match.active and match.lookup_key == price.lookup_key
        if not right or _lacks(match.metadata, price.metadata):
            steps.append(UpdatePrice(billing_id=match.billing_id, price=price))
    steps += _default_step(desired, observed.default_price, kept)
    kept_ids = {price.billing_id for price in kept.values()}
    steps += (
        ArchivePrice(billing_id=price.billing_id)
        for price in observed.prices
        if price.active and price.billing_id not in kept_ids
    )
    return tuple(steps)


def matching_prices(
    desired: MirrorProduct, observed: ObservedProduct | None
) -> dict[str, ObservedPrice]:
    """For each desired price, by lookup key, the observed one that serves for it already or can again."""
    if observed is None:
        return {}
    slots = frozenset(price.lookup_key for price in desired.prices)
    matches = ((price.lookup_key, _best_match(price, observed, slots)) for price in desired.prices)
    return {key: match for key, match in matches if match is not None}


def _differs(desired: MirrorProduct, observed: ObservedProduct) -> bool:
    ours = (desired.name, desired.description, desired.active)
    theirs = (observed.name, observed.description, observed.active)
    return ours != theirs or _lacks(observed.metadata, desired.metadata)


def _lacks(theirs: Mapping[str, str], ours: Mapping[str, str]) -> bool:
    return any(theirs.get(key) != value for key, value in ours.items())


def _best_match(
    price: MirrorPrice, observed: ObservedProduct, slots: frozenset[str]
) -> ObservedPrice | None:
    """The observed price with this money that was made for this slot: the active one if there is one.

    The lookup key says which slot that is; metadata does for those whose key was handed on, or overwritten with
    what is no slot of ours. So no price serves two.
    """
    matches = [
        candidate
        for candidate in observed.prices
        if candidate.fingerprint == price.fingerprint
        and (
            candidate.lookup_key == price.lookup_key
            or (
                candidate.lookup_key not in slots
                and candidate.metadata.get("paygrade_entity_id") == price.price.id
            )
        )
    ]
    return max(
        matches,
        key=lambda match: (match.active, match.lookup_key == price.lookup_key, match.billing_id),
        default=None,
    )


def _default_step(
    desired: MirrorProduct, current: str | None, kept: Mapping[str, ObservedPrice]
) -> tuple[SetDefaultPrice, ...]:
    wanted = desired.default_lookup_key
    held = kept.get(wanted or "")
    is_new = wanted is not None and held is None  # an earlier step creates it
    if is_new or current != (held.billing_id if held is not None else None):
        return (SetDefaultPrice(product_key=desired.product_key, lookup_key=wanted),)
    return ()
